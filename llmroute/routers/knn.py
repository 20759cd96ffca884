"""`knn`: mean outcome of the nearest training prompts (RouterBench, arXiv 2403.12031).

Exact up to 100,000 prompts, by a graph above: see `llmroute.routers.hnsw`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.base import Arrays, Head, Progress, log_loss, of_least_loss, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.hnsw import TRIED, ApproximateNearest
from llmroute.routers.nearest import FADE, NEIGHBOURS, counts_for, means_of_neighbours

#: Training prompts up to which every one of them is looked at.
EXACT_UP_TO = 100_000
#: Similarities held at a time, 16 MB.
_BLOCK_CELLS = 4_000_000
#: How far a float32 similarity may be from what it is in float64.
_ROUNDING = 1e-5
#: Training prompts that are compared by the nearest of them alone, before any is looked at itself.
_GROUP = 16


class Nearest(Head):
    """Mean score of a model on the k nearest training prompts; no answer there: its overall mean.

    Prompts that are as near as the k-th all count, and a little beyond them prompts count for less
    and less (`llmroute.routers.nearest`), so nothing depends on the order of the rows or on how
    a product was rounded. Where less than one neighbour is known, the overall mean makes it up.

    Args:
        vectors: (T, D) vectors of the training prompts, of length 1.
        target: (T, M) what was taught of them, NaN where nothing was.
        k: Neighbours.

    Raises:
        ConfigurationError: `k` is not positive.
    """

    def __init__(
        self, vectors: npt.NDArray[Any], target: npt.NDArray[Any], k: int = NEIGHBOURS
    ) -> None:
        if k < 1:
            raise ConfigurationError(f"k is a number of neighbours, 1 or more; {k} was given.")
        self._stored, self._given_k = {"vectors": vectors, "target": target}, k
        score, known = target.astype(np.float64), ~np.isnan(target)
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._k = min(k, len(score))
        self._known = np.ascontiguousarray(known.T, dtype=np.float64)
        self._score = np.ascontiguousarray(np.where(known, score, 0.0).T)
        self._overall = mean_of_known(score)

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Head:
        """Choose k on the validation part, then keep all prompts, in half precision."""
        if len(vectors) > EXACT_UP_TO:
            return ApproximateNearest.fit(vectors, dataset, seed, progress)
        train, held = dataset.training, dataset.validation
        half, target = vectors.astype(np.float16), dataset.target.astype(np.float32)

        def loss(k: int) -> float:
            tried = cls(half[train], target[train], k)
            return log_loss(tried.quality(vectors[held]), dataset.target[held])

        return cls(half, target, of_least_loss(TRIED, loss, progress, "neighbours"))

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Head:
        """As it was saved."""
        if settings.get("search") == "hnsw":
            return ApproximateNearest.restore(settings, arrays)
        return cls(stored(arrays, "vectors"), stored(arrays, "target"), int(settings["k"]))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) mean outcomes, worked out in blocks of prompts, so that memory stays small."""
        result = np.empty((len(vectors), len(self._score)))
        rows = max(_BLOCK_CELLS // len(self._vectors), 1)
        asked = np.ascontiguousarray(vectors, dtype=np.float32)
        for start in range(0, len(vectors), rows):
            result[start : start + rows] = self._means(asked[start : start + rows])
        return np.clip(result, 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """K."""
        return {"k": self._given_k}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The training prompts."""
        return self._stored

    def _means(self, vectors: Floats32) -> Floats:
        row, column, weight = self._neighbours(vectors)

        def sums(table: Floats) -> Floats:
            of_models = [
                np.bincount(row, weight * values[column], minlength=len(vectors))
                for values in table
            ]
            return np.stack(of_models, axis=1)

        return means_of_neighbours(sums(self._score), sums(self._known), self._overall)

    def _neighbours(self, vectors: Floats32) -> tuple[Ints, Ints, Floats]:
        """Row, column and weight of every neighbour, rows rising."""
        similarity = vectors @ self._vectors.T
        rows, width = similarity.shape
        groups = width // _GROUP
        nearest = similarity
        if groups > self._k:
            # k groups reach the k-th largest of the groups' maxima, so k prompts do: whoever does
            # not is no neighbour. That leaves few to put in order.
            grouped = similarity[:, : groups * _GROUP].reshape(rows, _GROUP, groups)
            nearest = grouped.max(axis=1)
        floor = np.partition(nearest, -self._k, axis=1)[:, -self._k, None] - FADE - _ROUNDING
        row, column = np.divmod(np.flatnonzero(similarity >= floor), width)
        value = similarity[row, column].astype(np.float64)
        # Only about the k-th do the last digits matter, and they shall not be the machine's.
        close = np.abs(value - self._kth(row, value, rows)) <= FADE + _ROUNDING
        value[close] = self._exactly(vectors, row[close], column[close])
        weight = counts_for(value, self._kth(row, value, rows))
        kept = weight > 0
        return row[kept], column[kept], weight[kept]

    def _kth(self, row: Ints, value: Floats, rows: int) -> Floats:
        """The k-th largest value of the same row, for each value."""
        falling = value[np.lexsort((-value, row))]
        first = np.searchsorted(row, np.arange(rows))
        kth: Floats = falling[first + self._k - 1][row]
        return kth

    def _exactly(self, vectors: Floats32, row: Ints, column: Ints) -> Floats:
        """Similarities of pairs of vectors in float64, each by itself, a few at a time."""
        result = np.empty(len(row))
        pairs = max(_BLOCK_CELLS // vectors.shape[1], 1)
        for start in range(0, len(row), pairs):
            part = slice(start, start + pairs)
            products = np.multiply(
                vectors[row[part]], self._vectors[column[part]], dtype=np.float64
            )
            result[part] = products.sum(axis=1)
        return result
