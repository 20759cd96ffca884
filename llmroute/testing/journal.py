"""What the provider has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any


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
        """Start with no requests."""
        self._entries: dict[int, RequestLog] = {}
        self._next = 0
        self._lock = Lock()

    def open(self, entry: RequestLog) -> int:
        """Note a request.

        Returns:
            Its number, for the notes below.
        """
        with self._lock:
            self._next += 1
            self._entries[self._next] = entry
            return self._next

    def note_status(self, number: int, status: int) -> None:
        """Note the status sent; a request cleared meanwhile is forgotten."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], status=status)

    def note_fault(self, number: int, fault: str) -> None:
        """Note the fault that struck; a request cleared meanwhile is forgotten."""
        with self._lock:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], fault=fault)

    def entries(self) -> list[RequestLog]:
        """All requests so far, those in flight included."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()
