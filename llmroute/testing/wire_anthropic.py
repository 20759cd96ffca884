"""Anthropic's wire format: what an answer, a stream and an error look like as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmroute.testing.chance import token_id
from llmroute.testing.reply import Reply, ToolCall
from llmroute.testing.request_anthropic import parse_request
from llmroute.testing.signatures import seal, sign
from llmroute.testing.tokens import count_tokens, split_tokens
from llmroute.testing.wire import Answer, Event, Part, Wire, Words, argument_pieces, dump

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
#: What a model thinks that is told to and whose script is silent about it.
_THOUGHT = "I look at what was asked."


@dataclass(frozen=True)
class AnthropicAnswer(Answer):
    """An answer as `POST /v1/messages` gives it."""

    @property
    def reply(self) -> Reply:
        """What is said; Anthropic gives one answer a call, and an empty one where there is none."""
        return self.replies[0] if self.replies else Reply()

    def usage(self) -> dict[str, Any]:
        """The ``usage`` object: the prompt's tokens beside those of them in the cache."""
        prompt = self.request.prompt_tokens
        read = min(self.reply.cached_tokens, prompt)
        written = min(self.reply.cache_written_tokens, prompt - read)
        shown = self.reply.completion_tokens - self.reply.reasoning_tokens
        return {
            "input_tokens": prompt - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": shown + count_tokens(self._thought() or ""),
            "service_tier": "standard",
        }

    def body(self) -> dict[str, Any]:
        """The whole answer as one ``message`` object."""
        return self._message(list(self._blocks()), self._end(), self.usage())

    def events(self) -> list[Event]:
        """The answer as the events of a stream."""
        no_end = dict.fromkeys(self._end())
        start = self._message([], no_end, {**self.usage(), "output_tokens": 1})
        events = [_event(Part.FRAME, "message_start", message=start), _event(Part.FRAME, "ping")]
        for index, block in enumerate(self._blocks()):
            events += _block_events(index, block)
        events.append(_event(Part.FINISH, "message_delta", delta=self._end(), usage=self.usage()))
        return [*events, _event(Part.END, "message_stop")]

    def _message(
        self, content: list[dict[str, Any]], end: dict[str, Any], usage: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "id": f"msg_{self.number:08d}",
            "type": "message",
            "role": "assistant",
            "model": self.request.model,
            "content": content,
            **end,
            "usage": usage,
        }

    def _end(self) -> dict[str, Any]:
        finished = self.reply.finished
        return {"stop_reason": _STOP_REASONS.get(finished, finished), "stop_sequence": None}

    def _blocks(self) -> Iterator[dict[str, Any]]:
        name, turn = self.model.name, len(self.request.messages)
        thought = self._thought()
        if thought is not None and self.reply.redacted:
            yield {"type": "redacted_thinking", "data": seal(name, thought)}
        elif thought is not None:
            yield {"type": "thinking", "thinking": thought, "signature": sign(name, thought)}
        if self.reply.content:
            yield {"type": "text", "text": self.reply.content}
        for place, call in enumerate(self.reply.tool_calls):
            yield {
                "type": "tool_use",
                "id": call.id or f"toolu_{token_id(name, turn, place, call)}",
                "name": call.name,
                "input": _input(call),
            }

    def _thought(self) -> str | None:
        """What is thought where thinking is asked for; a model told to think always does."""
        thinking = self.request.body.get("thinking") or {}
        if not self.replies or thinking.get("type") not in ("enabled", "adaptive"):
            return None
        return self.reply.reasoning or (_THOUGHT if thinking["type"] == "enabled" else None)


def _input(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as the object Anthropic sends; what is no object is an empty one."""
    try:
        arguments = json.loads(call.arguments_json)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _event(part: Part, name: str, **fields: Any) -> Event:
    return Event(part, dump({"type": name, **fields}), name)


def _block_events(index: int, block: dict[str, Any]) -> Iterator[Event]:
    """A block in a stream: how it begins, what is added to it piece by piece, its end."""
    empty: dict[str, Any] = {}
    deltas: list[dict[str, Any]] = []
    match block:
        case {"type": "text", "text": text}:
            empty = {"text": ""}
            deltas = [{"type": "text_delta", "text": token} for token in split_tokens(text)]
        case {"type": "thinking", "thinking": thought, "signature": signature}:
            empty = {"thinking": "", "signature": ""}
            tokens = split_tokens(thought)
            deltas = [{"type": "thinking_delta", "thinking": token} for token in tokens]
            deltas.append({"type": "signature_delta", "signature": signature})
        case {"type": "tool_use", "input": arguments}:
            empty = {"input": {}}
            pieces = ["", *argument_pieces(dump(arguments))]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield _event(Part.FRAME, "content_block_start", index=index, content_block={**block, **empty})
    for delta in deltas:
        yield _event(Part.CONTENT, "content_block_delta", index=index, delta=delta)
    yield _event(Part.FRAME, "content_block_stop", index=index)


def _error(words: Words, message: str) -> dict[str, Any]:
    error = {"type": words.kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_llmroute_scripted"}


_WORDS = {
    "rate_limit": Words(
        429,
        "This request would exceed the rate limit for your organization ({model}).",
        "rate_limit_error",
    ),
    "server_error": Words(500, "Internal server error", "api_error"),
    "overloaded": Words(529, "Overloaded", "overloaded_error"),
    "unauthorized": Words(401, "invalid x-api-key: {key}", "authentication_error"),
    "forbidden": Words(
        403, "Your API key does not have permission to use this model.", "permission_error"
    ),
    "not_found": Words(404, "model: {model}", "not_found_error"),
    "bad_request": Words(400, "messages: Input should be a valid list"),
    "context_window": Words(400, "prompt is too long: {tokens} tokens > {limit} maximum"),
    "content_policy": Words(400, "Output blocked by content filtering policy"),
    "script_error": Words(500, "{message}", "api_error"),
}
#: Anthropic's messages.
ANTHROPIC = Wire(
    parse=parse_request,
    answer=AnthropicAnswer,
    error=_error,
    words=_WORDS,
    failure="overloaded",
    failure_event="error",
    broken_event=Event(
        Part.CONTENT,
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_del',
        "content_block_delta",
    ),
)
