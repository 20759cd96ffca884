"""Readers of recorded outcomes, a module for each source; `Outcomes.read` chooses among them."""
