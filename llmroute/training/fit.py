"""The training loop: log loss on known cells, early stopping on the validation prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as fn

from llmroute.training.abilities import refit, starting_general
from llmroute.training.data import TrainingSet
from llmroute.training.encoders import Encoder
from llmroute.training.network import Heads, LatentNetwork, merged


class Progress(Protocol):
    """Told how training goes, for progress bars."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """One step was made.

        Args:
            stage: What is being done, such as `"epoch"`.
            done: Steps done.
            total: Steps in all.
            note: Figures worth showing.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """Settings of a training run. The defaults were chosen on validation prompts.

    Attributes:
        members: Networks that are trained from different seeds and averaged in one graph.
        dimensions: Length of an ability vector in one of them.
        hidden: Width of all hidden layers together, which is the width of the token table.
        vector_size: Principal components kept of the starting token vectors.
        layers: MiniLM layers the starting token vectors have been through.
        epochs: Passes over the training prompts, at most.
        patience: Epochs without a better validation loss before training stops.
        batch: Prompts in a step.
        rate: Highest learning rate of the dense layers.
        weight_decay: Of the dense layers.
        ability_shrinkage: Penalty on the squares of the abilities beside the general one.
        refit_shrinkage: Prior precision of the same when they are fitted exactly after training.
        source_rate: Learning rate of what belongs to sources: how much harder each is than its
            prompts look, and which of them a prompt seems to be from.
        centring: Penalty on the squared mean of the further demands in each source. Without it they
            explain which source a prompt is from, in place of general ability.
        dropout: Of the hidden layer.
        token_dropout: Part of the tokens left out of a prompt in each pass; of the encoder's vector
            with the encoder `minilm`.
        tokens_weight: Weight of the output-token loss beside the log loss.
        win_weight: Weight of the log loss of "the source's best model is right where its worst is
            wrong", which is what a choice between two turns on, beside that of single answers.
        loss: `"log"`, or `"squared"` for the ablation.
    """

    members: int = 2
    dimensions: int = 5
    hidden: int = 128
    vector_size: int = 192
    layers: int = 3
    epochs: int = 15
    patience: int = 3
    batch: int = 256
    rate: float = 2e-3
    weight_decay: float = 1e-3
    ability_shrinkage: float = 0.02
    refit_shrinkage: float = 20.0
    centring: float = 0.03
    source_rate: float = 5e-3
    dropout: float = 0.2
    token_dropout: float = 0.15
    tokens_weight: float = 0.1
    win_weight: float = 0.0
    loss: Literal["log", "squared"] = "log"


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: The network, in evaluation mode.
        abilities: (M, K) abilities of the training models.
        general_demand: Demand for general ability, in place of the network's own.
        difficulty_shift: What to add to its difficulties.
        log_tokens_mean: What to add to its log tokens.
        epochs: Epochs they were trained for, in all.
    """

    network: LatentNetwork
    abilities: npt.NDArray[np.float64]
    general_demand: float
    difficulty_shift: float
    log_tokens_mean: float
    epochs: int


def fit(
    data: TrainingSet, encoder: Encoder, settings: Settings, seed: int, progress: Progress
) -> Fitted:
    """Trains the networks, joins them, and fits every model's ability under them.

    Args:
        data: Prompts and scores.
        encoder: The prompts' vectors.
        settings: Settings of the run.
        seed: Seed of initial weights, order and dropout; the same seed gives the same network on
            the same machine and number of threads.
        progress: Told after each epoch.
    """
    training = np.flatnonzero(~data.validation)
    members = [
        _train_member(data, encoder, settings, seed * settings.members + i, progress)
        for i in range(settings.members)
    ]
    network = merged([member.network for member in members])
    loss = _Loss(data, encoder, network, settings, training)
    with torch.inference_mode():
        out = loss.heads(training)
        whole = out.difficulty + loss.source_difficulty(training)
    demand, difficulty = (t.numpy().astype(np.float64) for t in (out.demand, whole))
    abilities = refit(data, demand, difficulty, settings.refit_shrinkage)
    return Fitted(
        network=network,
        abilities=abilities.vectors,
        general_demand=abilities.general_demand,
        difficulty_shift=abilities.difficulty_shift,
        log_tokens_mean=loss.log_tokens_mean,
        epochs=sum(member.epochs for member in members),
    )


@dataclass(frozen=True)
class _Member:
    network: LatentNetwork
    epochs: int


def _train_member(
    data: TrainingSet, encoder: Encoder, settings: Settings, seed: int, progress: Progress
) -> _Member:
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    training, held = np.flatnonzero(~data.validation), np.flatnonzero(data.validation)
    network = LatentNetwork(
        encoder.width,
        data.surface[training].mean(axis=0),
        data.surface[training].std(axis=0) + 1e-3,
        models=len(data.models),
        dimensions=settings.dimensions,
        hidden=max(settings.hidden // settings.members, 1),
        dropout=settings.dropout,
        sources=int(data.source.max()) + 1,
    )
    with torch.no_grad():
        network.free_ability[:, 0] = torch.from_numpy(starting_general(data))
    loss = _Loss(data, encoder, network, settings, training)
    optimiser, schedule = _optimiser(network, settings, -(-len(training) // settings.batch))
    best, best_state, best_epoch = float("inf"), network.state_dict(), 0
    for epoch in range(settings.epochs):
        network.train()
        order = generator.permutation(training)
        for start in range(0, len(order), settings.batch):
            step = loss(order[start : start + settings.batch], generator)
            optimiser.zero_grad()
            step.backward()
            optimiser.step()
            schedule.step()
        network.eval()
        current = loss.validation(held)
        progress("epoch", epoch + 1, settings.epochs, f"validation log loss {current:.4f}")
        if current < best:
            best, best_epoch = current, epoch + 1
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
        elif epoch + 1 - best_epoch >= settings.patience:
            break
    network.load_state_dict(best_state)
    return _Member(network, best_epoch)


def _optimiser(
    network: LatentNetwork, settings: Settings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    dense = [*network.project.parameters(), *network.surface.parameters()]
    dense += list(network.heads.parameters())
    units = [network.free_ability, network.log_general_demand]
    of_sources = [network.source_shift, *network.source_head.parameters()]
    groups = [
        {"params": dense, "lr": settings.rate, "weight_decay": settings.weight_decay},
        {"params": units, "lr": 5 * settings.rate, "weight_decay": 0.0},
        {"params": of_sources, "lr": settings.source_rate, "weight_decay": settings.weight_decay},
    ]
    optimiser = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [float(group["lr"]) for group in groups],  # type: ignore[arg-type]
        total_steps=settings.epochs * steps,
        pct_start=0.1,
    )
    return optimiser, schedule


class _Loss:
    """Weighted log loss of a batch, plus the output-token loss and the shrinkage of abilities."""

    def __init__(
        self,
        data: TrainingSet,
        encoder: Encoder,
        network: LatentNetwork,
        settings: Settings,
        training: npt.NDArray[np.int64],
    ) -> None:
        self._encoder, self._network, self._settings = encoder, network, settings
        self._score = torch.from_numpy(data.score)
        self._surface = torch.from_numpy(data.surface)
        self._weight = torch.from_numpy(data.weight)
        self._source = torch.from_numpy(data.source)
        self._sources = int(data.source.max()) + 1
        logs = data.log_tokens[training]
        known = logs[~np.isnan(logs)]
        self.log_tokens_mean = float(known.mean()) if len(known) else 0.0
        weights = torch.bincount(self._source[training], self._weight[training], self._sources)
        self._share = (weights / weights.sum()).float()
        self._extremes = torch.from_numpy(_extremes(data, training))
        self._log_tokens = torch.from_numpy(data.log_tokens) - self.log_tokens_mean

    def __call__(self, rows: npt.NDArray[np.int64], generator: np.random.Generator) -> Tensor:
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

    def validation(self, rows: npt.NDArray[np.int64]) -> float:
        with torch.inference_mode():
            each, _ = self._parts(self.heads(rows), rows)
            weight = self._weight[rows]
            return float((each * weight).sum() / weight.sum())

    def heads(self, rows: npt.NDArray[np.int64]) -> Heads:
        out: Heads = self._network(self._encoder(rows), self._surface[rows])
        return out

    def source_difficulty(self, rows: npt.NDArray[np.int64]) -> Tensor:
        shift = self._network.source_shift
        return (shift - (shift * self._share).sum())[self._source[rows]]

    def _parts(self, out: Heads, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
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


def _extremes(data: TrainingSet, training: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
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
