"""What every protocol of the scripted provider has: answers, events of a stream, errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from llmroute.testing.client_request import ChatRequest, RequestError
from llmroute.testing.models import ScriptedModel
from llmroute.testing.reply import Reply

#: Characters of a tool call's arguments in one event of a stream.
_ARGUMENT_PIECE = 8


class Part(Enum):
    """What an event of a stream carries."""

    FRAME = auto()  # a role; the start or the end of a block
    CONTENT = auto()
    FINISH = auto()
    END = auto()  # usage and `[DONE]` as well


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    part: Part
    data: str  # what follows `data:`
    name: str | None = None  # what follows `event:`; None where the protocol names no events


@dataclass(frozen=True)
class Answer(ABC):
    """An answer, ready to be put on the wire whole or in pieces."""

    request: ChatRequest
    model: ScriptedModel
    replies: tuple[Reply, ...]  # one for each choice
    number: int  # makes its id
    created: int  # in whole seconds since 1970

    @abstractmethod
    def body(self) -> dict[str, Any]:
        """The whole answer as one object."""

    @abstractmethod
    def events(self) -> list[Event]:
        """The answer as the events of a stream."""


@dataclass(frozen=True)
class Words:
    """A provider's words for one kind of failure."""

    status: int  # of HTTP
    message: str  # for people, with places to fill
    kind: str = "invalid_request_error"
    code: str | None = None  # for programs
    param: str | None = None  # the part of the request at fault


@dataclass(frozen=True)
class Wire:
    """A protocol: how requests are read in it, and answers and errors written."""

    #: Checks the JSON of a request and reads it; raises RequestError as the provider would.
    parse: Callable[[Any], ChatRequest]
    answer: type[Answer]
    #: Writes an error's body: what kind of error, and its message with all places filled.
    error: Callable[[Words, str], dict[str, Any]]
    words: Mapping[str, Words]  # by the name of the fault
    failure: str  # the fault whose words the error event has that ends a stream
    failure_event: str | None  # the name of that event
    broken_event: Event  # its JSON breaks off

    def invalid(self, error: RequestError) -> dict[str, Any]:
        """The body of a refusal of a malformed request."""
        return self.error(Words(400, "", code=error.code, param=error.param), str(error))

    def refusal(self, name: str, message: str | None = None, **facts: object) -> dict[str, Any]:
        """The body of a failure: in a given message, or the usual one with its places filled."""
        words = self.words[name]
        return self.error(words, words.message.format(**facts) if message is None else message)

    def error_event(self) -> Event:
        """The error that ends a stream."""
        return Event(Part.END, dump(self.refusal(self.failure)), self.failure_event)


def argument_pieces(arguments: str) -> list[str]:
    """A tool call's arguments, a few characters at a time."""
    starts = range(0, len(arguments), _ARGUMENT_PIECE)
    return [arguments[start : start + _ARGUMENT_PIECE] for start in starts]


def dump(value: object) -> str:
    """Compact JSON in ASCII, which no half surrogate pair in a prompt can break."""
    return json.dumps(value, separators=(",", ":"))
