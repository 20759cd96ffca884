"""What a router has seen so far, which policies, rules and escalations are given to decide by."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

from llmroute.state.confidence_ranks import ConfidenceRanks
from llmroute.state.cooldown import Cooldowns
from llmroute.state.running_quantile import RunningQuantile

_Kept = TypeVar("_Kept")

#: Values of one kind that are kept, such as running quantiles: more than a program should need. The
#: one that was not used for longest goes first.
_KEPT = 64


class RouterState:
    """What a router has seen so far. Thread-safe; a copy begins with nothing.

    Policies, rules and escalations are plain values: two equal ones do the same with the same
    state. A router hands its own to them.

    Attributes:
        cooldowns: Which models failed in a row.
    """

    def __init__(self) -> None:
        self.cooldowns = Cooldowns()
        self._quantiles: OrderedDict[Hashable, RunningQuantile] = OrderedDict()
        self._ranks: OrderedDict[Hashable, ConfidenceRanks] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RouterState], tuple[()]]:
        """A copy begins with nothing: two counts of one traffic would not add up."""
        return RouterState, ()

    def quantile(self, name: str, share: float) -> RunningQuantile:
        """The running quantile that keeps a share of strong calls.

        Args:
            name: Who asks for it; each counts for itself.
            share: The share, 0..1.
        """
        return self._kept(self._quantiles, (name, share), lambda: RunningQuantile(share))

    def confidence_ranks(self, models: tuple[str, ...]) -> ConfidenceRanks:
        """The confidences that the models of a pool gave before."""
        return self._kept(self._ranks, models, ConfidenceRanks)

    def _kept(
        self, kept: OrderedDict[Hashable, _Kept], key: Hashable, make: Callable[[], _Kept]
    ) -> _Kept:
        with self._lock:
            if key not in kept:
                while len(kept) >= _KEPT:
                    kept.popitem(last=False)
                kept[key] = make()
            kept.move_to_end(key)
            return kept[key]
