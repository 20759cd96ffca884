"""From estimates to a decision, and the base of every router."""
