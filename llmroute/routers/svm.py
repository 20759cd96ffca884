"""`svm`: a linear support vector regression a model (RouterBench, arXiv 2403.12031)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, NoCost, Progress, stored
from llmroute.routers.dataset import Lessons
from llmroute.routers.predictors import SupportVectors


class Support(NoCost):
    """Linear scores.

    Args:
        slopes: (D, M).
        offsets: (M,).
    """

    def __init__(self, slopes: Floats, offsets: Floats) -> None:
        self._slopes, self._offsets = slopes, offsets

    @classmethod
    def fit(cls, vectors: Floats32, lessons: Lessons, seed: int, progress: Progress) -> Support:
        """Train one machine a model, on all prompts: nothing is chosen."""
        progress("machines", 0, 1, "")
        fitted = SupportVectors(vectors, lessons.target, seed)
        progress("machines", 1, 1, "")
        return cls(fitted._slopes.astype(np.float64), fitted._offsets.astype(np.float64))

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Support:
        """As it was saved."""
        return cls(stored(arrays, "slopes"), stored(arrays, "offsets"))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) scores, cut to 0..1."""
        return np.clip(vectors @ self._slopes + self._offsets, 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Slopes and offsets."""
        return {"slopes": self._slopes, "offsets": self._offsets}
