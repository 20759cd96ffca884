"""Training in epochs: AdamW with a rate that rises and falls, the best epoch kept, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llmroute.training.checkpoints import Checkpoint

#: Part of all steps in which the rates grow; largest norm of a gradient.
WARM_UP, CLIP = 0.1, 1.0
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Group:
    """Parameters that are trained alike.

    Attributes:
        parameters: Parameters by name.
        rate: Highest learning rate.
        decay: Weight decay.
    """

    parameters: Mapping[str, Tensor]
    rate: float
    decay: float


class Epochs:
    """Parameters in training: everything that a checkpoint holds.

    A checkpoint is written between epochs, after each parameter has had a gradient.

    Attributes:
        done: Passes that were made.
        best: Copies of the parameters after the best epoch.
        best_epoch: Which epoch that was; 0 for the start.
        least: Its validation loss.

    Args:
        groups: The parameters; what they hold is trained in place.
        epochs: Passes, at most.
        steps: Steps in a epoch.
        device: Where the parameters are.
    """

    def __init__(
        self, groups: Sequence[Group], epochs: int, steps: int, device: str = "cpu"
    ) -> None:
        self._parameters = {
            name: parameter.requires_grad_(True)
            for group in groups
            for name, parameter in group.parameters.items()
        }
        self._rates = [group.rate for group in groups]
        self._optimiser = torch.optim.AdamW(
            [
                {"params": list(g.parameters.values()), "lr": g.rate, "weight_decay": g.decay}
                for g in groups
            ]
        )
        self._whole, self._steps, self._device = epochs * steps, steps, device
        self._taken = 0
        self.done, self.best_epoch, self.least = 0, 0, float("inf")
        self.best: dict[str, Tensor] = {}

    @property
    def is_overfitted(self) -> bool:
        """Whether the last epoch was worse on the validation part than the best one."""
        return self.best_epoch < self.done

    def step(self, loss: Tensor) -> None:
        """One step of AdamW."""
        self._taken += 1
        self._set_rates(self._taken / self._whole)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._parameters.values()), CLIP)
        self._optimiser.step()

    def judged(self, validation_loss: float) -> None:
        """Keeps the parameters as they are if none before were better."""
        if validation_loss < self.least:
            self.least, self.best_epoch = validation_loss, self.done
            self.best = {name: p.detach().clone() for name, p in self._parameters.items()}

    def finish_epoch(self, validation_loss: float) -> None:
        """Counts a epoch and judges it."""
        self.done += 1
        self._taken = self.done * self._steps
        self.judged(validation_loss)

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes the checkpoint."""
        tensors = {f"now.{name}": p for name, p in self._parameters.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for name, parameter in self._parameters.items():
            state = self._optimiser.state[parameter]
            tensors |= {f"{m}.{name}": state[m] for m in _MOMENTS}
        numbers = {"done": self.done, "best_pass": self.best_epoch, "least": self.least}
        checkpoint.save(tensors, numbers)

    def resume(self, checkpoint: Checkpoint) -> bool:
        """Goes on from a checkpoint of the same run.

        Returns:
            Whether there was one.
        """
        state = checkpoint.load(self._device)
        if state is None:
            return False
        self.done, self.best_epoch = state.numbers["done"], state.numbers["best_pass"]
        self.least, self._taken = state.numbers["least"], self.done * self._steps
        for name, parameter in self._parameters.items():
            with torch.no_grad():
                parameter.copy_(state.tensors[f"now.{name}"])
            self.best[name] = state.tensors[f"best.{name}"]
            moments = {m: state.tensors[f"{m}.{name}"] for m in _MOMENTS}
            # AdamW keeps its count of steps on the CPU.
            self._optimiser.state[parameter] = moments | {"step": moments["step"].to("cpu")}
        return True

    def _set_rates(self, part: float) -> None:
        """Rises to the full rate, then falls in a line to nothing."""
        share = min(part / WARM_UP, (1 - part) / (1 - WARM_UP))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * max(share, 0.0)
