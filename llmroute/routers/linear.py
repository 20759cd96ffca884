"""`linear`: logistic regressions, one that all models share and one of each model's own.

A prompt is hard or easy for all models; that is learned first, from the mean over the models. Then
each model learns where it differs, under a penalty of its own, which draws it to the others and to
its mean. A choice among models goes by the differences alone, and there shrinkage is what keeps it
from chasing noise; one penalty for both would be too weak for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32, logit, sigmoid
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.base import (
    LEAST_SHARE,
    Arrays,
    Head,
    Progress,
    log_loss,
    of_least_loss,
    stored,
)
from llmroute.routers.dataset import Dataset

#: Weights of the squared slopes that are tried on the validation part: shared, and a model's own.
SHARED, OWN = (0.3, 1.0, 3.0, 10.0, 30.0), (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
_ROUNDS, _DONE, _LONGEST = 25, 1e-6, 4.0
#: Penalty of the offset, so that a model that is never right has a finite one.
_FREE = 1e-6
#: Rounds of conjugate gradients in a step, at most, and the part of the squared error left then.
_INNER, _EXACT = 50, 1e-6


class Linear(Head):
    """Logistic regressions.

    Args:
        slopes: (D, M).
        offsets: (M,).
        penalties: What they were fitted with, shared and own.
    """

    def __init__(self, slopes: Floats, offsets: Floats, penalties: tuple[float, float]) -> None:
        self._slopes, self._offsets, self._penalties = slopes, offsets, penalties

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Linear:
        """Choose the penalties on the validation part, then fit on all prompts."""
        train, held = dataset.training, dataset.validation
        target, basis = dataset.target[train], Basis.of(vectors[train])
        common, missed = _common(target), _common(dataset.target[held])

        def shared_loss(penalty: float) -> float:
            slopes, offsets = logistic(basis, common, penalty)
            return log_loss(sigmoid(vectors[held] @ slopes + offsets), missed)

        shared = of_least_loss(SHARED, shared_loss)

        def own_loss(penalty: float) -> float:
            tried = cls._fitted(basis, target, (shared, penalty))
            return log_loss(tried.quality(vectors[held]), dataset.target[held])

        own = of_least_loss(OWN, own_loss, progress, "penalties")
        return cls._fitted(Basis.of(vectors), dataset.target, (shared, own))

    @classmethod
    def _fitted(cls, basis: Basis, target: Floats, penalties: tuple[float, float]) -> Linear:
        shared, _ = logistic(basis, _common(target), penalties[0])
        start = basis.points @ (basis.directions.T @ shared)
        own, offsets = logistic(basis, target, penalties[1], start)
        return cls(own + shared, offsets - float(basis.centre @ shared[:, 0]), penalties)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Linear:
        """As it was saved."""
        penalties = float(settings["shared penalty"]), float(settings["penalty"])
        return cls(stored(arrays, "slopes"), stored(arrays, "offsets"), penalties)

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) probabilities."""
        return sigmoid(vectors @ self._slopes + self._offsets)

    def settings(self) -> dict[str, Any]:
        """The penalties."""
        return {"shared penalty": self._penalties[0], "penalty": self._penalties[1]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Slopes and offsets."""
        return {"slopes": self._slopes, "offsets": self._offsets}


@dataclass(frozen=True)
class Basis:
    """Vectors in the directions of their own covariance, in which penalised fits are nearly free.

    Attributes:
        points: (T, D) vectors less their mean, in those directions.
        directions: (D, D) orthogonal, one a column.
        squares: (D,) sum of squares along each.
        centre: (D,) the mean.
    """

    points: Floats
    directions: Floats
    squares: Floats
    centre: Floats

    @classmethod
    def of(cls, vectors: npt.NDArray[Any]) -> Basis:
        """The basis of (T, D) vectors."""
        centre = vectors.mean(axis=0, dtype=np.float64)
        away = vectors - centre
        squares, directions = np.linalg.eigh(away.T @ away)
        return cls(away @ directions, directions, np.maximum(squares, 0.0), centre)


def logistic(
    basis: Basis, target: Floats, penalty: float, start: Floats | None = None
) -> tuple[Floats, Floats]:
    """Newton's method on the penalised log loss of every model, with targets in 0..1.

    A step is found by conjugate gradients, for all models at once: T·D·M operations a round where
    a solution of each model's equations takes T·D² of them.

    Args:
        basis: Of the T vectors.
        target: (T, M) 0..1, NaN where unknown.
        penalty: Weight of half the squared slopes; the offset is free.
        start: (T, 1) or (T, M) log odds to which those of the regression are added.

    Returns:
        (D, M) slopes and (M,) offsets.
    """
    known = ~np.isnan(target)
    given = np.zeros((1, 1)) if start is None else start
    wanted = np.where(known, target, 0.0)
    design = np.concatenate([basis.points, np.ones((len(target), 1))], axis=1)
    weight = np.full((design.shape[1], 1), penalty)
    weight[-1] = _FREE
    squares = np.append(basis.squares, len(target))[:, None]
    found = np.zeros((design.shape[1], target.shape[1]))
    found[-1] = logit(mean_of_known(target), LEAST_SHARE)
    for _ in range(_ROUNDS):
        p = sigmoid(given + design @ found)
        slope = design.T @ np.where(known, wanted - p, 0.0) - weight * found
        curve = np.where(known, p * (1 - p), 0.0)
        step = _solved(design, curve, weight, squares, slope)
        # A long step overshoots where all targets are alike.
        longest = np.abs(step).max(axis=0)
        found += step * np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-12))
        if longest.max() < _DONE:
            break
    slopes = basis.directions @ found[:-1]
    return slopes, found[-1] - basis.centre @ slopes


def _solved(
    design: Floats, curve: Floats, weight: Floats, squares: Floats, slope: Floats
) -> Floats:
    """(D + 1, M) steps: each model's curvature times its step is its slope."""
    # As if all of a model's prompts had its mean curvature: the basis makes that diagonal.
    alike = curve.mean(axis=0) * squares + weight
    step, left = np.zeros_like(slope), slope.copy()
    ahead = left / alike
    direction, size = ahead, (left * ahead).sum(axis=0)
    enough = _EXACT * size
    for _ in range(_INNER):
        bent = design.T @ (curve * (design @ direction)) + weight * direction
        length = size / np.maximum((direction * bent).sum(axis=0), 1e-300)
        step += length * direction
        left -= length * bent
        ahead = left / alike
        before, size = size, (left * ahead).sum(axis=0)
        if (size <= enough).all():
            break
        direction = ahead + size / np.maximum(before, 1e-300) * direction
    return step


def _common(target: Floats) -> Floats:
    """(T, 1) how well models did on a prompt beyond their means, as a score 0..1."""
    means = mean_of_known(target)
    known = ~np.isnan(target)
    beyond = np.where(known, target - means, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    score: Floats = np.clip(np.nanmean(means) + beyond, 0.0, 1.0)[:, None]
    return score
