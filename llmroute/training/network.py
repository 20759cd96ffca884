"""The scorer's heads as a torch module: a text's vector and surface features in, estimates out.

success = σ(demand(x) · ability − difficulty(x)). The first demand is one positive number for all
prompts and belongs to general ability, which is standardised over the training models: letting it
vary by prompt was no better on prompts like the training ones and much worse between models that
were not trained on. The other abilities say how a model differs from what its general ability
predicts, and are shrunk towards 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from llmroute.numerics import Floats32

#: Standardised surface features are cut here, so that an odd text cannot take over the sum.
SURFACE_LIMIT = 4.0


@dataclass(frozen=True)
class Heads:
    """What the network says of B prompts.

    Attributes:
        demand: (B, K).
        difficulty: (B,).
        log_tokens: (B,) about the training mean.
        source: (B, S) logits of which source the prompt is from.
    """

    demand: Tensor
    difficulty: Tensor
    log_tokens: Tensor
    source: Tensor


class LatentNetwork(nn.Module):  # type: ignore[misc]
    """One hidden layer and linear heads.

    Args:
        width: D, the length of a text's vector.
        surface_mean: (F,) mean of the surface features on the training prompts.
        surface_scale: (F,) their standard deviation.
        models: Number of training models.
        dimensions: K.
        hidden: Width of the hidden layer.
        dropout: Dropout of the hidden layer.
        sources: Number of sources.
    """

    surface_mean: Tensor
    surface_scale: Tensor

    def __init__(
        self,
        width: int,
        surface_mean: Floats32,
        surface_scale: Floats32,
        *,
        models: int,
        dimensions: int,
        hidden: int,
        dropout: float,
        sources: int,
    ) -> None:
        super().__init__()
        self.dimensions, self.dropout = dimensions, dropout
        self.register_buffer("surface_mean", torch.from_numpy(surface_mean))
        self.register_buffer("surface_scale", torch.from_numpy(surface_scale))
        self.project = nn.Linear(width, hidden, bias=False)
        self.surface = nn.Linear(len(surface_mean), hidden)
        # K − 1 further demands, difficulty, log tokens.
        self.heads = nn.Linear(hidden, dimensions + 1)
        # How much harder a source is than its prompts look: its harness, not its prompts, and so
        # no part of the graph.
        self.source_shift = nn.Parameter(torch.zeros(sources))
        self.source_head = nn.Linear(hidden, sources)
        self.log_general_demand = nn.Parameter(torch.zeros(()))
        self.free_ability = nn.Parameter(0.1 * torch.randn(models, dimensions))
        nn.init.normal_(self.heads.weight, std=0.05)
        nn.init.zeros_(self.heads.bias)

    def forward(self, text: Tensor, surface: Tensor) -> Heads:
        """Heads for B texts."""
        counted = (surface - self.surface_mean) / self.surface_scale
        counted = counted.clamp(-SURFACE_LIMIT, SURFACE_LIMIT)
        counted = fn.dropout(counted, 0.1, self.training)
        hidden = fn.gelu(self.project(text) + self.surface(counted))
        out = self.heads(fn.dropout(hidden, self.dropout, self.training))
        general = self.log_general_demand.exp().expand(len(out), 1)
        further = self.dimensions - 1
        demand = torch.cat([general, out[:, :further]], dim=1)
        # Detached: telling sources apart must not shape what difficulty is read from.
        source = self.source_head(hidden.detach())
        return Heads(demand, out[:, further], out[:, further + 1], source)

    def abilities(self) -> Tensor:
        """(M, K) ability vectors, the first column standardised over the models."""
        general = self.free_ability[:, 0]
        scale = general.std(unbiased=False) if len(general) > 1 else torch.ones(())
        general = (general - general.mean()) / scale.clamp_min(1e-3)
        return torch.cat([general[:, None], self.free_ability[:, 1:]], dim=1)


def merged(networks: Sequence[LatentNetwork]) -> LatentNetwork:
    """One network that says the mean of several: hidden layers side by side, heads averaged.

    Difficulty and log tokens are means. Further demands stand side by side, so abilities have to be
    fitted again.
    """
    first, count = networks[0], len(networks)
    further, width = first.dimensions - 1, first.project.weight.shape[0]
    whole = LatentNetwork(
        first.project.weight.shape[1],
        first.surface_mean.numpy(),
        first.surface_scale.numpy(),
        models=len(first.free_ability),
        dimensions=1 + count * further,
        hidden=count * width,
        dropout=first.dropout,
        sources=len(first.source_shift),
    )
    with torch.no_grad():
        whole.project.weight.copy_(torch.cat([n.project.weight for n in networks]))
        whole.surface.weight.copy_(torch.cat([n.surface.weight for n in networks]))
        whole.surface.bias.copy_(torch.cat([n.surface.bias for n in networks]))
        sources = torch.cat([n.source_head.weight for n in networks], dim=1)
        whole.source_head.weight.copy_(sources / count)
        whole.source_head.bias.copy_(torch.stack([n.source_head.bias for n in networks]).mean(0))
        whole.heads.weight.zero_()
        whole.heads.bias.zero_()
        for place, one in enumerate(networks):
            columns = slice(place * width, (place + 1) * width)
            rows = slice(place * further, (place + 1) * further)
            whole.heads.weight[rows, columns] = one.heads.weight[:further]
            whole.heads.bias[rows] = one.heads.bias[:further]
            whole.heads.weight[-2:, columns] = one.heads.weight[-2:] / count
            whole.heads.bias[-2:] += one.heads.bias[-2:] / count
        whole.source_shift.copy_(torch.stack([n.source_shift for n in networks]).mean(0))
        demands = [float(n.log_general_demand) for n in networks]
        whole.log_general_demand.fill_(sum(demands) / count)
    whole.eval()
    return whole
