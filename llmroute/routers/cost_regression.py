"""What a call is expected to cost, of a prompt: a regression of recorded costs on the vectors.

A model's mean cost hides that long questions cost more of every model, and some kinds of prompt
more of some. A choice that weighs quality against cost needs both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32
from llmroute.outcomes.splits import mean_of_known
from llmroute.routers.base import of_least_loss
from llmroute.routers.dataset import Dataset

#: Weights of the squared slopes that are tried on the validation part.
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
#: No prompt is expected to cost less than this part of a model's mean.
LEAST = 0.1


class Costs:
    """A ridge regression a model.

    Args:
        slopes: (D, M) USD.
        means: (M,) mean recorded cost, USD; NaN where none was recorded.
        centre: (D,) mean vector of the training prompts.
    """

    def __init__(self, slopes: Floats, means: Floats, centre: Floats) -> None:
        self._slopes, self._means, self._centre = slopes, means, centre

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset) -> Costs | None:
        """Choose the penalty on the validation part, then fit on all prompts.

        Returns:
            The regression; None where no cost was recorded.
        """
        if dataset.cost is None:
            return None
        train, held, cost = dataset.training, dataset.validation, dataset.cost

        def loss(penalty: float) -> float:
            tried = cls._fitted(vectors[train], cost[train], penalty)
            # Costs of models differ by orders of magnitude; each counts in units of its mean.
            unit = np.maximum(tried._means, np.finfo(float).tiny)
            return float(np.nanmean(((tried.of(vectors[held]) - cost[held]) / unit) ** 2))

        return cls._fitted(vectors, cost, of_least_loss(PENALTIES, loss))

    @classmethod
    def _fitted(cls, vectors: Floats32, cost: Floats, penalty: float) -> Costs:
        means = mean_of_known(cost)
        centre = vectors.mean(axis=0, dtype=np.float64)
        away = vectors - centre
        slopes = np.zeros((vectors.shape[1], cost.shape[1]))
        known = ~np.isnan(cost)
        ridge = penalty * np.eye(vectors.shape[1])
        if known.all():
            slopes = np.linalg.solve(away.T @ away + ridge, away.T @ (cost - means))
        else:
            for m in np.flatnonzero(known.any(axis=0)):
                rows = away[known[:, m]]
                beyond = cost[known[:, m], m] - means[m]
                slopes[:, m] = np.linalg.solve(rows.T @ rows + ridge, rows.T @ beyond)
        return cls(slopes, means, centre)

    @classmethod
    def restore(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Costs | None:
        """As it was saved; None where nothing was."""
        if "cost_slopes" not in arrays:
            return None
        return cls(arrays["cost_slopes"], arrays["cost_means"], arrays["cost_centre"])

    def of(self, vectors: Floats32) -> Floats:
        """(P, M) expected cost of a call, USD; NaN for a model without recorded costs."""
        expected = self._means + (vectors - self._centre) @ self._slopes
        held: Floats = np.maximum(expected, LEAST * self._means)
        return held

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {"cost_slopes": self._slopes, "cost_means": self._means, "cost_centre": self._centre}
