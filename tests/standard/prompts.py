"""Prompts that the scripted models of these suites answer in a way of their own."""

from __future__ import annotations

from llmroute.testing import ChatRequest, Reply

THOUGHT = "Think before you answer: how many legs have two spiders?"
CACHED = "You have read this long prompt before, word for word, and cached it."


def reply(request: ChatRequest) -> Reply | None:
    """Reasoning and cached tokens where a prompt is after them, else the default behaviour."""
    if request.last_user == THOUGHT:
        return Reply("Sixteen.", reasoning="A spider has eight legs, and twice eight is sixteen.")
    if request.last_user == CACHED:
        return Reply("So I have.", cached_tokens=4, cache_written_tokens=4)
    return None
