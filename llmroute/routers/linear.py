"""`linear`: one logistic regression a model, drawn to the model's mean.

The penalty is on the slopes alone, so the stronger it is, the nearer a model's estimates come to
its overall mean; that shrinkage is what keeps a choice among many models from chasing noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.routers.heads import (
    Arrays,
    Floats,
    Floats32,
    NoCost,
    Progress,
    log_loss,
    logit,
    sigmoid,
    stored,
)
from llmroute.routers.lessons import Lessons

#: Weights of the squared slopes that are tried on the validation part.
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
_ROUNDS = 25
_DONE = 1e-6


class Linear(NoCost):
    """Logistic regressions.

    Args:
        slopes: (D, M).
        offsets: (M,).
        penalty: What they were fitted with.
    """

    def __init__(self, slopes: Floats, offsets: Floats, penalty: float) -> None:
        self._slopes, self._offsets, self._penalty = slopes, offsets, penalty

    @classmethod
    def fit(cls, vectors: Floats32, lessons: Lessons, seed: int, progress: Progress) -> Linear:
        """Choose the penalty on the validation part, then fit on all prompts."""
        train, held = lessons.training, lessons.validation
        found = {}
        for done, penalty in enumerate(PENALTIES):
            progress("penalties", done, len(PENALTIES), f"{penalty:g}")
            tried = cls._fitted(vectors[train], lessons.target[train], penalty)
            found[penalty] = log_loss(tried.quality(vectors[held]), lessons.target[held])
        fitted = cls._fitted(vectors, lessons.target, min(found, key=found.__getitem__))
        progress("penalties", len(PENALTIES), len(PENALTIES), "")
        return fitted

    @classmethod
    def _fitted(cls, vectors: Floats32, target: Floats, penalty: float) -> Linear:
        columns = []
        for column in target.T:
            known = ~np.isnan(column)
            columns.append(logistic(vectors[known].astype(np.float64), column[known], penalty))
        found = np.array(columns)
        return cls(np.ascontiguousarray(found[:, :-1].T), found[:, -1], penalty)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Linear:
        """As it was saved."""
        return cls(stored(arrays, "slopes"), stored(arrays, "offsets"), float(settings["penalty"]))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) probabilities."""
        return sigmoid(vectors @ self._slopes + self._offsets)

    def settings(self) -> dict[str, Any]:
        """The penalty."""
        return {"penalty": self._penalty}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Slopes and offsets."""
        return {"slopes": self._slopes, "offsets": self._offsets}


def logistic(vectors: Floats, target: Floats, penalty: float) -> Floats:
    """Newton's method on a penalised log loss with targets in 0..1.

    Args:
        vectors: (T, D).
        target: (T,) 0..1.
        penalty: Weight of half the squared slopes; the offset is free.

    Returns:
        (D + 1,) slopes, then the offset.
    """
    design = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    weight = np.full(design.shape[1], penalty)
    weight[-1] = 1e-6  # so that a model that is never right has a finite offset
    found = np.zeros(design.shape[1])
    found[-1] = logit(np.array(target.mean()))
    for _ in range(_ROUNDS):
        p = sigmoid(design @ found)
        gradient = design.T @ (target - p) - weight * found
        curve = (design * (p * (1 - p))[:, None]).T @ design + np.diag(weight + 1e-9)
        step = np.linalg.solve(curve, gradient)
        # A long step overshoots where all targets are alike.
        found += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < _DONE:
            break
    return found
