"""Recorded outcomes: what real models answered to real prompts, and the readers of such records."""
