"""`mf`: matrix factorisation (RouteLLM, arXiv 2406.18665).

δ(M, q) = wᵀ(v_M ⊙ (W e_q + b)): a model's vector meets the prompt's in a few common dimensions. Of
comparisons the log loss of P(a beats b) = σ(δ(a, q) − δ(b, q)) is made small, as in the paper; of
outcomes that of P(right) = σ(δ(M, q)), as EmbedLLM (arXiv 2410.02223) does with the same form,
since a policy that weighs quality against cost needs more than an order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Bools, Floats, Floats32, Ints, logit, sigmoid
from llmroute.routers.base import LEAST_SHARE, Arrays, Head, Progress, log_loss, stored
from llmroute.routers.dataset import Dataset
from llmroute.routers.preferences import Preferences

#: Dimensions in which models and prompts meet; epochs; prompts in a step; epochs without a better
#: validation loss before it stops.
DIMENSIONS, EPOCHS, BATCH, PATIENCE = 32, 60, 128, 6
#: Step of Adam, and the weights of the squared projection that are tried on the validation part.
STEP, PENALTIES = 0.005, (1e-5, 1e-4, 1e-3)
_NAMES = ("project", "shift", "models", "mix")
_Parameters = dict[str, Floats]
#: The comparisons in the order of their prompts, and where each prompt's begin.
_ByPrompt = tuple[Ints, Ints]


class Factorised(Head):
    """Vectors of models, and the projection of prompts.

    Args:
        parameters: W (D, K), b (K,), v (M, K) and w (K,), by the names `project`, `shift`,
            `models` and `mix`.
        compared: Whether it learned from comparisons: its quality is then the mean probability of
            winning against the others.
        penalty: What it was fitted with.
        epochs: Epochs after which it was best.
    """

    def __init__(
        self, parameters: _Parameters, compared: bool, penalty: float = 0.0, epochs: int = 0
    ) -> None:
        self._parameters = {n: parameters[n].astype(np.float32) for n in _NAMES}
        self._compared, self._penalty, self._epochs = compared, penalty, epochs

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Factorised:
        """Train with each penalty and keep the epoch that is best on the validation part."""
        best, least = None, np.inf
        for penalty in PENALTIES:
            found, loss = _train(cls, vectors, dataset, seed, penalty, progress)
            if loss < least:
                best, least = found, loss
        assert best is not None  # some loss is below infinity
        return best

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Factorised:
        """As it was saved."""
        return cls(
            {name: stored(arrays, name) for name in _NAMES},
            bool(settings["compared"]),
            float(settings["penalty"]),
            int(settings["epochs"]),
        )

    def strengths(self, vectors: Floats32) -> Floats:
        """(P, M) δ(M, q)."""
        p = self._parameters
        prompts = (vectors @ p["project"] + p["shift"]) * p["mix"]
        strengths: Floats = (prompts @ p["models"].T).astype(np.float64)
        return strengths

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) probability of success, or of winning."""
        strengths = self.strengths(vectors)
        return win_rates(strengths) if self._compared else sigmoid(strengths)

    def settings(self) -> dict[str, Any]:
        """How it was trained."""
        return {"compared": self._compared, "penalty": self._penalty, "epochs": self._epochs}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """W, b, v and w."""
        return dict(self._parameters)


def win_rates(strengths: Floats) -> Floats:
    """(P, M) mean probability of winning against each of the other models."""
    models = strengths.shape[1]
    if models < 2:
        return np.full(strengths.shape, 0.5)
    won = sigmoid(strengths[:, :, None] - strengths[:, None, :]).sum(axis=2)
    rates: Floats = (won - 0.5) / (models - 1)  # less the half that is won against itself
    return rates


def _train(
    kind: type[Factorised],
    vectors: Floats32,
    dataset: Dataset,
    seed: int,
    penalty: float,
    progress: Progress,
) -> tuple[Factorised, float]:
    """The head after the best epoch, and its loss on the validation part."""
    random = np.random.default_rng(seed)
    pairs = dataset.given
    parameters = _start(vectors.shape[1], logit(dataset.prior, LEAST_SHARE), random)
    adam = _Adam(parameters)
    rows = np.flatnonzero(dataset.training)
    by_prompt = None if pairs is None else _by_prompt(pairs, len(dataset))
    held = dataset.validation
    best, least, waited = kind(parameters, pairs is not None, penalty), np.inf, 0
    for epoch in range(1, EPOCHS + 1):
        random.shuffle(rows)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            adam.move(_gradients(parameters, vectors, dataset, batch, by_prompt, penalty))
        found = kind(parameters, pairs is not None, penalty, epoch)
        loss = _loss(found, vectors[held], dataset, held)
        progress(f"factorisation, penalty {penalty:g}", epoch, EPOCHS, f"loss {loss:.4f}")
        if loss < least - 1e-5:
            best, least, waited = found, loss, 0
        else:
            waited += 1
            if waited >= PATIENCE:
                break
    return best, least


