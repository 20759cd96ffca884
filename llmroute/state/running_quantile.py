"""A threshold that keeps a share of strong calls, whatever comes (arXiv 2405.02134)."""

from __future__ import annotations

import math
import threading

from llmroute.errors import ConfigurationError
from llmroute.state.sorted_window import SortedWindow

#: Prompts that the quantile is taken of: enough to be steady, few enough to follow a drift.
_WINDOW = 1000


class RunningQuantile:
    """Escalates the most doubtful answers, as many as a share of all. Thread-safe.

    An answer is escalated when its doubt lies above the running quantile of the doubts seen, its
    own included. Of equal doubts, as votes of few samples have, it takes as many as the share still
    lacks.

    Args:
        share: Part of the prompts that may go to the strong model, 0..1.
        window: How many of the last doubts count.

    Raises:
        ConfigurationError: A share outside 0..1, or an empty window.
    """

    def __init__(self, share: float, window: int = _WINDOW) -> None:
        if not 0 <= share <= 1 or window < 1:
            raise ConfigurationError(
                f"a running quantile needs a share of 0..1 and a window of 1 or more; got {share} "
                f"and {window}."
            )
        self.share = share
        self._window = window
        self._recent = SortedWindow(window)
        self._seen = self._escalated = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RunningQuantile], tuple[float, int]]:
        """A copy starts empty: two counts of one traffic would not add up."""
        return RunningQuantile, (self.share, self._window)

    @property
    def spent(self) -> float:
        """Share of the prompts so far that were escalated."""
        return self._escalated / max(self._seen, 1)

    def escalate(self, doubt: float) -> bool:
        """Whether to ask the strong model for this prompt.

        Args:
            doubt: How doubtful the weak model's answer is; any scale, more is worse.

        Raises:
            ConfigurationError: A doubt that is not a number.
        """
        if math.isnan(doubt):
            raise ConfigurationError("a doubt must be a number; NaN was given.")
        with self._lock:
            self._seen += 1
            self._recent.add(doubt)
            # As many as the share of the window lie above this place.
            place = len(self._recent) - math.floor(self.share * len(self._recent))
            above = self._recent.below(doubt) >= place
            tied = self._recent.up_to(doubt) > place
            lacking = self._escalated + 1 <= self.share * self._seen
            decided = above or (tied and lacking)
            self._escalated += decided
            return decided
