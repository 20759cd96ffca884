"""What every router of this package is made of: vectors of prompts, and a head that reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.dataset import Dataset
from llmroute.scoring.progress import Progress as Progress
from llmroute.scoring.progress import quiet as quiet

Arrays = Mapping[str, npt.NDArray[Any]]
Option = TypeVar("Option")

#: In the logits that training begins with, shares are held this far from 0 and 1: within ±4.6.
LEAST_SHARE = 0.01
#: Losses that differ by no more are equal: the rest is how sums were rounded.
_EQUAL_LOSS = 1e-9
#: The card's figure that every router has. Settings were chosen, and for some routers parameters
#: refitted, on these prompts too.
CHOOSING = "log loss on prompts for choosing"
#: Standard deviations at which a standardised number is cut.
_CUT = 4.0


class Head(ABC):
    """What a router learned: vectors in, quality of every model out."""

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Head:
        """Choose settings on the validation part, then learn from all prompts.

        Args:
            vectors: (P, D) vectors of the dataset's prompts.
            dataset: What is known of them.
            seed: Seed of everything random.
            progress: Told how training goes.
        """
        raise NotImplementedError

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Head:
        """The head as it was saved, from what `settings` and `arrays` gave."""
        raise NotImplementedError

    @abstractmethod
    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) estimated quality, 0..1.

        Args:
            vectors: (P, D) vectors of prompts.
        """

    def cost(self, vectors: Floats32) -> Floats | None:
        """(P, M) expected USD of a call; None where the prompt does not matter for it."""
        return None

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        return {}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {}


class Vectors(ABC):
    """Texts to vectors, and what must be stored to do it again."""

    kind: ClassVar[str]

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> Vectors:
        """Learn what is needed.

        Raises:
            MissingExtra: What they need is not installed.
        """
        raise NotImplementedError

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
    ) -> Vectors:
        """The vectors as they were saved, from what `settings`, `arrays` and `files` gave.

        Raises:
            ArtifactError: Something is missing or does not fit together.
        """
        raise NotImplementedError

    @abstractmethod
    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, or 0 where nothing is known."""

    def settings(self) -> dict[str, Any]:
        """What is stored on the card; `kind` first."""
        return {"kind": self.kind}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {}

    def files(self) -> Mapping[str, bytes]:
        """What is stored as files of its own."""
        return {}


class StandardisedVectors(Vectors):
    """Numbers read off a text, standardised and cut, each row scaled to length 1.

    Args:
        centre: (D,) means over training texts.
        scale: (D,) standard deviations.
    """

    def __init__(self, centre: Floats32, scale: Floats32) -> None:
        self._centre, self._scale = centre, scale

    @abstractmethod
    def raw(self, texts: Sequence[str]) -> Floats32:
        """(P, D) the numbers as they are read."""

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1."""
        if not len(texts):
            return np.zeros((0, len(self._centre)), dtype=np.float32)
        standard = (self.raw(texts) - self._centre) / self._scale
        return of_length_one(np.clip(standard, -_CUT, _CUT))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Means and deviations."""
        return {f"{self.kind}_centre": self._centre, f"{self.kind}_scale": self._scale}


def of_length_one(vectors: npt.NDArray[Any]) -> Floats32:
    """(P, D) rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def log_loss(quality: Floats, target: Floats) -> float:
    """Mean log loss of (P, M) probabilities over the cells of the target that are known."""
    known = ~np.isnan(target)
    p, y = np.clip(quality[known], 1e-4, 1 - 1e-4), target[known]
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def of_least_loss(
    options: Iterable[Option],
    loss: Callable[[Option], float],
    progress: Progress = quiet,
    stage: str = "settings",
) -> Option:
    """The option of the least loss; of equals, the first."""
    tried, losses = list(options), []
    for done, option in enumerate(tried):
        progress(stage, done, len(tried), str(option))
        losses.append(loss(option))
    progress(stage, len(tried), len(tried), "")
    enough = min(losses) + _EQUAL_LOSS
    # A loss that is no number, where nothing was known, is not above it.
    return next(option for option, lost in zip(tried, losses, strict=True) if not lost > enough)


def group_means(values: Floats, label: Ints, groups: int, strength: float) -> Floats:
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

    Raises:
        ArtifactError: It is not there.
    """
    if name not in arrays:
        raise ArtifactError(
            f"the router's folder has no array {name!r}: it is damaged. Train it again."
        )
    return arrays[name]
