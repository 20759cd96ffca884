"""Fine-tuning: MiniLM's upper layers are trained together with the heads, on the heads' loss.

The heads are trained on the frozen encoder first (Kumar et al., arXiv 2202.10054: a head from
chance would spoil the features), and anew on the tuned one afterwards. The token table stays as it
is: most of its rows are met rarely, and it is half of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from llmroute.numerics import Floats32, Ints
from llmroute.training.batches import as_read, groups_by_length, stacked
from llmroute.training.data import TrainingSet
from llmroute.training.epochs import Epochs, Group
from llmroute.training.fit import TrainingRun
from llmroute.training.loss import LatentLoss
from llmroute.training.minilm_torch import encode
from llmroute.training.network import LatentNetwork
from llmroute.training.settings import Settings

#: Weight decay of the layers that are tuned.
_DECAY = 0.01


class LiveEncoder:
    """Reads prompts with layers that are still in training. Prompts are cut to the shortest.

    Attributes:
        width: D, the length of a vector.
        weights: Parameters by their names in `model.safetensors`; those of the tuned layers are
            trained in place.
        tuned: The tuned ones among them.
    """

    def __init__(
        self,
        ids: Sequence[Ints],
        weights: Mapping[str, Tensor],
        settings: Settings,
        mean: Floats32,
        scale: Floats32,
    ) -> None:
        self.ids = [as_read(text) for text in ids]
        self.weights = dict(weights)
        self.tuned: dict[str, Tensor] = {}
        first = max(settings.layers - settings.tuned_layers, 0)
        for layer in range(first, settings.layers):
            for name in weights:
                if name.startswith(f"encoder.layer.{layer}."):
                    self.tuned[name] = weights[name].clone().requires_grad_(True)
        self.weights |= self.tuned
        self.width = len(mean)
        self._layers, self._dropout = settings.layers, settings.token_dropout
        self._mean, self._scale = torch.from_numpy(mean), torch.from_numpy(scale)

    def __call__(self, rows: Ints, generator: np.random.Generator | None = None) -> Tensor:
        """Vectors of B prompts, (B, D); dropout is drawn from torch's own generator."""
        block = torch.from_numpy(stacked(self.ids, rows))
        with torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16()):
            hidden = encode(self.weights, block, self._layers)
        vectors = (hidden.float().mean(dim=1) - self._mean) / self._scale
        return fn.dropout(vectors, self._dropout, generator is not None)


def tune(run: TrainingRun, encoder: LiveEncoder, network: LatentNetwork) -> dict[str, Tensor]:
    """Trains the upper layers and the heads, and keeps the best epoch by the validation prompts.

    Returns:
        All parameters of the encoder by name; those it started from where no epoch was better.
    """
    data, settings, seed = run.data, run.settings, run.seed
    checkpoint = run.checkpoints.stage("tuning")
    loss = LatentLoss(data, encoder, network, settings)
    heads = {f"heads.{name}": value for name, value in network.named_parameters()}
    epochs = Epochs(
        [
            Group(encoder.tuned, settings.tuning_rate, _DECAY),
            Group(heads, settings.tuning_head_rate, settings.weight_decay),
        ],
        settings.tuning_epochs,
        steps=-(-len(data.training) // settings.tuning_batch),
    )
    if not epochs.resume(checkpoint):
        epochs.judged(_validation_loss(loss, encoder, network, data))
    while epochs.done < settings.tuning_epochs and not epochs.is_overfitted:
        name = f"tuning pass {epochs.done + 1} of {settings.tuning_epochs}"
        # Each epoch has a seed of its own, so that it is the same after an interruption.
        torch.manual_seed(seed * settings.tuning_epochs + epochs.done)
        generator = np.random.default_rng([seed, epochs.done])
        groups = list(
            groups_by_length(encoder.ids, data.training, settings.tuning_batch, generator)
        )
        network.train()
        for done, rows in enumerate(groups):
            run.progress(name, done, len(groups))
            epochs.step(loss(rows, generator))
        found = _validation_loss(loss, encoder, network, data)
        run.progress(name, len(groups), len(groups), f"validation log loss {found:.4f}")
        epochs.finish_epoch(found)
        epochs.save(checkpoint)
    return encoder.weights | {name: epochs.best[name] for name in encoder.tuned}


def _validation_loss(
    loss: LatentLoss, encoder: LiveEncoder, network: LatentNetwork, data: TrainingSet
) -> float:
    network.eval()
    groups = list(groups_by_length(encoder.ids, data.held, 64, None))
    weights = [float(data.weight[rows].sum()) for rows in groups]
    losses = [loss.validation(rows) for rows in groups]
    return float(np.average(losses, weights=weights))


def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; without that it is slower than float32."""
    if not hasattr(torch.cpu, "get_capabilities"):  # not in every torch
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
