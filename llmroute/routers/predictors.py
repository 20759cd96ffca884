"""What RouterBench's routers learn: from prompts' vectors to every model's score."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.nearest import FADE, counts_for

#: Neighbours RouterBench's pooled figure is for; it tries 5, 10 and 40.
NEIGHBOURS = 40
#: Hidden layers of the MLP, RouterBench's larger shape.
HIDDEN = (100, 100)

#: Similarities held at a time, 16 MB.
_BLOCK_CELLS = 4_000_000
#: How far a float32 similarity may be from what it is in float64.
_ROUNDING = 1e-5
#: Digits of a mean. The same numbers summed in another order differ in the sixteenth; so two models
#: that did equally well among the neighbours stay equal.
_DIGITS = 9
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

    Prompts that are as near as the k-th all count, and a little beyond them prompts count for less
    and less (`llmroute.routers.nearest`), so nothing depends on the order of the rows or on how
    a product was rounded. Where less than one neighbour is known, the overall mean makes it up.

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
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
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
        rows = max(_BLOCK_CELLS // len(self._vectors), 1)
        asked = np.ascontiguousarray(vectors, dtype=np.float32)
        for start in range(0, len(vectors), rows):
            result[start : start + rows] = self._means(asked[start : start + rows])
        return result

    def _means(self, vectors: Floats32) -> Floats:
        row, column, weight = self._neighbours(vectors)

        def sums(table: Floats) -> Floats:
            of_models = [
                np.bincount(row, weight * one[column], minlength=len(vectors)) for one in table
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


def means_of_neighbours(total: Floats, count: Floats, overall: Floats) -> Floats:
    """(P, M) mean scores among neighbours; what a neighbour's weight lacks of 1, `overall` gives.

    Args:
        total: (P, M) weighted sums of the neighbours' scores.
        count: (P, M) weights of the neighbours that are known.
        overall: (M,) mean scores over all prompts.
    """
    lacking = np.maximum(1.0 - count, 0.0)
    return np.round((total + lacking * overall) / (count + lacking), _DIGITS)


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
