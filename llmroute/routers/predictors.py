"""What RouterBench's routers learn: from prompts' vectors to every model's score."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.splits import mean_of_known

#: Neighbours RouterBench's pooled figure is for; it tries 5, 10 and 40.
NEIGHBOURS = 40
#: Hidden layers of the MLP, RouterBench's larger shape.
HIDDEN = (100, 100)

#: Similarities held at a time, 16 MB.
_BLOCK_CELLS = 4_000_000
#: Similarities that differ by less are equal: float32 products are no more exact than that.
_ROUNDING = 1e-6
#: Training prompts that are compared by the nearest of them alone, before any is looked at itself.
_GROUP = 16
#: Weight of the squared weights in the MLP's loss and passes over the prompts, chosen on training
#: splits. RouterBench leaves scikit-learn's 0.0001 and 200, which learns small tables by heart.
PENALTY, EPOCHS = 1.0, 50
#: Part of the prompts that all models must have answered for the MLP to learn from those alone.
_MOSTLY_COMPLETE = 0.8


class Predictor(Protocol):
    """What a recipe learned."""

    def predict(self, vectors: Floats32) -> Floats:
        """(P, M) expected scores, not always within 0..1.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        ...


class NearestAnswers:
    """Mean score of a model on the k nearest training prompts; no answer there: its overall mean.

    Prompts that are as near as the k-th all count, so nothing depends on the order of the rows.

    Args:
        vectors: (T, D) vectors of the training prompts, of length 1.
        score: (T, M) scores, NaN where unknown.
        k: Neighbours.

    Raises:
        ConfigurationError: `k` is not positive.
    """

    def __init__(self, vectors: Floats32, score: Floats, k: int = NEIGHBOURS) -> None:
        if k < 1:
            raise ConfigurationError(f"k is a number of neighbours, 1 or more; {k} was given.")
        known = ~np.isnan(score)
        self._vectors = np.ascontiguousarray(vectors.T, dtype=np.float32)
        self._k = min(k, len(score))
        self._known = np.ascontiguousarray(known.T, dtype=np.float64)
        self._score = np.ascontiguousarray(np.where(known, score, 0.0).T)
        self._overall = mean_of_known(score)

    def predict(self, vectors: Floats32) -> Floats:
        """(P, M) mean scores, worked out in blocks of prompts, so that memory stays small.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        result = np.empty((len(vectors), len(self._score)))
        rows = max(_BLOCK_CELLS // self._vectors.shape[1], 1)
        for start in range(0, len(vectors), rows):
            result[start : start + rows] = self._means(vectors[start : start + rows])
        return result

    def _means(self, vectors: Floats32) -> Floats:
        row, column = self._neighbours(np.asarray(vectors, dtype=np.float32) @ self._vectors)

        def sums(table: Floats) -> Floats:
            of_models = [np.bincount(row, one[column], minlength=len(vectors)) for one in table]
            return np.stack(of_models, axis=1)

        total, count = sums(self._score), sums(self._known)
        means: Floats = np.where(count > 0, total / np.maximum(count, 1.0), self._overall)
        return means

    def _neighbours(self, similarity: Floats32) -> tuple[Ints, Ints]:
        """Row and column of every neighbour, rows rising."""
        rows, width = similarity.shape
        groups = width // _GROUP
        nearest = similarity
        if groups > self._k:
            # k groups reach the k-th largest of the groups' maxima, so k prompts do: whoever does
            # not is no neighbour. That leaves few to put in order.
            grouped = similarity[:, : groups * _GROUP].reshape(rows, _GROUP, groups)
            nearest = grouped.max(axis=1)
        floor = np.partition(nearest, -self._k, axis=1)[:, -self._k, None] - _ROUNDING
        row, column = np.divmod(np.flatnonzero(similarity >= floor), width)
        value = similarity[row, column]
        first = np.searchsorted(row, np.arange(rows))
        falling = value[np.lexsort((-value, row))]
        enough = falling[first + self._k - 1] - _ROUNDING
        kept = value >= enough[row]
        return row[kept], column[kept]


class Network:
    """scikit-learn's `MLPRegressor`: one for all models, which share its hidden layers.

    It learns from the prompts that all models answered. Where those are fewer than four fifths,
    each model has a network of its own, as in RouterBench.

    Args:
        vectors: (T, D) vectors of the training prompts.
        score: (T, M) scores, NaN where unknown.
        hidden: Widths of the hidden layers.
        penalty: Weight of the squared weights in the loss.
        seed: Seed of the weights and of the order of the prompts.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    def __init__(
        self,
        vectors: Floats32,
        score: Floats,
        *,
        hidden: tuple[int, ...] = HIDDEN,
        penalty: float = PENALTY,
        seed: int = 0,
    ) -> None:
        try:
            from sklearn.neural_network import MLPRegressor
        except ImportError:
            raise _missing_sklearn() from None
        known = ~np.isnan(score)
        shared = known.all(axis=1).mean() >= _MOSTLY_COMPLETE
        groups = [slice(None)] if shared else [slice(m, m + 1) for m in range(score.shape[1])]
        self._networks = []
        for group in groups:
            rows = known[:, group].all(axis=1)
            network = MLPRegressor(
                hidden_layer_sizes=hidden, alpha=penalty, max_iter=EPOCHS, random_state=seed
            )
            # Penalised weights shrink to numbers on which float32 is ten times slower.
            inputs = vectors[rows].astype(np.float64)
            self._networks.append(_fitted(network, inputs, score[rows, group]))

    def predict(self, vectors: Floats32) -> Floats:
        """(P, M) scores.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        parts = [network.predict(vectors).reshape(len(vectors), -1) for network in self._networks]
        return np.hstack(parts).astype(np.float64)


class SupportVectors:
    """scikit-learn's `LinearSVR`, one a model. Its loss is absolute, so it predicts a median.

    Args:
        vectors: (T, D) vectors of the training prompts.
        score: (T, M) scores, NaN where unknown.
        seed: Seed of the order of the prompts.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    def __init__(self, vectors: Floats32, score: Floats, seed: int = 0) -> None:
        try:
            from sklearn.svm import LinearSVR
        except ImportError:
            raise _missing_sklearn() from None
        known = ~np.isnan(score)
        machines = [
            _fitted(LinearSVR(random_state=seed), vectors[which], column[which])
            for column, which in zip(score.T, known.T, strict=True)
        ]
        self._slopes = np.column_stack([machine.coef_ for machine in machines])
        self._offsets = np.array([float(np.ravel(machine.intercept_)[0]) for machine in machines])

    def predict(self, vectors: Floats32) -> Floats:
        """(P, M) scores.

        Args:
            vectors: (P, D) vectors of prompts.
        """
        scores: Floats = vectors @ self._slopes + self._offsets
        return scores


def _fitted(estimator: Any, vectors: Floats | Floats32, score: Floats) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # The products are so small that threads wait for one another longer than they work.
    with threadpool_limits(1), warnings.catch_warnings():
        # The recipes stop after a fixed number of rounds, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn wants a single target as a plain list of numbers.
        return estimator.fit(vectors, score.squeeze(1) if score.shape[1:] == (1,) else score)


def _missing_sklearn() -> MissingExtra:
    return MissingExtra("A router of RouterBench's (scikit-learn)", "eval")
