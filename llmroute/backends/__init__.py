"""Chat models that answer for pool members given by name."""
