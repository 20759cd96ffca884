"""The rank of a confidence among those that its model gave before.

Models differ in how sure they are: the median probability that a 2024 frontier model gives its
answer's token is 0.99998, a 1B model's 0.6, and both mean about as much by it. What a confidence is
worth shows when it is compared with the same model's others, and a dozen of them tell nearly as
much as all do.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from llmroute.state.sorted_window import SortedWindow

#: Confidences of a kind that are kept: enough to be steady, few enough to follow a drift.
_WINDOW = 500
#: With fewer of them a rank says little.
_ENOUGH = 10
#: Kinds of confidences that are kept.
_KINDS = 1024

#: A kind of confidence, the model's column, and the form of the answer.
Key = tuple[str, int, str]


class ConfidenceRanks:
    """The confidences that a pool's models gave last. Thread-safe; a copy starts empty."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, SortedWindow] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ConfidenceRanks], tuple[()]]:
        return ConfidenceRanks, ()

    def note(self, key: Key, confidence: float) -> None:
        """Take note of a confidence that was observed.

        Args:
            key: Whose it is, and of what.
            confidence: 0..1.
        """
        with self._lock:
            if key not in self._seen:
                while len(self._seen) >= _KINDS:
                    self._seen.popitem(last=False)
                self._seen[key] = SortedWindow(_WINDOW)
            self._seen[key].add(confidence)

    def rank(self, key: Key, confidence: float) -> float | None:
        """The share of earlier confidences that lie below one, 0..1; None where few are known.

        Equal ones count as half below it.

        Args:
            key: Whose it is, and of what.
            confidence: 0..1.
        """
        with self._lock:
            seen = self._seen.get(key)
            if seen is None or len(seen) < _ENOUGH:
                return None
            half = 0.5 / len(seen)
            share = (seen.below(confidence) + seen.up_to(confidence)) * half
        return min(max(share, half), 1 - half)
