"""`sw`: similarity-weighted ranking (RouteLLM, arXiv 2406.18665).

Nothing is trained. At each prompt the training comparisons are weighted by how like it their
prompts are, ω = γ^(1 + S) with S the cosine over the largest one, and the Bradley–Terry strengths
that explain them best are found by Newton's method.

Of outcomes every pair of models on a prompt is a comparison. Where scores are 0 or 1, how often a
model wins beyond one half, ties counting half, is half of how much its score is above the others';
so the win rate says the score too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Floats32, sigmoid
from llmroute.routers.base import Arrays, Head, Progress, of_least_loss, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.mf import pair_loss, win_rates
from llmroute.routers.preferences import Preferences

#: γ; the paper has 10. The others are tried on the validation part.
BASES = (10.0, 100.0, 1000.0, 10000.0)
#: Weight of half the squared strengths, in comparisons.
RIDGE = 0.1
_ROUNDS, _DONE = 50, 1e-9
_TRIED = 300
#: The nearest prompt's cosine is taken for no less, lest a prompt that is like no other be weighted
#: by the last bits of cosines of 0.
_LEAST_LIKENESS = 0.01


class SimilarityWeighted(Head):
    """Keeps the training comparisons and their prompts' vectors.

    Args:
        vectors: (T, D) vectors of the training prompts, kept in half precision.
        pairs: (N, 3) prompt, first and second model of each comparison.
        won: (N,) how much of it the first won.
        models: M.
        base: γ.
        level: Mean score of the models where they learned from outcomes, 0..1; None where from
            comparisons, and quality is the win rate.
        ridge: Weight of half the squared strengths.
    """

    def __init__(
        self,
        vectors: npt.NDArray[Any],
        pairs: npt.NDArray[Any],
        won: npt.NDArray[Any],
        models: int,
        base: float = BASES[0],
        level: float | None = None,
        ridge: float = RIDGE,
    ) -> None:
        if not base >= 1 or not len(won):
            raise ConfigurationError(
                f"similarity weights need a base of 1 or more and a comparison; {base} and "
                f"{len(won)} comparisons were given."
            )
        self._vectors = vectors.astype(np.float16)
        self._wide = np.ascontiguousarray(self._vectors.astype(np.float32).T)
        self._pairs = pairs.astype(np.int32)
        self._won = won.astype(np.float32)
        self._models, self._base, self._level, self._ridge = models, base, level, ridge
        self._prompt = self._pairs[:, 0].astype(np.int64)
        self._cell = self._pairs[:, 1].astype(np.int64) * models + self._pairs[:, 2]
        self._first_won = self._won.astype(np.float64)
        self._start = bradley_terry(self._wins(np.ones(len(vectors))), ridge)[0]

    @classmethod
    def fit(
        cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress
    ) -> SimilarityWeighted:
        """Choose γ on the validation part, then keep all comparisons."""
        pairs = dataset.comparisons
        random = np.random.default_rng(seed)
        held = np.flatnonzero(dataset.validation)
        held = np.sort(random.permutation(held)[:_TRIED])
        asked = np.zeros(len(dataset), dtype=bool)
        asked[held] = True
        train, tests = pairs.select(dataset.training), pairs.select(asked)
        level = None if dataset.given is not None else float(np.nanmean(dataset.prior))

        def loss(base: float) -> float:
            tried = cls.of(vectors[dataset.training], train, base, level)
            return pair_loss(tried.strengths(vectors[held]), tests)

        return cls.of(vectors, pairs, of_least_loss(BASES, loss, progress, "weights"), level)

    @classmethod
    def of(
        cls, vectors: Floats32, pairs: Preferences, base: float, level: float | None = None
    ) -> SimilarityWeighted:
        """The router of some comparisons."""
        columns = np.stack([pairs.prompt, pairs.first, pairs.second], axis=1)
        return cls(vectors, columns, pairs.won, len(pairs.models), base, level)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> SimilarityWeighted:
        """As it was saved."""
        return cls(
            stored(arrays, "vectors"),
            stored(arrays, "pairs"),
            stored(arrays, "won"),
            int(settings["models"]),
            float(settings["base"]),
            settings["level"],
            float(settings["ridge"]),
        )

    def strengths(self, vectors: Floats32) -> Floats:
        """(P, M) Bradley–Terry strengths, of mean 0."""
        result = np.empty((len(vectors), self._models))
        for row, vector in enumerate(vectors):
            similarity = (vector @ self._wide).astype(np.float64)
            nearest = max(float(similarity.max()), _LEAST_LIKENESS)
            # γ^(1 + S), over its largest value: only the ratios count beside the ridge's.
            weight = self._base ** (similarity / nearest - 1.0)
            weight /= weight.mean()
            result[row] = bradley_terry(self._wins(weight), self._ridge, self._start)[0]
        return result

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) win rates; of outcomes, the scores that go with them."""
        rates = win_rates(self.strengths(vectors))
        if self._level is None:
            return rates
        beyond = 2 * (rates - 0.5) * (self._models - 1) / self._models
        return np.clip(self._level + beyond, 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """γ and the rest."""
        return {
            "models": self._models,
            "base": self._base,
            "level": self._level,
            "ridge": self._ridge,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The comparisons."""
        return {"vectors": self._vectors, "pairs": self._pairs, "won": self._won}

    def _wins(self, weight: Floats) -> Floats:
        """(1, M, M) wins of the row's model over the column's, by the (T,) weights of prompts."""
        each, cells = weight[self._prompt], self._models**2
        won = np.bincount(self._cell, each * self._first_won, cells)
        lost = np.bincount(self._cell, each * (1 - self._first_won), cells)
        square = self._models, self._models
        return (won.reshape(square) + lost.reshape(square).T)[None].astype(np.float64)


def bradley_terry(wins: Floats, ridge: float = RIDGE, start: Floats | None = None) -> Floats:
    """Strengths ξ that make the log loss of P(a beats b) = σ(ξ_a − ξ_b) least.

    Args:
        wins: (P, M, M) weighted wins of the row's model over the column's.
        ridge: Weight of half the squared strengths; above 0 it keeps a model that always wins
            finite, and settles the mean, which is 0.
        start: (M,) where to begin.

    Returns:
        (P, M) strengths.
    """
    found = np.zeros(wins.shape[:2]) if start is None else np.tile(start, (len(wins), 1))
    played = wins + wins.transpose(0, 2, 1)
    eye = np.eye(wins.shape[1])
    for _ in range(_ROUNDS):
        chance = sigmoid(found[:, :, None] - found[:, None, :])
        slope = (wins - played * chance).sum(axis=2) - ridge * found
        curve = played * chance * (1 - chance)
        whole = eye * curve.sum(axis=2)[:, :, None] - curve + ridge * eye
        step = np.linalg.solve(whole, slope[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        found = found + step / np.maximum(longest / 2.0, 1.0)  # at most 2 in one round
        if longest.max() < _DONE:
            break
    return found