def _start(dimensions: int, prior: Floats, random: np.random.Generator) -> _Parameters:
    """Every model at its mean, whatever the prompt, and a little noise to part the dimensions."""
    shape = (len(prior), DIMENSIONS)
    models = prior[:, None] / DIMENSIONS + random.normal(0, 0.1, shape)
    models -= models.mean(axis=1, keepdims=True) - prior[:, None] / DIMENSIONS
    return {
        "project": random.normal(0, 0.1 / np.sqrt(dimensions), (dimensions, DIMENSIONS)),
        "shift": np.ones(DIMENSIONS),
        "models": models,
        "mix": np.ones(DIMENSIONS),
    }


def _gradients(
    parameters: _Parameters,
    vectors: Floats32,
    dataset: Dataset,
    batch: Ints,
    by_prompt: _ByPrompt | None,
    penalty: float,
) -> _Parameters:
    read = vectors[batch].astype(np.float64)
    hidden = read @ parameters["project"] + parameters["shift"]
    mixed = hidden * parameters["mix"]
    strengths = mixed @ parameters["models"].T
    if by_prompt is None:
        target = dataset.target[batch]
        known = ~np.isnan(target)
        slope = np.where(known, sigmoid(strengths) - np.where(known, target, 0.0), 0.0)
        slope /= max(int(known.sum()), 1)
    else:
        slope = _pair_slope(strengths, dataset.comparisons, batch, by_prompt)
    of_mixed = slope @ parameters["models"]
    of_hidden = of_mixed * parameters["mix"]
    return {
        "project": read.T @ of_hidden + penalty * parameters["project"],
        "shift": of_hidden.sum(axis=0),
        "models": slope.T @ mixed,
        "mix": (of_mixed * hidden).sum(axis=0),
    }


def _pair_slope(strengths: Floats, pairs: Preferences, batch: Ints, by_prompt: _ByPrompt) -> Floats:
    """(B, M) slope of the pairs' mean log loss in the strengths."""
    order, starts = by_prompt
    counts = starts[batch + 1] - starts[batch]
    local = np.repeat(np.arange(len(batch)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = order[np.repeat(starts[batch], counts) + within]
    a, b = pairs.first[chosen], pairs.second[chosen]
    wrong = sigmoid(strengths[local, a] - strengths[local, b]) - pairs.won[chosen]
    slope = np.zeros_like(strengths)
    np.add.at(slope, (local, a), wrong)
    np.add.at(slope, (local, b), -wrong)
    result: Floats = slope / max(len(chosen), 1)
    return result


def _by_prompt(pairs: Preferences, prompts: int) -> _ByPrompt:
    counts = np.bincount(pairs.prompt, minlength=prompts)
    return np.argsort(pairs.prompt, kind="stable"), np.concatenate([[0], np.cumsum(counts)])


def _loss(found: Factorised, vectors: Floats32, dataset: Dataset, held: Bools) -> float:
    if dataset.given is None:
        return log_loss(found.quality(vectors), dataset.target[held])
    return pair_loss(found.strengths(vectors), dataset.given.select(held))


def pair_loss(strengths: Floats, pairs: Preferences) -> float:
    """Mean log loss of comparisons on P prompts, by (P, M) Bradley–Terry strengths."""
    difference = strengths[pairs.prompt, pairs.first] - strengths[pairs.prompt, pairs.second]
    return log_loss(sigmoid(difference)[:, None], pairs.won[:, None])


class _Adam:
    """Adam (arXiv 1412.6980), in place."""

    def __init__(self, parameters: _Parameters) -> None:
        self._parameters = parameters
        self._mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._square = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._steps = 0

    def move(self, gradients: _Parameters) -> None:
        self._steps += 1
        for name, gradient in gradients.items():
            mean, square = self._mean[name], self._square[name]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            whole = mean / (1 - 0.9**self._steps)
            scale = np.sqrt(square / (1 - 0.999**self._steps)) + 1e-8
            self._parameters[name] -= STEP * whole / scale
