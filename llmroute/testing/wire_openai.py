"""OpenAI's wire format: what an answer, a stream and an error look like as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from llmroute.testing.chance import draw, pick, token_id
from llmroute.testing.reply import Reply
from llmroute.testing.request_openai import parse_request
from llmroute.testing.tokens import split_tokens
from llmroute.testing.wire import Answer, Event, Part, Wire, Words, argument_pieces, dump

#: What the less likely tokens say in log-probabilities.
_ELSE = (" the", " a", " and", " of", " to", " is", " in", " it", " no", " one", " two", " so")


@dataclass(frozen=True)
class OpenAIAnswer(Answer):
    """An answer as `POST /v1/chat/completions` gives it."""

    def usage(self) -> dict[str, Any]:
        """The ``usage`` object: the prompt once, the completion tokens of all choices."""
        prompt = self.request.prompt_tokens
        completion = sum(reply.completion_tokens for reply in self.replies)
        cached = max((reply.cached_tokens for reply in self.replies), default=0)
        reasoning = sum(reply.reasoning_tokens for reply in self.replies)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": min(cached, prompt)},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def body(self) -> dict[str, Any]:
        """The whole answer as one ``chat.completion`` object."""
        choices = [self._choice(index, reply) for index, reply in enumerate(self.replies)]
        return {**self._envelope("chat.completion"), "choices": choices, "usage": self.usage()}

    def events(self) -> list[Event]:
        """The answer as the events of a stream; the choices take turns, as they do in life."""
        turns = [list(self._choice_events(i, reply)) for i, reply in enumerate(self.replies)]
        events = [event for event in chain(*zip_longest(*turns)) if event is not None]
        if not self.replies:
            events.append(Event(Part.FINISH, self._chunk([])))
        if self._include_usage:
            events.append(Event(Part.END, self._chunk([], usage=self.usage())))
        return [*events, Event(Part.END, "[DONE]")]

    @property
    def _include_usage(self) -> bool:
        options = self.request.body.get("stream_options")
        return isinstance(options, Mapping) and bool(options.get("include_usage"))

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.number:08d}",
            "object": kind,
            "created": self.created,
            "model": self.request.model,
            "system_fingerprint": "fp_llmroute_scripted",
        }

    def _choice(self, index: int, reply: Reply) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None}
        if reply.reasoning is not None:
            message["reasoning_content"] = reply.reasoning
        if reply.tool_calls:
            message["tool_calls"] = self._tool_calls(index, reply)
        return {
            "index": index,
            "message": message,
            "logprobs": _logprobs(self._token_entries(reply)),
            "finish_reason": reply.finished,
        }

    def _tool_calls(self, choice: int, reply: Reply) -> list[dict[str, Any]]:
        turn = len(self.request.messages)
        return [
            {
                # The turn and the place keep ids apart within a conversation.
                "id": call.id or f"call_{token_id(self.model.name, turn, choice, place, call)}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_json},
            }
            for place, call in enumerate(reply.tool_calls)
        ]

    def _token_entries(self, reply: Reply) -> list[dict[str, Any] | None]:
        """For each token of the text its log-probabilities; None where none are asked for."""
        tokens = split_tokens(reply.content or "")
        if not self.request.body.get("logprobs"):
            return [None] * len(tokens)
        confidence = self.model.ability if reply.confidence is None else reply.confidence
        top = int(self.request.body.get("top_logprobs") or 0)
        return [
            _token_logprobs(token, confidence, top, self.model.name, place)
            for place, token in enumerate(tokens)
        ]

    def _choice_events(self, index: int, reply: Reply) -> Iterator[Event]:
        start = None if reply.content is None else ""
        role = {"role": "assistant", "content": start, "refusal": None}
        yield self._delta(Part.FRAME, index, role)
        for piece in split_tokens(reply.reasoning or ""):
            yield self._delta(Part.CONTENT, index, {"reasoning_content": piece})
        entries = self._token_entries(reply)
        for piece, entry in zip(split_tokens(reply.content or ""), entries, strict=True):
            yield self._delta(Part.CONTENT, index, {"content": piece}, logprobs=_logprobs([entry]))
        for place, call in enumerate(self._tool_calls(index, reply)):
            # Who is called first, then its arguments a few characters at a time.
            head = {**call, "function": {**call["function"], "arguments": ""}}
            pieces = argument_pieces(call["function"]["arguments"])
            for part in (head, *({"function": {"arguments": piece}} for piece in pieces)):
                yield self._delta(Part.CONTENT, index, {"tool_calls": [{"index": place, **part}]})
        yield self._delta(Part.FINISH, index, {}, finish_reason=reply.finished)

    def _delta(self, part: Part, index: int, delta: dict[str, Any], **fields: Any) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None, **fields}
        return Event(part, self._chunk([choice]))

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> str:
        chunk: dict[str, Any] = {**self._envelope("chat.completion.chunk"), "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return dump(chunk)


def _logprobs(entries: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    content = [entry for entry in entries if entry is not None]
    return {"content": content, "refusal": None} if content else None


def _token_logprobs(
    token: str, confidence: float, alternatives: int, model: str, position: int
) -> dict[str, Any]:
    """The log-probability entry of one token, with a number of ``top_logprobs``, itself included.

    The token given is always the likeliest. Its probability grows with ``confidence`` from about a
    third to about one, and the others share what is left, so the first two move apart. Two models,
    and two positions in an answer, differ a little.
    """
    jitter = 0.04 * (draw(model, position, token) - 0.5)
    likely = min(max(0.36 + 0.62 * confidence + jitter, 0.34), 0.999)
    words, probabilities, left = [token], [likely], 1 - likely
    while len(words) < alternatives:
        options = [word for word in _ELSE if word not in words]
        words.append(pick(options, model, position, token) if options else f" x{len(words)}")
        # Each takes a bit less than half of what is left, so they fall off and never reach the top.
        probabilities.append(left * 0.49)
        left *= 0.51
    entries = [
        {
            "token": word,
            "logprob": math.log(probability),
            "bytes": list(word.encode("utf-8", "surrogatepass")),
        }
        for word, probability in zip(words, probabilities, strict=True)
    ]
    return {**entries[0], "top_logprobs": entries[:alternatives]}


def _error(words: Words, message: str) -> dict[str, Any]:
    error = {"message": message, "type": words.kind, "param": words.param, "code": words.code}
    return {"error": error}


def model_list(names: Iterable[str], created: int) -> dict[str, Any]:
    """The answer to ``GET /v1/models``."""
    model = {"object": "model", "created": created, "owned_by": "llmroute"}
    return {"object": "list", "data": [{"id": name, **model} for name in names]}


_WORDS = {
    "rate_limit": Words(
        429,
        "Rate limit reached for {model}. Please try again later.",
        "requests",
        "rate_limit_exceeded",
    ),
    "server_error": Words(
        500,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
    ),
    "overloaded": Words(
        503,
        "The engine is currently overloaded, please try again later.",
        "server_error",
        "overloaded",
    ),
    "unauthorized": Words(401, "Incorrect API key provided: {key}.", code="invalid_api_key"),
    "forbidden": Words(
        403, "Project does not have access to this model.", code="model_not_allowed"
    ),
    "not_found": Words(
        404,
        "The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    ),
    "bad_request": Words(400, "Invalid value for 'messages'."),
    "context_window": Words(
        400,
        "This model's maximum context length is {limit} tokens. However, your messages "
        "resulted in {tokens} tokens. Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    ),
    "content_policy": Words(
        400,
        "Your request was rejected as a result of our safety system.",
        code="content_policy_violation",
    ),
    "script_error": Words(500, "{message}", "server_error", "script_error"),
}
#: OpenAI's chat completions.
OPENAI = Wire(
    parse=parse_request,
    answer=OpenAIAnswer,
    error=_error,
    words=_WORDS,
    failure="server_error",
    failure_event=None,
    broken_event=Event(Part.CONTENT, '{"id": "chatcmpl-broken", "choices": [{"index": 0, "mess'),
)
