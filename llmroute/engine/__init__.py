"""From a decision to an answer: which model to ask next, and two thin drivers that ask it."""
