"""The training loop: log loss on known cells, early stopping on the validation prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from llmroute.numerics import Floats
from llmroute.scoring.progress import Progress
from llmroute.training.ability_start import refit, starting_general
from llmroute.training.checkpoints import Checkpoints
from llmroute.training.data import TrainingSet
from llmroute.training.encoders import Encoder
from llmroute.training.loss import LatentLoss
from llmroute.training.network import LatentNetwork, merged
from llmroute.training.settings import Settings


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
    abilities: Floats
    general_demand: float
    difficulty_shift: float
    log_tokens_mean: float
    epochs: int


@dataclass(frozen=True)
class TrainingRun:
    """What a training is made of.

    Attributes:
        data: Prompts and scores.
        settings: Its settings.
        seed: Seed of initial weights, order and dropout; the same seed gives the same network on
            the same machine and number of threads.
        progress: Told how far it is.
        checkpoints: What is done is kept there; an interrupted training goes on from it.
    """

    data: TrainingSet
    settings: Settings
    seed: int
    progress: Progress
    checkpoints: Checkpoints


def fit(run: TrainingRun, encoder: Encoder) -> Fitted:
    """Trains the networks on the prompts' vectors, joins them, and fits the models' abilities."""
    data, settings = run.data, run.settings
    members = [
        train_member(run, encoder, run.seed * settings.members + i, f"member-{i}")
        for i in range(settings.members)
    ]
    network = merged([member.network for member in members])
    loss = LatentLoss(data, encoder, network, settings)
    with torch.inference_mode():
        out = loss.heads(data.training)
        whole = out.difficulty + loss.source_difficulty(data.training)
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


class Member(NamedTuple):
    """One of the networks that are joined: after its best epoch, in evaluation mode, and which."""

    network: LatentNetwork
    epochs: int


def train_member(run: TrainingRun, encoder: Encoder, seed: int, stage: str) -> Member:
    """Trains one network on vectors that stay as they are, or reads it from its checkpoint."""
    torch.manual_seed(seed)
    network = _untrained(run.data, encoder, run.settings)
    checkpoint = run.checkpoints.stage(stage)
    state = checkpoint.load()
    if state is None:
        epochs = _trained(network, run, encoder, np.random.default_rng(seed))
        checkpoint.save(network.state_dict(), {"epochs": epochs})
    else:
        network.load_state_dict(state.tensors)
        epochs = int(state.numbers["epochs"])
    network.eval()
    return Member(network, epochs)


def _untrained(data: TrainingSet, encoder: Encoder, settings: Settings) -> LatentNetwork:
    surface = data.surface[data.training]
    network = LatentNetwork(
        encoder.width,
        surface.mean(axis=0),
        surface.std(axis=0) + 1e-3,
        models=len(data.models),
        dimensions=settings.dimensions,
        hidden=max(settings.hidden // settings.members, 1),
        dropout=settings.dropout,
        sources=int(data.source.max()) + 1,
    )
    with torch.no_grad():
        network.free_ability[:, 0] = torch.from_numpy(starting_general(data))
    return network


def _trained(
    network: LatentNetwork, run: TrainingRun, encoder: Encoder, generator: np.random.Generator
) -> int:
    """Trains the network in place and leaves it as it was after its best epoch, which it gives."""
    data, settings, training = run.data, run.settings, run.data.training
    loss = LatentLoss(data, encoder, network, settings)
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
        current = loss.validation(data.held)
        run.progress("epoch", epoch + 1, settings.epochs, f"validation log loss {current:.4f}")
        if current < best:
            best, best_epoch = current, epoch + 1
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
        elif epoch + 1 - best_epoch >= settings.patience:
            break
    network.load_state_dict(best_state)
    return best_epoch


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
