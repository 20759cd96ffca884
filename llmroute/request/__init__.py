"""What was asked: messages, what they need of a model, and the conversation they belong to."""
