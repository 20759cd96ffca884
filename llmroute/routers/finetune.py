"""Fine-tuning MiniLM's first layers on labels, with checkpoints. Needs the extra `train`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from llmroute.numerics import Ints, logit
from llmroute.routers.base import LEAST_SHARE, Progress
from llmroute.routers.dataset import Dataset
from llmroute.scoring.session import open_tokenizer, readable
from llmroute.training.batches import as_read, groups_by_length, stacked
from llmroute.training.checkpoints import Checkpoint
from llmroute.training.epochs import Epochs, Group
from llmroute.training.minilm_torch import encode, load_minilm
from llmroute.training.onnx_graph import FLOAT, INT64, Graph
from llmroute.training.transformer import encoder_nodes

_Tensors = dict[str, Tensor]

#: Prompts in a step; steps of AdamW for the layers and for the outputs; weight decay.
BATCH, STEP, HEAD_STEP, DECAY = 32, 1e-4, 1e-3, 0.01
_WEIGHT, _BIAS = "head.weight", "head.bias"


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder, exported.

    Attributes:
        graph: Content of `model.onnx`: token_ids (1, L) to logits (1, M).
        tokenizer: Content of `tokenizer.json`.
        version: Hash of the graph.
        epoch: The epoch that was kept.
        base: What it started from.
        settings: Settings of the run.
    """

    graph: bytes
    tokenizer: bytes
    version: str
    epoch: int
    base: dict[str, str]
    settings: dict[str, Any]


def fine_tune(
    dataset: Dataset, out: Path, layers: int, epochs: int, seed: int, progress: Progress
) -> FineTuned:
    """Trains layers and outputs on the log loss of the labels, and keeps the best epoch.

    The token table stays as it is: most of its rows are met rarely, and it is half of the weights.
    """
    minilm = load_minilm()
    tokenizer = minilm.tokenizer.read_bytes()
    ids = _read_ids(dataset, tokenizer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = _Run(dataset, minilm.weights, layers, epochs, seed, device)
    checkpoint = Checkpoint(
        out.parent / f".{out.name}-checkpoint.safetensors", _identity(dataset, layers, epochs, seed)
    )
    run.training.resume(checkpoint)
    while run.training.done < epochs and not run.training.is_overfitted:
        run.one_epoch(ids, progress)
        run.training.save(checkpoint)
    graph = _export(run.best, layers)
    checkpoint.delete()
    return FineTuned(
        graph=graph,
        tokenizer=tokenizer,
        version=hashlib.blake2b(graph, digest_size=4).hexdigest(),
        epoch=run.training.best_epoch,
        base=minilm.origin,
        settings={
            "batch": BATCH,
            "step": STEP,
            "head step": HEAD_STEP,
            "epochs run": run.training.done,
        },
    )


class _Run:
    """The layers and outputs in training, and what they are trained on."""

    def __init__(
        self, dataset: Dataset, weights: _Tensors, layers: int, epochs: int, seed: int, device: str
    ) -> None:
        self._dataset, self._layers, self._epochs, self._seed = dataset, layers, epochs, seed
        self._target = torch.from_numpy(dataset.target.astype(np.float32)).to(device)
        self._device = device
        used = [f"encoder.layer.{layer}." for layer in range(layers)]
        self.tensors = {
            name: value.clone().to(device)
            for name, value in weights.items()
            if name.startswith(("embeddings.", *used))
        }
        width = self.tensors["embeddings.LayerNorm.weight"].shape[0]
        prior = torch.from_numpy(logit(dataset.prior, LEAST_SHARE).astype(np.float32)).to(device)
        own = {
            n: t.requires_grad_(True) for n, t in self.tensors.items() if n.startswith("encoder.")
        }
        outputs = {_WEIGHT: torch.zeros(width, len(dataset.models), device=device), _BIAS: prior}
        self.tensors |= outputs
        self._rows = np.flatnonzero(dataset.training)
        groups = [Group(own, STEP, DECAY), Group(outputs, HEAD_STEP, DECAY)]
        self.training = Epochs(groups, epochs, -(-len(self._rows) // BATCH), device)

    @property
    def best(self) -> _Tensors:
        """All parameters after the best epoch."""
        return self.tensors | self.training.best

    def one_epoch(self, ids: list[Ints], progress: Progress) -> None:
        """One epoch over the training prompts, and the loss on the validation part."""
        now = self.training.done
        groups = list(
            groups_by_length(ids, self._rows, BATCH, np.random.default_rng([self._seed, now]))
        )
        for done, rows in enumerate(groups):
            self.training.step(self._loss(rows, stacked(ids, rows)))
            progress(f"pass {now + 1} of {self._epochs}", done + 1, len(groups), "")
        found = self._validation_loss(ids)
        self.training.finish_epoch(found)
        progress("validation", now + 1, self._epochs, f"loss {found:.4f}")

    def _loss(self, rows: Ints, block: Ints) -> Tensor:
        hidden = encode(self.tensors, torch.from_numpy(block).to(self._device), self._layers)
        logits = hidden.mean(dim=1) @ self.tensors[_WEIGHT] + self.tensors[_BIAS]
        target = self._target[torch.from_numpy(rows).to(self._device)]
        known = ~torch.isnan(target)
        return fn.binary_cross_entropy_with_logits(logits[known], target[known])

    def _validation_loss(self, ids: list[Ints]) -> float:
        held = np.flatnonzero(self._dataset.validation)
        total = count = 0.0
        with torch.inference_mode():
            for rows in groups_by_length(ids, held, BATCH, None):
                known = float((~torch.isnan(self._target[torch.from_numpy(rows)])).sum())
                if known:
                    total += known * float(self._loss(rows, stacked(ids, rows)))
                    count += known
        return total / max(count, 1.0)


def _read_ids(dataset: Dataset, tokenizer: bytes) -> list[Ints]:
    """Token ids as the graph reads them: the first and the last, between [CLS] and [SEP]."""
    reader = open_tokenizer(tokenizer)
    texts = [readable(text) for text in dataset.texts]
    encoded = reader.encode_batch_fast(texts, add_special_tokens=False)
    return [as_read(np.array(text.ids, dtype=np.int64)) for text in encoded]


def _identity(dataset: Dataset, layers: int, epochs: int, seed: int) -> str:
    """What a run is: data, labels and settings. Another run's checkpoint is of no use."""
    names = "\0".join((*dataset.models, *dataset.texts))
    digest = hashlib.sha256(names.encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(dataset.target).tobytes())
    digest.update(f"{layers} {epochs} {seed} {BATCH} {STEP}".encode())
    return digest.hexdigest()


def _export(tensors: _Tensors, layers: int) -> bytes:
    graph = Graph()
    encoder_nodes(graph, tensors, layers)
    graph.constant("head_weight", tensors[_WEIGHT].detach().cpu().numpy())
    graph.constant("head_bias", tensors[_BIAS].detach().cpu().numpy())
    graph.node("Gemm", ["pooled", "head_weight", "head_bias"], ["logits"])
    models = tensors[_BIAS].shape[0]
    return graph.finished({"token_ids": (INT64, (1, "length"))}, {"logits": (FLOAT, (1, models))})
