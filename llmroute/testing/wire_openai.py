"""OpenAI's wire format: what an answer, a stream and an error look like as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, ClassVar

from llmroute.testing.chance import token_id
from llmroute.testing.client_request import ChatRequest, RequestError
from llmroute.testing.models import ScriptedModel
from llmroute.testing.reply import Reply
from llmroute.testing.request_openai import parse_request
from llmroute.testing.scripted_logprobs import token_logprobs
from llmroute.testing.tokens import split_tokens
from llmroute.testing.wire import Answer, Event, Part, Wire, Words, dump

FINGERPRINT = "fp_llmroute_scripted"
_ARGUMENT_PIECE = 8
_SORRY = "The server had an error while processing your request. Sorry about that!"


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
            "system_fingerprint": FINGERPRINT,
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
        sure = self.model.ability if reply.confidence is None else reply.confidence
        top = int(self.request.body.get("top_logprobs") or 0)
        return [
            token_logprobs(self.model.name, place, token, sure, top)
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
            for part in _call_pieces(place, call):
                yield self._delta(Part.CONTENT, index, {"tool_calls": [part]})
        yield self._delta(Part.FINISH, index, {}, finish_reason=reply.finished)

    def _delta(
        self,
        part: Part,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
    ) -> Event:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return Event(part, self._chunk([choice]))

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> str:
        chunk: dict[str, Any] = {**self._envelope("chat.completion.chunk"), "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return dump(chunk)


def _logprobs(entries: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    content = [entry for entry in entries if entry is not None]
    return {"content": content, "refusal": None} if content else None


def _call_pieces(place: int, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A tool call in pieces: who is called first, then its arguments a few characters at a time."""
    arguments = call["function"]["arguments"]
    yield {"index": place, **call, "function": {**call["function"], "arguments": ""}}
    for start in range(0, len(arguments), _ARGUMENT_PIECE):
        piece = arguments[start : start + _ARGUMENT_PIECE]
        yield {"index": place, "function": {"arguments": piece}}


class OpenAIWire(Wire):
    """OpenAI's chat completions."""

    words: ClassVar[Mapping[str, Words]] = {
        "rate_limit": Words(
            429,
            "Rate limit reached for {model}. Please try again later.",
            "requests",
            "rate_limit_exceeded",
        ),
        "server_error": Words(500, _SORRY, "server_error"),
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

    def parse(self, body: object) -> ChatRequest:
        """Check a request body and read it."""
        return parse_request(body)

    def answer(
        self,
        request: ChatRequest,
        model: ScriptedModel,
        replies: tuple[Reply, ...],
        number: int,
        created: int,
    ) -> Answer:
        """An answer in this protocol."""
        return OpenAIAnswer(request, model, replies, number, created)

    def error(self, words: Words, message: str) -> dict[str, Any]:
        """An error's body."""
        return error_body(message, words.kind, param=words.param, code=words.code)

    def invalid(self, error: RequestError) -> dict[str, Any]:
        """The body of a refusal of a malformed request."""
        return error_body(str(error), param=error.param, code=error.code)

    def error_event(self) -> Event:
        """The error that ends a stream."""
        return Event(Part.END, dump(self.error(self.words["server_error"], _SORRY)))

    def broken_event(self) -> Event:
        """JSON that breaks off."""
        return Event(Part.CONTENT, '{"id": "chatcmpl-broken", "choices": [{"index": 0, "mess')


def error_body(
    message: str,
    kind: str = "invalid_request_error",
    *,
    param: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """OpenAI's error object.

    Args:
        message: For people.
        kind: OpenAI's ``type``.
        param: The part of the request at fault.
        code: For programs.
    """
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def model_list(names: list[str], created: int) -> dict[str, Any]:
    """The answer to ``GET /v1/models``."""
    models = [
        {"id": name, "object": "model", "created": created, "owned_by": "llmroute"}
        for name in names
    ]
    return {"object": "list", "data": models}
