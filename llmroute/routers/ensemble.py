"""`ensemble`: the weighted mean of other routers' estimates.

Routers that err differently err less on the mean, and a choice among many models, which goes to
whichever is overestimated most, suffers from every error. The parts are `linear`, `knn` and, where
prompts have categories, `categories`; their weights are those of the least loss on the validation
part, drawn half way to equal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, Head, Progress
from llmroute.routers.dataset import Dataset
from llmroute.routers.folder_loader import head_class

#: The parts, by name; the last needs categories.
PARTS = ("linear", "knn", "categories")
#: Rounds of the search for weights.
_ROUNDS = 200
_LEAST = 1e-4


class Ensemble(Head):
    """Several heads that read the same vectors.

    Args:
        parts: Name → head.
        weights: Their weights, which sum to 1.
    """

    def __init__(self, parts: dict[str, Head], weights: Sequence[float]) -> None:
        # As they stand on the card, so that a saved router gives the same numbers.
        self._parts, self._weights = parts, [round(float(w), 4) for w in weights]

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Ensemble:
        """Weigh parts that have not seen the validation part, then fit the parts on all prompts."""
        kinds = {name: head_class(name) for name in PARTS}
        if len(set(dataset.categories)) < 2:
            kinds.pop("categories")
        train, held = dataset.training, dataset.validation
        # Each part keeps a tenth of what is left, to choose its own settings.
        part = dataset.select(train, seed + 1)
        tried = [kind.fit(vectors[train], part, seed, progress) for kind in kinds.values()]
        found = np.stack([head.quality(vectors[held]) for head in tried])
        weights = best_weights(found, dataset.target[held])
        fitted = {name: kind.fit(vectors, dataset, seed, progress) for name, kind in kinds.items()}
        return cls(fitted, ((weights + 1 / len(weights)) / 2).tolist())

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Ensemble:
        """As it was saved."""
        parts = {}
        for name, own in settings["parts"].items():
            prefix = f"{name}."
            named = {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}
            parts[name] = head_class(name).restore(own, named)
        return cls(parts, settings["weights"])

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) weighted mean of the parts' estimates."""
        found = np.stack([part.quality(vectors) for part in self._parts.values()])
        mean: Floats = np.tensordot(np.array(self._weights), found, axes=1)
        return mean

    def settings(self) -> dict[str, Any]:
        """The parts' settings, and their weights."""
        parts = {name: part.settings() for name, part in self._parts.items()}
        return {"parts": parts, "weights": self._weights}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The parts' numbers, each under its name."""
        return {
            f"{name}.{key}": array
            for name, part in self._parts.items()
            for key, array in part.arrays().items()
        }


def best_weights(estimates: Floats, target: Floats) -> Floats:
    """The weights, 0 or more and of sum 1, whose mean of the estimates has the least log loss.

    A mixture's likelihood has one maximum, and each round of expectation and maximisation comes
    nearer to it.

    Returns:
        (E,) weights.
    """
    known = ~np.isnan(target)
    y = target[known]
    p = np.clip(estimates[:, known], _LEAST, 1 - _LEAST)
    weights = np.full(len(p), 1 / len(p))
    for _ in range(_ROUNDS):
        right, wrong = weights[:, None] * p, weights[:, None] * (1 - p)
        share = y * right / right.sum(axis=0) + (1 - y) * wrong / wrong.sum(axis=0)
        weights = share.mean(axis=1)
    return weights
