"""Signatures of thinking: a model knows its own thoughts again, and no others."""

from __future__ import annotations

from llmroute.testing.chance import token_id


def sign(model: str, thought: str) -> str:
    """The signature that a model puts below a thought.

    Args:
        model: The model's name.
        thought: The thought, word for word.
    """
    return f"Es{token_id('signature', model, thought)}Ag=="


def seal(model: str, thought: str) -> str:
    """A thought that nobody may read: what stands in ``redacted_thinking`` in its place.

    Args:
        model: The model's name.
        thought: The thought.
    """
    token = token_id("sealed", thought)
    return f"{token}{sign(model, token)}"


def is_sealed_by(model: str, data: str) -> bool:
    """Whether a model made this ``data`` of a ``redacted_thinking`` block.

    Args:
        model: The model's name.
        data: The data.
    """
    token, signature = data[:16], data[16:]
    return signature == sign(model, token)
