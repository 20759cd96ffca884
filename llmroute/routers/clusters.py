"""`clusters`: what each model did in the prompt's neighbourhood (Avengers-Pro, arXiv 2508.12631).

Training prompts are put into K groups by k-means; of each group the models' mean scores and costs
are kept. A prompt gets the mean of the groups nearest to it. Few prompts of a group draw its means
to the overall ones.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Bools, Floats, Floats32
from llmroute.routers.base import (
    Arrays,
    Head,
    Progress,
    group_means,
    log_loss,
    of_least_loss,
    stored,
)
from llmroute.routers.dataset import Dataset
from llmroute.routers.nearest import TIE, first_nearest, weights_of_nearest

#: Groups, and groups that are looked at, that are tried on the validation part.
GROUPS, LOOKED_AT = (8, 16, 32, 64), (1, 3)
#: Weight of a model's overall mean in a group's, in prompts.
STRENGTH = 10.0
_ROUNDS = 50
#: Squared distance of two points up to which they are the same one.
_SAME = TIE**2


class Clusters(Head):
    """Groups of prompts and the models' means in them.

    Args:
        centres: (K, D) centres of the groups.
        score: (K, M) mean scores.
        spent: (K, M) mean costs, USD, or None.
        nearest: Groups that are looked at.
    """

    def __init__(
        self, centres: Floats32, score: Floats, spent: Floats | None, nearest: int = 1
    ) -> None:
        self._centres, self._score, self._spent = centres, score, spent
        self._nearest = min(nearest, len(centres))

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Clusters:
        """Choose K on the validation part, then group all prompts."""
        train, held = dataset.training, dataset.validation
        tried = [k for k in GROUPS if k <= train.sum() // 4] or [1]
        centres = {}
        for done, k in enumerate(tried):
            progress("groups", done, len(tried), f"K={k}")
            centres[k] = k_means(vectors[train], k, seed)

        def loss(option: tuple[int, int]) -> float:
            head = cls.of(centres[option[0]], vectors, dataset, train, option[1])
            return log_loss(head.quality(vectors[held]), dataset.target[held])

        k, nearest = of_least_loss(product(tried, LOOKED_AT), loss)
        progress("groups", len(tried), len(tried), f"K={k}")
        everyone = np.ones(len(dataset), dtype=bool)
        return cls.of(k_means(vectors, k, seed), vectors, dataset, everyone, nearest)

    @classmethod
    def of(
        cls, centres: Floats32, vectors: Floats32, dataset: Dataset, which: Bools, nearest: int = 1
    ) -> Clusters:
        """The router of some groups."""
        label = first_nearest(_closeness(vectors[which], centres))
        score = group_means(dataset.target[which], label, len(centres), STRENGTH)
        cost = None
        if dataset.cost is not None:
            cost = group_means(dataset.cost[which], label, len(centres), STRENGTH)
        return cls(centres, score, cost, nearest)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Clusters:
        """As it was saved."""
        return cls(
            stored(arrays, "centres"),
            stored(arrays, "score"),
            arrays.get("spent"),
            int(settings["nearest"]),
        )

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) mean scores of the nearest groups."""
        return self._mean_of_nearest(vectors, self._score)

    def cost(self, vectors: Floats32) -> Floats | None:
        """(P, M) mean costs of the nearest groups, USD."""
        return None if self._spent is None else self._mean_of_nearest(vectors, self._spent)

    def settings(self) -> dict[str, Any]:
        """Numbers of groups."""
        return {"groups": len(self._centres), "nearest": self._nearest}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Centres and means."""
        tables: dict[str, npt.NDArray[Any]] = {"centres": self._centres, "score": self._score}
        return tables if self._spent is None else {**tables, "spent": self._spent}

    def _mean_of_nearest(self, vectors: Floats32, table: Floats) -> Floats:
        # In float64, since what is asked of is so little.
        closeness = _closeness(vectors.astype(np.float64), self._centres)
        weight = weights_of_nearest(closeness, self._nearest)
        means: Floats = weight @ table / weight.sum(axis=1, keepdims=True)
        return means


def k_means(vectors: Floats32, k: int, seed: int = 0) -> Floats32:
    """Centres of K groups: Lloyd's rounds from k-means++'s start.

    Args:
        vectors: (P, D) points, at least one.
        k: K; fewer centres come back where there are fewer different points.
        seed: Seed of the start.
    """
    random = np.random.default_rng(seed)
    centres = vectors[random.integers(len(vectors))][None].astype(np.float32)
    far = _distance(vectors, centres[0])
    while len(centres) < k and far.any():
        chosen = vectors[random.choice(len(vectors), p=far / far.sum())]
        centres = np.concatenate([centres, chosen[None]])
        far = np.minimum(far, _distance(vectors, chosen))
    label = np.full(len(vectors), -1)
    for _ in range(_ROUNDS):
        found = first_nearest(_closeness(vectors, centres))
        if (found == label).all():
            break
        label = found
        member = np.zeros((len(centres), len(vectors)), dtype=np.float32)
        member[label, np.arange(len(vectors))] = 1.0
        count = member.sum(axis=1, keepdims=True)
        centres = np.where(count > 0, member @ vectors / np.maximum(count, 1), centres)
    return np.ascontiguousarray(centres, dtype=np.float32)


def _distance(vectors: Floats32, point: Floats32) -> Floats:
    """(P,) squared distances from a point, 0 of what is the same up to rounding."""
    squared = ((vectors - point) ** 2).sum(axis=1, dtype=np.float64)
    return np.where(squared > _SAME, squared, 0.0)


def _closeness(vectors: Floats32 | Floats, centres: Floats32) -> Floats:
    """(P, K) how near the centres are: half of a vector's squared length less its distance's."""
    closeness: Floats = vectors @ centres.T - (centres.astype(np.float64) ** 2).sum(axis=1) / 2
    return closeness
