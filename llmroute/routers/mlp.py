"""`mlp`: a small neural network for all models (RouterBench, arXiv 2403.12031)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, NoCost, Progress, log_loss, of_least_loss, stored
from llmroute.routers.dataset import Lessons
from llmroute.routers.predictors import Network

#: Weights of the squared weights that are tried on the validation part.
PENALTIES = (0.3, 1.0, 3.0)
#: One dense layer: weights (in, out) and offsets (out,).
Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class Layers(NoCost):
    """Dense layers with ReLU between them, read with numpy alone.

    Args:
        networks: One network for all models, or one each, in the models' order.
        penalty: The penalty it was trained with.
    """

    def __init__(self, networks: Sequence[Sequence[Layer]], penalty: float) -> None:
        self._networks = [list(layers) for layers in networks]
        self._penalty = penalty

    @classmethod
    def fit(cls, vectors: Floats32, lessons: Lessons, seed: int, progress: Progress) -> Layers:
        """Choose the penalty on the validation part, then train on all prompts."""
        train, held = lessons.training, lessons.validation
        found = {}
        for done, penalty in enumerate(PENALTIES):
            progress("penalties", done, len(PENALTIES), f"{penalty:g}")
            tried = cls._trained(vectors[train], lessons.target[train], penalty, seed)
            found[penalty] = log_loss(tried.quality(vectors[held]), lessons.target[held])
        best = of_least_loss(found)
        fitted = cls._trained(vectors, lessons.target, best, seed)
        progress("penalties", len(PENALTIES), len(PENALTIES), "")
        return fitted

    @classmethod
    def _trained(cls, vectors: Floats32, target: Floats, penalty: float, seed: int) -> Layers:
        fitted = Network(vectors, target, penalty=penalty, seed=seed)
        return cls(
            [
                [
                    (weights.astype(np.float32), offsets.astype(np.float32))
                    for weights, offsets in zip(one.coefs_, one.intercepts_, strict=True)
                ]
                for one in fitted._networks
            ],
            penalty,
        )

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Layers:
        """As it was saved."""
        networks = [
            [
                (stored(arrays, f"weights_{n}_{depth}"), stored(arrays, f"offsets_{n}_{depth}"))
                for depth in range(int(settings["layers"]))
            ]
            for n in range(int(settings["networks"]))
        ]
        return cls(networks, float(settings["penalty"]))

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) scores, cut to 0..1."""
        parts = []
        for layers in self._networks:
            hidden = vectors
            for depth, (weights, offsets) in enumerate(layers):
                hidden = hidden @ weights + offsets
                if depth < len(layers) - 1:
                    hidden = np.maximum(hidden, 0.0)
            parts.append(hidden)
        return np.clip(np.hstack(parts).astype(np.float64), 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """Shape and penalty."""
        return {
            "networks": len(self._networks),
            "layers": len(self._networks[0]),
            "penalty": self._penalty,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and offsets."""
        return {
            f"{kind}_{n}_{depth}": array
            for n, layers in enumerate(self._networks)
            for depth, layer in enumerate(layers)
            for kind, array in zip(("weights", "offsets"), layer, strict=True)
        }
