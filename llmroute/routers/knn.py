"""`knn`: mean outcome of the nearest training prompts (RouterBench, arXiv 2403.12031).

Exact up to 100,000 prompts, by a graph above: see `llmroute.routers.hnsw`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, NoCost, Progress, log_loss, of_least_loss, stored
from llmroute.routers.dataset import Lessons
from llmroute.routers.hnsw import NEIGHBOURS, ApproximateNearest
from llmroute.routers.predictors import NearestAnswers

#: Training prompts up to which every one of them is looked at.
EXACT_UP_TO = 100_000


class Nearest(NoCost):
    """Keeps the training prompts' vectors and what was taught of them.

    Args:
        vectors: (T, D) vectors of the training prompts, kept in half precision.
        target: (T, M) what was taught, NaN where nothing was.
        k: Neighbours.
    """

    def __init__(self, vectors: npt.NDArray[Any], target: npt.NDArray[Any], k: int) -> None:
        self._vectors, self._k = vectors.astype(np.float16), k
        self._target = target.astype(np.float32)
        self._nearest = NearestAnswers(
            self._vectors.astype(np.float32), self._target.astype(np.float64), k
        )

    @classmethod
    def fit(
        cls, vectors: Floats32, lessons: Lessons, seed: int, progress: Progress
    ) -> Nearest | ApproximateNearest:
        """Choose k on the validation part, then keep all prompts."""
        if len(vectors) > EXACT_UP_TO:
            return ApproximateNearest.fit(vectors, lessons, seed, progress)
        train, held = lessons.training, lessons.validation
        found = {}
        for done, k in enumerate(NEIGHBOURS):
            progress("neighbours", done, len(NEIGHBOURS), f"k={k}")
            tried = cls(vectors[train], lessons.target[train], k)
            found[k] = log_loss(tried.quality(vectors[held]), lessons.target[held])
        progress("neighbours", len(NEIGHBOURS), len(NEIGHBOURS), "")
        return cls(vectors, lessons.target, of_least_loss(found))

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Nearest | ApproximateNearest:
        """As it was saved."""
        if settings.get("search") == "hnsw":
            return ApproximateNearest.restore(settings, arrays)
        return cls(stored(arrays, "vectors"), stored(arrays, "target"), int(settings["k"]))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) mean outcome of the k nearest."""
        return np.clip(self._nearest.predict(vectors), 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """K."""
        return {"k": self._k}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The training prompts."""
        return {"vectors": self._vectors, "target": self._target}
