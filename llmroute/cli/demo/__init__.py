"""`llmroute demo`: the router at work, without a key."""
