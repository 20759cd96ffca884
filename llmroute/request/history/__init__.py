"""Conversations that change their provider: what one wrote, made fit for the one asked next."""
