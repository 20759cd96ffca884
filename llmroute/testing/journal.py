"""What the provider has seen, and which faults are next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, cycle, repeat
from threading import Lock
from typing import Any

from llmroute.testing.faults import Fault


@dataclass(frozen=True)
class RequestLog:
    """One request, as the provider saw it.

    Bodies and headers (keys!) are kept, so that tests can look at them, but not in the ``repr``, so
    that no failing test prints them.

    Attributes:
        model: The model asked for; empty when the request names none.
        path: The path asked for.
        body: The JSON body; empty when it was no JSON object.
        headers: The headers, names in lower case.
        started: When it had been read, in seconds of ``time.monotonic()``.
        status: The HTTP status sent; None while there is none, and for good where none was sent.
        fault: The name of the fault that struck it, or None.
        connection: The number of the TCP connection it came on, from 1.
    """

    model: str
    path: str
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    started: float
    status: int | None = None
    fault: str | None = None
    connection: int = 0


class Journal:
    """The requests in the order they came; safe to use from many threads."""

    def __init__(self) -> None:
        self._entries: dict[int, RequestLog] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def open(self, entry: RequestLog) -> int:
        """Note a request, and return its number for :meth:`note`."""
        with self._lock:
            number = next(self._numbers)
            self._entries[number] = entry
            return number

    def note(self, number: int, **facts: Any) -> None:
        """Add to what is known of a request; one cleared meanwhile is forgotten."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], **facts)

    def entries(self) -> list[RequestLog]:
        """All requests so far, those in flight included."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()


class FaultQueue:
    """The faults that wait for one model: first in, first out; safe to use from many threads."""

    def __init__(self) -> None:
        self._rows: deque[Iterator[Fault]] = deque()
        self._lock = Lock()

    def add(self, faults: Sequence[Fault], times: int | None) -> None:
        """Queue ``faults`` one after the other, the whole row ``times`` times; None for ever."""
        row = cycle(faults) if times is None else chain.from_iterable(repeat(faults, times))
        with self._lock:
            self._rows.append(row)

    def take(self) -> Fault | None:
        """The fault for the next call; None when that call may go well."""
        with self._lock:
            while self._rows:
                for fault in self._rows[0]:
                    return fault
                self._rows.popleft()
            return None
