"""Which fault is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, repeat
from threading import Lock

from llmroute.testing.faults import Fault


class FaultQueue:
    """The faults that wait for one model: first in, first out; safe to use from many threads."""

    def __init__(self) -> None:
        """Start with no faults."""
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

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._rows.clear()
