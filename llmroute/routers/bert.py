"""`bert`: a small encoder fine-tuned end to end, RouteLLM's BERT classifier (arXiv 2406.18665).

The first layers of all-MiniLM-L6-v2 with one output a model, trained on the user's own data (a GPU
is used when there is one) and exported to an int8 ONNX graph. Routing needs onnxruntime and
tokenizers, which every installation has; training needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats, Floats32, sigmoid
from llmroute.routers.base import CHOOSING, Head, Progress, Vectors, log_loss, quiet
from llmroute.routers.dataset import Dataset
from llmroute.routers.trained_scorer import RouterScorer
from llmroute.scoring.artifact import MODEL, TOKENIZER, Metric
from llmroute.scoring.router_folder import RouterCard, RouterFolder, read, save
from llmroute.scoring.session import Session

#: Layers of MiniLM, and epochs at most.
LAYERS, EPOCHS = 3, 3
#: The graph's output: (1, M) log odds of a good answer.
_OUTPUT = "logits"


def train(
    card: RouterCard,
    dataset: Dataset,
    out: str | Path,
    *,
    layers: int = LAYERS,
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Progress = quiet,
) -> RouterScorer:
    """Fine-tunes the encoder and writes the folder.

    After each epoch a checkpoint is written beside the folder; the same command, given again after
    an interruption, goes on from it and ends with the same numbers. It goes when training is done.

    Args:
        card: What is known of the router so far.
        dataset: What it learns from.
        out: The folder to write.
        layers: Layers of MiniLM, 1 to 6.
        epochs: Epochs at most; the one with the best validation loss is kept.
        seed: Seed of the order of the prompts.
        progress: Told how training goes.

    Raises:
        MissingExtra: The extra `train` is not installed.
        ArtifactError: The folder cannot be written.
    """
    import llmroute.training  # noqa: F401, PLC0415  # says which package is missing, if one is
    from llmroute.routers.finetune import fine_tune  # noqa: PLC0415  # imports torch

    tuned = fine_tune(dataset, Path(out), layers, epochs, seed, progress)
    files = {MODEL: tuned.graph, TOKENIZER: tuned.tokenizer}
    held = dataset.validation
    logits = Session(files, [_OUTPUT]).rows([dataset.texts[row] for row in np.flatnonzero(held)])
    loss = log_loss(_Sigmoid().quality(logits), dataset.target[held])
    update = {
        "version": tuned.version,
        "head": {"layers": layers, "epoch": tuned.epoch, "base": tuned.base},
        "settings": {**card.settings, "layers": layers, "epochs": epochs, **tuned.settings},
        "metrics": {CHOOSING: Metric(value=round(loss, 5), prompts=int(held.sum()))},
    }
    save(out, card.model_copy(update=update), {}, files)
    return restore(read(out))


def restore(folder: RouterFolder) -> RouterScorer:
    """The router of a folder.

    Raises:
        ArtifactError: A file is missing or cannot be read, or has other outputs.
    """
    encoder = Session(folder.files, [_OUTPUT])
    outputs = encoder.rows([""]).shape[1]
    if outputs != len(folder.card.models):
        raise ArtifactError(
            f"the graph at {folder.folder} has {outputs} outputs; {len(folder.card.models)} "
            "models were expected. Train it again."
        )
    return RouterScorer(folder.card, _Logits(encoder), _Sigmoid())


class _Logits(Vectors):
    """The encoder's log odds as what is seen of a prompt."""

    kind = "encoder"

    def __init__(self, encoder: Session) -> None:
        self._encoder = encoder

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, M) log odds."""
        return self._encoder.rows(texts)


class _Sigmoid(Head):
    """Log odds to probabilities."""

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) probabilities."""
        return sigmoid(vectors.astype(np.float64))
