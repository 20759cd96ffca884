"""A call on its way to an answer: how the answer goes out, and how far when it is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from llmroute.testing.client_request import ChatRequest
from llmroute.testing.exchange import Exchange
from llmroute.testing.reply import Reply
from llmroute.testing.wire import Answer, Event, Part, Wire, dump


@dataclass(frozen=True)
class Call:
    """A checked request on its way to an answer."""

    exchange: Exchange
    wire: Wire  # the protocol it came in
    request: ChatRequest
    compose: Callable[[], Answer]

    @cached_property
    def answer(self) -> Answer:
        """The answer. Making it may run the user's own code, so it is made when it is due."""
        return self.compose()

    def deliver(self, replies: tuple[Reply, ...] | None = None) -> None:
        """Send the answer, or other replies, as a healthy provider does: whole or streamed."""
        answer = self.answer if replies is None else replace(self.answer, replies=replies)
        self.exchange.pause(answer.model.delay)
        if self.request.stream:
            self.exchange.open_stream()
            self.send(answer.events())
            self.exchange.close_stream()
        else:
            self.exchange.send_json(200, answer.body())

    def refuse(
        self,
        name: str,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = 0,
    ) -> None:
        """Send an error in the provider's own words.

        Args:
            name: The fault's.
            message: What it says instead of the usual words.
            status: Another HTTP status than the usual one.
            headers: More headers.
            limit: The tokens of the model's context window, for the words to name.
        """
        sent = self.exchange.headers
        key = sent.get("x-api-key") or sent.get("authorization", "").split(" ", 1)[-1] or "(none)"
        tokens = max(self.request.prompt_tokens, limit + 1)
        body = self.wire.refusal(
            name, message, model=self.request.model, key=key, limit=limit, tokens=tokens
        )
        self.exchange.send_json(status or self.wire.words[name].status, body, headers=headers)

    def send(self, events: Iterable[Event]) -> None:
        """Send events of an open stream, at the model's pace."""
        for event in events:
            if event.part is Part.CONTENT:
                self.exchange.pause(self.answer.model.chunk_delay)
            self.exchange.send_event(event)

    def begin(self, after: int) -> list[Event]:
        """Open a stream and send it up to its ``after``-th chunk of content.

        Returns:
            The events that are left; with ``after`` beyond the content, the finish reason and on.
        """
        self.exchange.pause(self.answer.model.delay)
        self.exchange.open_stream()
        events = self.answer.events()
        content = [place for place, event in enumerate(events) if event.part is Part.CONTENT]
        end = next(place for place, e in enumerate(events) if e.part in (Part.FINISH, Part.END))
        split = min([*content[after : after + 1], end])
        self.send(events[:split])
        return events[split:]

    def send_half(self) -> bytes:
        """Send half of a whole answer under the length of it all, and return the other half."""
        self.exchange.pause(self.answer.model.delay)
        body = dump(self.answer.body()).encode()
        half = len(body) // 2
        self.exchange.send(200, body[:half], missing=len(body) - half)
        return body[half:]
