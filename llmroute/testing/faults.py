"""The ways a provider fails, each done for real on the wire."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal

from llmroute.testing.delivery import Call
from llmroute.testing.reply import Reply

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
    _act: Callable[[Call], None] = field(repr=False, compare=False)

    def strike(self, call: Call) -> None:
        """Fail a call."""
        self._act(call)

    # Errors in the provider's own words

    @staticmethod
    def rate_limit(retry_after: float | None = None, *, as_date: bool = False) -> Fault:
        """HTTP 429.

        Args:
            retry_after: Seconds to wait, sent in ``Retry-After``; None sends no such header.
            as_date: Send the HTTP date at which to retry instead. Such dates have whole seconds
                only; the fraction is rounded up.
        """

        def act(call: Call) -> None:
            headers = {}
            if retry_after is not None:
                date = formatdate(math.ceil(time.time() + retry_after), usegmt=True)
                headers["Retry-After"] = date if as_date else f"{retry_after:g}"
            call.refuse("rate_limit", headers=headers)

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
        return _refusal("unauthorized")

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
        """HTTP 400 of no particular kind; it says ``message``, or that the messages are wrong."""
        return _refusal("bad_request", message=message)

    @staticmethod
    def context_window(limit: int = 8192) -> Fault:
        """HTTP 400: the prompt is longer than ``limit`` tokens (``context_length_exceeded``)."""
        return _refusal("context_window", limit=limit)

    @staticmethod
    def content_policy() -> Fault:
        """HTTP 400: the prompt or the answer is refused (OpenAI's ``content_policy_violation``)."""
        return _refusal("content_policy")

    # No answer, or a late one

    @staticmethod
    def hang(seconds: float = 600.0) -> Fault:
        """Take the request and say nothing until the client leaves or time is up; then close."""

        def act(call: Call) -> None:
            call.exchange.hang_up()
            call.exchange.pause(seconds)

        return Fault("hang", act)

    @staticmethod
    def slow(seconds: float) -> Fault:
        """Wait, then answer as if nothing had been."""

        def act(call: Call) -> None:
            call.exchange.pause(seconds)
            call.deliver()

        return Fault("slow", act)

    @staticmethod
    def disconnect() -> Fault:
        """Close the connection without a word."""
        return Fault("disconnect", lambda call: call.exchange.hang_up())

    # HTTP 200, and yet no answer

    @staticmethod
    def malformed_json() -> Fault:
        """HTTP 200 with JSON that breaks off; in a stream, as its only event."""
        return Fault("malformed_json", lambda call: _send_broken(call, 0))

    @staticmethod
    def html() -> Fault:
        """HTTP 200 with an HTML page, as from a proxy or a sign-in portal."""

        def act(call: Call) -> None:
            call.exchange.send(200, _HTML, content_type="text/html; charset=utf-8")

        return Fault("html", act)

    @staticmethod
    def empty() -> Fault:
        """HTTP 200 with a message that is the empty string, and no tool calls.

        Anthropic's has no content blocks then, as real ones of Anthropic have none.
        """
        return Fault("empty", lambda call: call.deliver((Reply(""),) * call.request.n))

    @staticmethod
    def no_choices() -> Fault:
        """HTTP 200 with an empty list of choices; in Anthropic's protocol, of content blocks."""
        return Fault("no_choices", lambda call: call.deliver(()))

    # An answer that breaks in the middle

    @staticmethod
    def cut_stream(after: int = 1, *, close: Literal["clean", "reset"] = "clean") -> Fault:
        """End the connection after some chunks of content: no finish reason, no ``[DONE]``.

        A plain answer promises more bytes than it sends.

        Args:
            after: How many chunks of content the client gets first.
            close: ``"clean"`` ends the body and the connection properly, so that only what is
                missing tells; ``"reset"`` resets the connection.
        """
        _check_after(after)

        def act(call: Call) -> None:
            reset = close == "reset"
            if call.request.stream:
                call.exchange.keep_alive = False
                call.begin(after)
                if not reset:
                    call.exchange.close_stream()
            else:
                call.send_half()
            call.exchange.hang_up(reset=reset)

        return Fault("cut_stream", act)

    @staticmethod
    def malformed_stream(after: int = 1) -> Fault:
        """An event with broken JSON after ``after`` chunks of content, and the end."""
        _check_after(after)
        return Fault("malformed_stream", lambda call: _send_broken(call, after))

    @staticmethod
    def error_in_stream(after: int = 1) -> Fault:
        """An error object as the event after ``after`` chunks of content, and the end.

        A plain request gets it as HTTP 500.
        """
        _check_after(after)

        def act(call: Call) -> None:
            if call.request.stream:
                call.begin(after)
                call.exchange.send_event(call.wire.error_event())
                call.exchange.close_stream()
            else:
                call.refuse("server_error")

        return Fault("error_in_stream", act)

    @staticmethod
    def stall(after: int = 1, seconds: float = 600.0) -> Fault:
        """Stop for ``seconds`` after ``after`` chunks of content, then go on.

        A plain answer stops halfway in its body.
        """
        _check_after(after)

        def act(call: Call) -> None:
            if call.request.stream:
                rest = call.begin(after)
                call.exchange.pause(seconds)
                call.send(rest)
                call.exchange.close_stream()
            else:
                rest_of_body = call.send_half()
                call.exchange.pause(seconds)
                call.exchange.connection.sendall(rest_of_body)

        return Fault("stall", act)


def _refusal(name: str, **changes: Any) -> Fault:
    """A fault in the provider's own words; ``changes`` are those of :meth:`Call.refuse`."""
    return Fault(name, lambda call: call.refuse(name, **changes))


def _check_after(after: int) -> None:
    if after < 0:
        raise ValueError(f"after must not be negative, got {after}")


def _send_broken(call: Call, after: int) -> None:
    event = call.wire.broken_event
    if call.request.stream:
        call.begin(after)
        call.exchange.send_event(event)
        call.exchange.close_stream()
    else:
        call.exchange.send(200, event.data.encode())
