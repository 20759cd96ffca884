"""The ways a provider fails, each done for real on the wire."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Literal

from llmroute.testing.delivery import Call, begin, deliver, half_body, send_events
from llmroute.testing.exchange import Exchange
from llmroute.testing.reply import Reply
from llmroute.testing.wire import Event

Act = Callable[[Exchange, Call], None]

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>"
    b"<body><h1>Please sign in to the guest network</h1></body></html>\n"
)


@dataclass(frozen=True)
class Fault:
    """One way to fail. Make them with the methods below; queue them with ``ScriptedProvider.fail``.

    Faults act on streamed and on plain requests alike. What tears a stream in the middle tears a
    plain answer as well: its body then is too short, broken or late.

    Attributes:
        name: What the request log says, such as ``"rate_limit"``.
    """

    name: str
    _act: Act = field(repr=False, compare=False)

    def strike(self, exchange: Exchange, call: Call) -> None:
        """Fail this call."""
        self._act(exchange, call)

    # Errors in the provider's own words

    @staticmethod
    def rate_limit(retry_after: float | None = None, *, as_date: bool = False) -> Fault:
        """HTTP 429.

        Args:
            retry_after: Seconds to wait, sent in ``Retry-After``; None sends no such header.
            as_date: Send the HTTP date at which to retry instead. Such dates have whole seconds
                only; the fraction is rounded up.
        """

        def act(exchange: Exchange, call: Call) -> None:
            headers = {}
            if retry_after is not None:
                date = formatdate(math.ceil(time.time() + retry_after), usegmt=True)
                headers["Retry-After"] = date if as_date else f"{retry_after:g}"
            body = call.wire.refusal("rate_limit", model=call.request.model)
            exchange.send_json(429, body, headers=headers)

        return Fault("rate_limit", act)

    @staticmethod
    def server_error(status: int = 500) -> Fault:
        """An HTTP error of the 500s (or any other status) with the provider's usual body."""
        return _refusal("server_error", status=status)

    @staticmethod
    def overloaded() -> Fault:
        """Too many requests for the provider as a whole: HTTP 503, or Anthropic's 529."""
        return _refusal("overloaded")

    @staticmethod
    def unauthorized() -> Fault:
        """HTTP 401 whose message repeats the key it was sent, as careless providers do."""

        def act(exchange: Exchange, call: Call) -> None:
            sent = exchange.request.headers
            key = sent.get("x-api-key") or sent.get("authorization", "").split(" ", 1)[-1]
            exchange.send_json(401, call.wire.refusal("unauthorized", key=key or "(none)"))

        return Fault("unauthorized", act)

    @staticmethod
    def forbidden() -> Fault:
        """HTTP 403: the key is good, but not for this model."""
        return _refusal("forbidden")

    @staticmethod
    def not_found() -> Fault:
        """HTTP 404: no such model, the model being known or not."""
        return _refusal("not_found")

    @staticmethod
    def bad_request(message: str | None = None) -> Fault:
        """HTTP 400 of no particular kind.

        Args:
            message: What it says; by default something that is wrong with the messages.
        """
        return _refusal("bad_request", message=message)

    @staticmethod
    def context_window(limit: int = 8192) -> Fault:
        """HTTP 400: the prompt is too long (OpenAI's ``context_length_exceeded``).

        Args:
            limit: The maximum context length that the message names, in tokens.
        """

        def act(exchange: Exchange, call: Call) -> None:
            tokens = max(call.request.prompt_tokens, limit + 1)
            exchange.send_json(400, call.wire.refusal("context_window", limit=limit, tokens=tokens))

        return Fault("context_window", act)

    @staticmethod
    def content_policy() -> Fault:
        """HTTP 400: the prompt or the answer is refused (OpenAI's ``content_policy_violation``)."""
        return _refusal("content_policy")

    # No answer, or a late one

    @staticmethod
    def hang(seconds: float = 600.0) -> Fault:
        """Take the request and say nothing until the client leaves or time is up; then close."""

        def act(exchange: Exchange, call: Call) -> None:
            exchange.hang_up()
            exchange.pause(seconds)

        return Fault("hang", act)

    @staticmethod
    def slow(seconds: float) -> Fault:
        """Wait, then answer as if nothing had been."""

        def act(exchange: Exchange, call: Call) -> None:
            exchange.pause(seconds)
            deliver(exchange, call.answer)

        return Fault("slow", act)

    @staticmethod
    def disconnect() -> Fault:
        """Close the connection without a word."""
        return Fault("disconnect", lambda exchange, call: exchange.hang_up())

    # HTTP 200, and yet no answer

    @staticmethod
    def malformed_json() -> Fault:
        """HTTP 200 with JSON that breaks off; in a stream, as its only event."""
        return Fault("malformed_json", lambda exchange, call: _broken(exchange, call, 0))

    @staticmethod
    def html() -> Fault:
        """HTTP 200 with an HTML page, as from a proxy or a sign-in portal."""

        def act(exchange: Exchange, call: Call) -> None:
            exchange.send(200, _HTML, content_type="text/html; charset=utf-8")

        return Fault("html", act)

    @staticmethod
    def empty() -> Fault:
        """HTTP 200 with a message that is the empty string, and no tool calls.

        Anthropic's has no content blocks then, as real ones of Anthropic have none.
        """

        def act(exchange: Exchange, call: Call) -> None:
            nothing = (Reply(""),) * call.request.n
            deliver(exchange, replace(call.answer, replies=nothing))

        return Fault("empty", act)

    @staticmethod
    def no_choices() -> Fault:
        """HTTP 200 with an empty list of choices; in Anthropic's protocol, of content blocks."""

        def act(exchange: Exchange, call: Call) -> None:
            deliver(exchange, replace(call.answer, replies=()))

        return Fault("no_choices", act)

    # An answer that breaks in the middle

    @staticmethod
    def cut_stream(after: int = 1, *, close: Literal["clean", "reset"] = "clean") -> Fault:
        """End the connection in the middle: no finish reason, no ``[DONE]``.

        A plain answer promises more bytes than it sends.

        Args:
            after: How many chunks of content the client gets first.
            close: ``"clean"`` ends the body and the connection properly, so that only what is
                missing tells; ``"reset"`` resets the connection.
        """
        _check_after(after)

        def act(exchange: Exchange, call: Call) -> None:
            reset = close == "reset"
            if call.request.stream:
                exchange.keep_alive = False
                begin(exchange, call.answer, after)
                if not reset:
                    exchange.close_stream()
            else:
                _send_half(exchange, call)
            exchange.hang_up(reset=reset)

        return Fault("cut_stream", act)

    @staticmethod
    def malformed_stream(after: int = 1) -> Fault:
        """An event with broken JSON after some chunks of content, and the end.

        Args:
            after: How many chunks of content the client gets first.
        """
        _check_after(after)
        return Fault("malformed_stream", lambda exchange, call: _broken(exchange, call, after))

    @staticmethod
    def error_in_stream(after: int = 1) -> Fault:
        """An event that holds an error object, and the end. A plain request gets it as HTTP 500.

        Args:
            after: How many chunks of content the client gets first.
        """
        _check_after(after)

        def act(exchange: Exchange, call: Call) -> None:
            if call.request.stream:
                begin(exchange, call.answer, after)
                _send(exchange, call.wire.error_event())
                exchange.close_stream()
            else:
                exchange.send_json(500, call.wire.refusal("server_error"))

        return Fault("error_in_stream", act)

    @staticmethod
    def stall(after: int = 1, seconds: float = 600.0) -> Fault:
        """Stop in the middle for a while, then go on. A plain answer stops halfway in its body.

        Args:
            after: How many chunks of content the client gets first.
            seconds: How long the silence is.
        """
        _check_after(after)

        def act(exchange: Exchange, call: Call) -> None:
            if call.request.stream:
                rest = begin(exchange, call.answer, after)
                exchange.pause(seconds)
                send_events(exchange, call.answer, rest)
                exchange.close_stream()
            else:
                rest_of_body = _send_half(exchange, call)
                exchange.pause(seconds)
                exchange.connection.sendall(rest_of_body)

        return Fault("stall", act)


def _refusal(name: str, *, status: int | None = None, message: str | None = None) -> Fault:
    """A fault in the provider's own words, under its usual status unless another is given."""

    def act(exchange: Exchange, call: Call) -> None:
        body = call.wire.refusal(name, message, model=call.request.model)
        exchange.send_json(status or call.wire.words[name].status, body)

    return Fault(name, act)


def _send(exchange: Exchange, event: Event) -> None:
    exchange.send_event(event.data, event.name)


def _check_after(after: int) -> None:
    if after < 0:
        raise ValueError(f"after must not be negative, got {after}")


def _broken(exchange: Exchange, call: Call, after: int) -> None:
    if call.request.stream:
        begin(exchange, call.answer, after)
        _send(exchange, call.wire.broken_event())
        exchange.close_stream()
    else:
        exchange.send(200, call.wire.broken_event().data.encode())


def _send_half(exchange: Exchange, call: Call) -> bytes:
    """Send half of a plain answer under the length of the whole, and return the other half."""
    exchange.pause(call.answer.model.delay)
    first, rest = half_body(call.answer)
    exchange.send(200, first, missing=len(rest))
    return rest
