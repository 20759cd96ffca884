"""What every router of this package is made of: a head that reads vectors of prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats, Floats32
from llmroute.outcomes.splits import mean_of_known

Arrays = Mapping[str, npt.NDArray[Any]]
#: Told the stage, how much of it is done, how much there is, and a note.
Progress = Callable[[str, int, int, str], None]

Setting = TypeVar("Setting")

#: In the logits that training begins with, shares are held this far from 0 and 1: within ±4.6.
LEAST_SHARE = 0.01
#: Losses that differ by no more are equal: the rest is how sums were rounded.
_EQUAL_LOSS = 1e-9
#: The card's figure that every router has.
CHOOSING = "log loss on prompts for choosing"


class Head(Protocol):
    """What a router learned: vectors in, quality of every model out."""

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) estimated quality, 0..1.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        ...

    def cost(self, vectors: Floats32) -> Floats | None:
        """(P, M) expected USD of a call, or None where the prompt does not matter for it.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        ...


class NoCost:
    """A head that knows nothing of costs beyond each model's mean."""

    def cost(self, vectors: Floats32) -> Floats | None:
        """None: a model's mean cost holds for every prompt."""
        return None


def quiet(stage: str, done: int, total: int, note: str = "") -> None:
    """A progress callback that shows nothing."""


def log_loss(quality: Floats, target: Floats) -> float:
    """Mean log loss over known cells.

    Args:
        quality: (P, M) probabilities.
        target: (P, M) what was to be predicted, 0..1, NaN where unknown.
    """
    known = ~np.isnan(target)
    p, y = np.clip(quality[known], 1e-4, 1 - 1e-4), target[known]
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def of_least_loss(losses: Mapping[Setting, float]) -> Setting:
    """The setting of the least loss; of equals, the first.

    Args:
        losses: Setting → loss, not empty.
    """
    enough = min(losses.values()) + _EQUAL_LOSS
    # A loss that is no number, where nothing was known, is not above it.
    return next(setting for setting, loss in losses.items() if not loss > enough)


def group_means(
    values: Floats, label: npt.NDArray[np.int64], groups: int, strength: float
) -> Floats:
    """(K, M) mean of each column in each group, drawn to its mean over all.

    Args:
        values: (P, M), NaN where unknown.
        label: (P,) the group of each row, 0 to K − 1.
        groups: K.
        strength: Weight of the mean over all, in rows.
    """
    known = ~np.isnan(values)
    totals, counts = np.zeros((2, groups, values.shape[1]))
    np.add.at(totals, label, np.where(known, values, 0.0))
    np.add.at(counts, label, known)
    means: Floats = (totals + strength * mean_of_known(values)) / (counts + strength)
    return means


def stored(arrays: Arrays, name: str) -> npt.NDArray[Any]:
    """One stored array.

    Args:
        arrays: All of them.
        name: Which.

    Raises:
        ArtifactError: It is not there.
    """
    if name not in arrays:
        raise ArtifactError(
            f"the router's folder has no array {name!r}: it is damaged. Train it again."
        )
    return arrays[name]
