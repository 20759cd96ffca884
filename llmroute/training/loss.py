"""The loss that the heads, and the encoder with them, are trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from llmroute.numerics import Ints
from llmroute.training.data import TrainingSet
from llmroute.training.encoders import Encoder
from llmroute.training.network import Heads, LatentNetwork
from llmroute.training.settings import Settings


class LatentLoss:
    """Weighted log loss of a batch, plus the output-token loss and the shrinkage of abilities.

    Attributes:
        log_tokens_mean: Mean log output tokens of the training prompts.
    """

    def __init__(
        self, data: TrainingSet, encoder: Encoder, network: LatentNetwork, settings: Settings
    ) -> None:
        self._encoder, self._network, self._settings = encoder, network, settings
        self._score = torch.from_numpy(data.score)
        self._surface = torch.from_numpy(data.surface)
        self._weight = torch.from_numpy(data.weight)
        self._source = torch.from_numpy(data.source)
        self._sources = int(data.source.max()) + 1
        training = data.training
        logs = data.log_tokens[training]
        known = logs[~np.isnan(logs)]
        self.log_tokens_mean = float(known.mean()) if len(known) else 0.0
        weights = torch.bincount(self._source[training], self._weight[training], self._sources)
        self._share = (weights / weights.sum()).float()
        self._extremes = torch.from_numpy(_extremes(data, training))
        self._log_tokens = torch.from_numpy(data.log_tokens) - self.log_tokens_mean

    def __call__(self, rows: Ints, generator: np.random.Generator) -> Tensor:
        """The loss of a training step on the (B,) rows."""
        out = self._network(self._encoder(rows, generator), self._surface[rows])
        each, tokens = self._parts(out, rows)
        weight = self._weight[rows]
        shrinkage = (self._network.free_ability[:, 1:] ** 2).sum() / max(
            self._network.free_ability[:, 1:].numel(), 1
        )
        return (
            (each * weight).sum() / weight.sum()
            + self._settings.tokens_weight * tokens
            + self._settings.ability_shrinkage * shrinkage
            + fn.cross_entropy(out.source, self._source[rows])
            + self._settings.centring * self._off_centre(out.demand[:, 1:], self._source[rows])
        )

    def _off_centre(self, further: Tensor, source: Tensor) -> Tensor:
        counts = torch.bincount(source, minlength=self._sources).clamp_min(1)
        zeros = torch.zeros(self._sources, further.shape[1])
        sums = zeros.index_add(0, source, further)
        return (sums**2 / counts[:, None]).sum() / len(further)

    def validation(self, rows: Ints) -> float:
        """The weighted mean log loss alone."""
        with torch.inference_mode():
            each, _ = self._parts(self.heads(rows), rows)
            weight = self._weight[rows]
            return float((each * weight).sum() / weight.sum())

    def heads(self, rows: Ints) -> Heads:
        """What the network says of the (B,) rows."""
        out: Heads = self._network(self._encoder(rows), self._surface[rows])
        return out

    def source_difficulty(self, rows: Ints) -> Tensor:
        """(B,) how much harder the prompts' sources are than an average one."""
        shift = self._network.source_shift
        return (shift - (shift * self._share).sum())[self._source[rows]]

    def _parts(self, out: Heads, rows: Ints) -> tuple[Tensor, Tensor]:
        difficulty = out.difficulty + self.source_difficulty(rows)
        logits = out.demand @ self._network.abilities().T - difficulty[:, None]
        target = self._score[rows]
        known = torch.isfinite(target)
        target = torch.nan_to_num(target)
        if self._settings.loss == "squared":
            cells = (torch.sigmoid(logits) - target) ** 2
        else:
            cells = fn.binary_cross_entropy_with_logits(logits, target, reduction="none")
        # A prompt counts once, however many models answered it.
        each = (cells * known).sum(1) / known.sum(1).clamp_min(1)
        if self._settings.win_weight:
            pair = self._extremes[self._source[rows]]
            both = known.gather(1, pair).all(1)
            wins = _win_loss(logits.gather(1, pair), target.gather(1, pair))
            each = each + self._settings.win_weight * wins * both
        counts = self._log_tokens[rows]
        counted = torch.isfinite(counts)
        misfit = (out.log_tokens - torch.nan_to_num(counts)) ** 2 * counted
        return each, misfit.sum() / counted.sum().clamp_min(1)


def _extremes(data: TrainingSet, training: Ints) -> Ints:
    """(S, 2) the model with the lowest and the one with the highest mean score in each source."""
    found = np.zeros((int(data.source.max()) + 1, 2), dtype=np.int64)
    for source in range(len(found)):
        score = data.score[training[data.source[training] == source]]
        known = np.isfinite(score)
        mean = np.where(known, score, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        asked = known.any(0)
        if asked.any():
            found[source] = (
                np.where(asked, mean, np.inf).argmin(),
                np.where(asked, mean, -np.inf).argmax(),
            )
    return found


def _win_loss(logits: Tensor, target: Tensor) -> Tensor:
    """(B,) log loss of "weak wrong, strong right"; both are (B, 2), the weak model first."""
    log_wins = fn.logsigmoid(logits[:, 1]) + fn.logsigmoid(-logits[:, 0])
    log_others = torch.log1p(-log_wins.exp().clamp_max(1 - 1e-6))
    wins = target[:, 1] * (1 - target[:, 0])
    return -(wins * log_wins + (1 - wins) * log_others)
