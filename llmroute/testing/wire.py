"""What every protocol of the scripted provider has: answers, events of a stream, errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from llmroute.testing.client_request import ChatRequest, RequestError
from llmroute.testing.models import ScriptedModel
from llmroute.testing.reply import Reply


class Part(Enum):
    """What an event of a stream carries."""

    FRAME = "frame"
    CONTENT = "content"
    FINISH = "finish"
    END = "end"


@dataclass(frozen=True)
class Event:
    """One server-sent event.

    Attributes:
        part: What it carries. A role, or the start and the end of a block, are the frame; usage and
            ``[DONE]`` count as the end.
        data: What follows ``data:``.
        name: What follows ``event:``; None where the protocol names no events.
    """

    part: Part
    data: str
    name: str | None = None


@dataclass(frozen=True)
class Answer(ABC):
    """An answer, ready to be put on the wire whole or in pieces.

    Attributes:
        request: What was asked.
        model: Who answers.
        replies: One for each choice.
        number: The answer's number, which makes its id.
        created: When, in whole seconds since 1970.
    """

    request: ChatRequest
    model: ScriptedModel
    replies: tuple[Reply, ...]
    number: int
    created: int

    @abstractmethod
    def body(self) -> dict[str, Any]:
        """The whole answer as one object."""

    @abstractmethod
    def events(self) -> list[Event]:
        """The answer as the events of a stream."""


@dataclass(frozen=True)
class Words:
    """A provider's words for one kind of failure.

    Attributes:
        status: The HTTP status.
        message: For people; with places to fill.
        kind: The error's ``type``.
        code: For programs; None where the protocol has none.
        param: The part of the request at fault, likewise.
    """

    status: int
    message: str
    kind: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None


class Wire(ABC):
    """A protocol: how requests are read in it, and answers and errors written."""

    #: By the name of the :class:`~llmroute.testing.Fault`.
    words: ClassVar[Mapping[str, Words]]

    @abstractmethod
    def parse(self, body: object) -> ChatRequest:
        """Check a request body and read it.

        Args:
            body: The JSON.

        Raises:
            RequestError: As the provider would turn it down.
        """

    @abstractmethod
    def answer(
        self,
        request: ChatRequest,
        model: ScriptedModel,
        replies: tuple[Reply, ...],
        number: int,
        created: int,
    ) -> Answer:
        """An answer in this protocol; the arguments are :class:`Answer`'s."""

    @abstractmethod
    def error(self, words: Words, message: str) -> dict[str, Any]:
        """An error's body.

        Args:
            words: What kind of error.
            message: Its message, with all places filled.
        """

    @abstractmethod
    def invalid(self, error: RequestError) -> dict[str, Any]:
        """The body of a refusal of a malformed request."""

    @abstractmethod
    def error_event(self) -> Event:
        """The error that ends a stream."""

    @abstractmethod
    def broken_event(self) -> Event:
        """An event whose JSON breaks off."""

    def refusal(self, name: str, message: str | None = None, **facts: object) -> dict[str, Any]:
        """The body of a failure in this protocol's words.

        Args:
            name: Whose: the fault's name.
            message: Another message.
            facts: What fills the places of the usual one.
        """
        words = self.words[name]
        return self.error(words, words.message.format(**facts) if message is None else message)


def dump(value: object) -> str:
    """Compact JSON in ASCII, which no half surrogate pair in a prompt can break."""
    return json.dumps(value, separators=(",", ":"))
