"""Signatures of thinking: a model knows its own thoughts again, and no others."""

from __future__ import annotations

from llmroute.testing.chance import token_id


def sign(model: str, thought: str) -> str:
    """The signature that a model puts below a thought, which it knows word for word."""
    return f"Es{token_id('signature', model, thought)}Ag=="


def seal(model: str, thought: str) -> str:
    """What stands in ``redacted_thinking`` in place of a thought that nobody may read."""
    token = token_id("sealed", thought)
    return f"{token}{sign(model, token)}"


def is_sealed_by(model: str, data: str) -> bool:
    """Whether a model made this ``data`` of a ``redacted_thinking`` block."""
    return data[16:] == sign(model, data[:16])
