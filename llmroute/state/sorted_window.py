"""The last numbers of a stream, kept in order."""

from __future__ import annotations

import bisect
from collections import deque


class SortedWindow:
    """The last numbers that came, sorted. Not thread-safe: whoever holds it locks.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: float) -> None:
        """Take in a number; the oldest goes when there are too many."""
        self._recent.append(value)
        bisect.insort(self._sorted, value)
        if len(self._recent) > self._size:
            oldest = self._recent.popleft()
            del self._sorted[bisect.bisect_left(self._sorted, oldest)]

    def below(self, value: float) -> int:
        """How many are smaller."""
        return bisect.bisect_left(self._sorted, value)

    def up_to(self, value: float) -> int:
        """How many are not larger."""
        return bisect.bisect_right(self._sorted, value)
