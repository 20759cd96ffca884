"""How a healthy answer goes out, and how far it gets when it is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from llmroute.testing.client_request import ChatRequest
from llmroute.testing.exchange import Exchange
from llmroute.testing.wire import Answer, Event, Part, Wire, dump


@dataclass(frozen=True)
class Call:
    """A checked request on its way to an answer.

    Attributes:
        request: What was asked.
        compose: Makes the answer. It may run the user's own code, so it runs only when an answer is
            due: see :attr:`answer`.
        wire: The protocol it came in.
    """

    request: ChatRequest
    compose: Callable[[], Answer]
    wire: Wire

    @cached_property
    def answer(self) -> Answer:
        """The answer, made at the first look."""
        return self.compose()


def deliver(exchange: Exchange, answer: Answer) -> None:
    """Send an answer as a healthy provider does, whole or streamed as the request asks."""
    exchange.pause(answer.model.delay)
    if answer.request.stream:
        exchange.open_stream()
        send_events(exchange, answer, answer.events())
        exchange.close_stream()
    else:
        exchange.send_json(200, answer.body())


def send_events(exchange: Exchange, answer: Answer, events: Iterable[Event]) -> None:
    """Send events of an open stream, at the model's pace."""
    for event in events:
        if event.part is Part.CONTENT:
            exchange.pause(answer.model.chunk_delay)
        exchange.send_event(event.data, event.name)


def begin(exchange: Exchange, answer: Answer, after: int) -> list[Event]:
    """Open a stream and send it up to its ``after``-th chunk of content.

    Returns:
        The events that are left; with ``after`` beyond the content, the finish reason and on.
    """
    exchange.pause(answer.model.delay)
    exchange.open_stream()
    events = answer.events()
    split = _split(events, after)
    send_events(exchange, answer, events[:split])
    return events[split:]


def half_body(answer: Answer) -> tuple[bytes, bytes]:
    """The answer's whole body, torn in the middle."""
    body = dump(answer.body()).encode()
    return body[: len(body) // 2], body[len(body) // 2 :]


def _split(events: list[Event], after: int) -> int:
    """Where the stream is cut: before the next chunk of content, or before the finish reason."""
    content = 0
    for place, event in enumerate(events):
        if event.part in (Part.FINISH, Part.END):
            return place
        if event.part is Part.CONTENT:
            if content == after:
                return place
            content += 1
    return len(events)
