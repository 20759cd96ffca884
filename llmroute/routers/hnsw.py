"""kNN over many prompts: a navigable small-world graph (HNSW, arXiv 1603.09320) instead of a scan.

`knn` comes here above 100,000 training prompts, where comparing with every one of them would take
milliseconds a prompt. faiss (extra `ann`) builds and reads the graph; its bytes, in faiss's own
format, are one array of the folder.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError, MissingExtra
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.base import Arrays, Head, Progress, log_loss, of_least_loss, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.nearest import counts_for, means_of_neighbours

#: Neighbours that are tried on the validation part. Few neighbours are worse than none.
TRIED = (40, 80, 160, 320)
#: Edges of a prompt, candidates kept while the graph is built, and candidates kept in a search, as
#: a multiple of the neighbours that are asked for.
_EDGES, _BUILT_WITH, _SEARCHED = 32, 200, 2
#: Prompts looked at beyond the k-th, as a part of k: those of them that are as near count, too.
_BEYOND = 0.25
#: Prompts added between two moves of the progress bar.
_BLOCK = 10_000
#: Scores held at a time, 32 MB.
_CELLS = 4_000_000


class ApproximateNearest(Head):
    """Mean score of a model on about the k nearest training prompts. Thread-safe.

    Args:
        index: faiss's graph over the T training prompts' vectors, kept in half precision.
        target: (T, M) what was taught of them, NaN where nothing was.
        k: Neighbours.
    """

    def __init__(self, index: Any, target: npt.NDArray[Any], k: int) -> None:
        self._index, self._k = index, k
        self._target = target.astype(np.float32)
        self._overall = mean_of_known(self._target.astype(np.float64))

    @classmethod
    def fit(
        cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress
    ) -> ApproximateNearest:
        """Choose k on the validation part, then keep all prompts.

        Raises:
            MissingExtra: faiss is not installed.
        """
        train, held, target = dataset.training, dataset.validation, dataset.target
        index = _built(vectors[train], progress)

        def loss(k: int) -> float:
            return log_loss(cls(index, target[train], k).quality(vectors[held]), target[held])

        best = of_least_loss(TRIED, loss)
        return cls(_built(vectors, progress), target, best)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> ApproximateNearest:
        """As it was saved."""
        target = stored(arrays, "target")
        try:
            index = _faiss().deserialize_index(stored(arrays, "index"))
        except RuntimeError as fault:
            raise ArtifactError(f"faiss cannot read the graph: {fault}. Train again.") from None
        if index.ntotal != len(target):
            raise ArtifactError(
                f"the graph holds {index.ntotal} prompts, their scores {len(target)}. Train again."
            )
        return cls(index, target, int(settings["k"]))

    def neighbours(self, vectors: Floats32, k: int) -> Ints:
        """(P, k) places of the training prompts found, the nearest first; −1 where none is."""
        return self._search(vectors, k, k)[1]

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) mean outcome of the prompts found."""
        result = np.empty((len(vectors), self._target.shape[1]))
        looked_at = self._k + math.ceil(_BEYOND * self._k)
        block = max(_CELLS // (looked_at * self._target.shape[1]), 1)
        for start in range(0, len(vectors), block):
            similarity, found = self._search(vectors[start : start + block], self._k, looked_at)
            weight = counts_for(similarity, similarity[:, self._k - 1, None]) * (found >= 0)
            score = self._target[found].astype(np.float64)
            known = ~np.isnan(score)
            total = (weight[:, :, None] * np.where(known, score, 0.0)).sum(axis=1)
            count = (weight[:, :, None] * known).sum(axis=1)
            result[start : start + block] = means_of_neighbours(total, count, self._overall)
        return np.clip(result, 0.0, 1.0)

    def _search(self, vectors: Floats32, k: int, looked_at: int) -> tuple[Floats32, Ints]:
        """(P, L) similarities and places of what a search for k finds, the nearest first."""
        search = _faiss().SearchParametersHNSW(efSearch=_SEARCHED * k)
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        similarity, found = self._index.search(rows, looked_at, params=search)
        return similarity, found

    def settings(self) -> dict[str, Any]:
        """K, and that the search is by graph."""
        return {"k": self._k, "search": "hnsw"}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The graph, with the vectors in it, and the scores."""
        return {"index": _faiss().serialize_index(self._index), "target": self._target}


def _built(vectors: Floats32, progress: Progress) -> Any:
    """The graph, built on one thread: on several, its edges depend on who comes first."""
    faiss = _faiss()
    half = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexHNSWSQ(vectors.shape[1], half, _EDGES, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BUILT_WITH
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.train(vectors[:1])
        for start in range(0, len(vectors), _BLOCK):
            progress("graph", start, len(vectors), "")
            index.add(np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32))
    finally:
        faiss.omp_set_num_threads(threads)
    progress("graph", len(vectors), len(vectors), "")
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtra("A kNN router of more than 100,000 prompts (faiss)", "ann") from None
    return faiss
