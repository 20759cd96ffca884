"""`mlp`: a small neural network for all models (RouterBench, arXiv 2403.12031)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import MissingExtra
from llmroute.numerics import Floats, Floats32
from llmroute.routers.base import Arrays, Head, Progress, log_loss, of_least_loss, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.sklearn_fit import fitted

#: Hidden layers, RouterBench's larger shape.
HIDDEN = (100, 100)
#: Weight of the squared weights in the loss and epochs, chosen on training splits. RouterBench
#: leaves scikit-learn's 0.0001 and 200, which learns small tables by heart.
PENALTY, EPOCHS = 1.0, 50
#: Weights of the squared weights that are tried on the validation part.
PENALTIES = (0.3, 1.0, 3.0)
#: Part of the prompts that all models must have answered for it to learn from those alone.
_MOSTLY_COMPLETE = 0.8
#: One dense layer: weights (in, out) and offsets (out,).
Layer = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class NeuralNetwork(Head):
    """Dense layers with ReLU between them, read with numpy alone.

    Args:
        networks: One network for all models, or one each, in the models' order.
        penalty: The penalty it was trained with.
    """

    def __init__(self, networks: Sequence[Sequence[Layer]], penalty: float) -> None:
        self._networks = [list(layers) for layers in networks]
        self._penalty = penalty

    @classmethod
    def fit(
        cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress
    ) -> NeuralNetwork:
        """Choose the penalty on the validation part, then train on all prompts."""
        train, held, target = dataset.training, dataset.validation, dataset.target

        def loss(penalty: float) -> float:
            tried = cls.trained(vectors[train], target[train], penalty=penalty, seed=seed)
            return log_loss(tried._in_single_precision().quality(vectors[held]), target[held])

        penalty = of_least_loss(PENALTIES, loss, progress, "penalties")
        return cls.trained(vectors, target, penalty=penalty, seed=seed)._in_single_precision()

    @classmethod
    def trained(
        cls, vectors: Floats32, target: Floats, *, penalty: float = PENALTY, seed: int = 0
    ) -> NeuralNetwork:
        """Trained by scikit-learn: one network for all models, which share its hidden layers.

        It learns from the prompts that all models answered. Where those are fewer than four fifths,
        each model has a network of its own, as in RouterBench.

        Args:
            vectors: (T, D) vectors of the training prompts.
            target: (T, M) scores, NaN where unknown.
            penalty: Weight of the squared weights in the loss.
            seed: Seed of the weights and of the order of the prompts.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        try:
            from sklearn.neural_network import MLPRegressor
        except ImportError:
            raise MissingExtra("The router `mlp` (scikit-learn)", "eval") from None
        known = ~np.isnan(target)
        shared = known.all(axis=1).mean() >= _MOSTLY_COMPLETE
        groups = [slice(None)] if shared else [slice(m, m + 1) for m in range(target.shape[1])]
        networks = []
        for group in groups:
            rows = known[:, group].all(axis=1)
            network = MLPRegressor(
                hidden_layer_sizes=HIDDEN, alpha=penalty, max_iter=EPOCHS, random_state=seed
            )
            wanted = target[rows, group]
            # Penalised weights shrink to numbers on which float32 is ten times slower. A single
            # target is wanted as a plain list of numbers.
            single = wanted.shape[1] == 1
            fitted(network, vectors[rows].astype(np.float64), wanted[:, 0] if single else wanted)
            networks.append(list(zip(network.coefs_, network.intercepts_, strict=True)))
        return cls(networks, penalty)

    def _in_single_precision(self) -> NeuralNetwork:
        """As it is stored."""
        networks = [
            [
                (weights.astype(np.float32), offsets.astype(np.float32))
                for weights, offsets in layers
            ]
            for layers in self._networks
        ]
        return NeuralNetwork(networks, self._penalty)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> NeuralNetwork:
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
            hidden: npt.NDArray[Any] = vectors
            for depth, (weights, offsets) in enumerate(layers):
                hidden = hidden @ weights + offsets
                if depth < len(layers) - 1:
                    hidden = np.maximum(hidden, 0.0)
            parts.append(hidden)
        return np.clip(np.hstack(parts).astype(np.float64), 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """Shape and penalty."""
        networks, layers = len(self._networks), len(self._networks[0])
        return {"networks": networks, "layers": layers, "penalty": self._penalty}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and offsets."""
        return {
            f"{kind}_{n}_{depth}": array
            for n, layers in enumerate(self._networks)
            for depth, layer in enumerate(layers)
            for kind, array in zip(("weights", "offsets"), layer, strict=True)
        }
