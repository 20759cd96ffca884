"""What a scripted model says: one choice of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmroute.testing.tokens import count_tokens, split_tokens


@dataclass(frozen=True)
class ToolCall:
    """A tool the model wants called.

    Attributes:
        name: The tool.
        arguments: Its arguments; a string is sent as it is, so that broken JSON can be scripted.
        id: The call's id; made up when None.
    """

    name: str
    arguments: Mapping[str, Any] | str
    id: str | None = None

    @property
    def arguments_json(self) -> str:
        """The arguments as they go over the wire."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class Reply:
    """One answer of a scripted model, with more to it than text.

    Attributes:
        content: The text; None for a message of tool calls alone.
        tool_calls: The tools to call.
        reasoning: Thinking shown beside the answer (``reasoning_content``), billed as output. In
            Anthropic's protocol a signed thinking block, where the request asks for thinking.
        redacted: Whether that block is a sealed one (``redacted_thinking``).
        finish_reason: Why the answer ended; worked out when None.
        confidence: How sure the log-probabilities look, 0..1; the model's ability when None.
        cached_tokens: How many prompt tokens are reported as read from the prompt cache.
        cache_written_tokens: How many as put into it; OpenAI's protocol does not report these.
    """

    content: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    reasoning: str | None = None
    finish_reason: str | None = None
    confidence: float | None = None
    cached_tokens: int = 0
    redacted: bool = False
    cache_written_tokens: int = 0

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the reasoning."""
        return count_tokens(self.reasoning or "")

    @property
    def completion_tokens(self) -> int:
        """All tokens billed as output: text, reasoning and tool calls."""
        calls = (count_tokens(f"{call.name} {call.arguments_json}") for call in self.tool_calls)
        return count_tokens(self.content or "") + self.reasoning_tokens + sum(calls)

    @property
    def finished(self) -> str:
        """The finish reason to send."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    def within(self, stop: Sequence[str], max_tokens: int | None) -> Reply:
        """The reply with its text cut at a stop string and at a length; tool calls stay whole."""
        if self.content is None:
            return self
        ends = [self.content.index(mark) for mark in stop if mark and mark in self.content]
        text = self.content[: min(ends, default=None)]
        tokens = split_tokens(text)
        room = len(tokens) if max_tokens is None else max_tokens - self.reasoning_tokens
        if len(tokens) <= room:
            return replace(self, content=text)
        return replace(self, content="".join(tokens[: max(room, 0)]), finish_reason="length")
