"""`svm`: a linear support vector regression a model (RouterBench, arXiv 2403.12031)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import MissingExtra
from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, Head, Progress, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.sklearn_fit import fitted


class SupportVectors(Head):
    """Linear scores.

    Args:
        slopes: (D, M).
        offsets: (M,).
    """

    def __init__(self, slopes: Floats, offsets: Floats) -> None:
        self._slopes, self._offsets = slopes, offsets

    @classmethod
    def fit(
        cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress
    ) -> SupportVectors:
        """Train one machine a model, on all prompts: nothing is chosen."""
        progress("machines", 0, 1, "")
        machines = cls.trained(vectors, dataset.target, seed)
        progress("machines", 1, 1, "")
        return machines

    @classmethod
    def trained(cls, vectors: Floats32, target: Floats, seed: int = 0) -> SupportVectors:
        """scikit-learn's `LinearSVR`, one a model. Its loss is absolute, so it predicts a median.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        try:
            from sklearn.svm import LinearSVR
        except ImportError:
            raise MissingExtra("The router `svm` (scikit-learn)", "eval") from None
        machines = [
            fitted(LinearSVR(random_state=seed), vectors[which], column[which])
            for column, which in zip(target.T, ~np.isnan(target.T), strict=True)
        ]
        slopes = np.column_stack([machine.coef_ for machine in machines])
        offsets = np.array([float(np.ravel(machine.intercept_)[0]) for machine in machines])
        return cls(slopes.astype(np.float64), offsets)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> SupportVectors:
        """As it was saved."""
        return cls(stored(arrays, "slopes"), stored(arrays, "offsets"))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) scores, cut to 0..1."""
        return np.clip(vectors @ self._slopes + self._offsets, 0.0, 1.0)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Slopes and offsets."""
        return {"slopes": self._slopes, "offsets": self._offsets}
