"""`bert`: a small encoder fine-tuned end to end, RouteLLM's BERT classifier (arXiv 2406.18665).

The first layers of all-MiniLM-L6-v2 with one output a model, trained on the user's own data (a GPU
is used when there is one) and exported to an int8 ONNX graph. Routing needs onnxruntime and
tokenizers, which every installation has; training needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError
from llmroute.routers.files import MODEL, TOKENIZER, Folder, RouterCard, read, save
from llmroute.routers.heads import CHOOSING, Floats, NoCost, Progress, log_loss, quiet, sigmoid
from llmroute.routers.lessons import Lessons
from llmroute.routers.scorer import RouterScorer
from llmroute.scoring.artifact import Metric

Floats32 = npt.NDArray[np.float32]

#: Layers of MiniLM, and passes over the prompts at most.
LAYERS, EPOCHS = 3, 3


def train(
    card: RouterCard,
    lessons: Lessons,
    out: str | Path,
    *,
    layers: int = LAYERS,
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Progress = quiet,
) -> RouterScorer:
    """Fine-tunes the encoder and writes the folder.

    After each pass a checkpoint is written beside the folder; the same command, given again after
    an interruption, goes on from it and ends with the same numbers. It goes when training is done.

    Args:
        card: What is known of the router so far.
        lessons: What it learns from.
        out: The folder to write.
        layers: Layers of MiniLM, 1 to 6.
        epochs: Passes over the prompts, at most; the pass with the best validation loss is kept.
        seed: Seed of the order of the prompts.
        progress: Told how training goes.

    Raises:
        MissingExtra: The extra `train` is not installed.
        ArtifactError: The folder cannot be written.
    """
    import llmroute.training  # noqa: F401  # says which package is missing, if one is
    from llmroute.routers.finetuning import fine_tune

    tuned = fine_tune(lessons, Path(out), layers, epochs, seed, progress)
    files = {MODEL: tuned.graph, TOKENIZER: tuned.tokenizer}
    held = lessons.validation
    found = sigmoid(Encoder(files).logits([lessons.texts[row] for row in np.flatnonzero(held)]))
    loss = log_loss(found, lessons.target[held])
    update = {
        "version": tuned.version,
        "head": {"layers": layers, "epoch": tuned.epoch, "base": tuned.base},
        "settings": {**card.settings, "layers": layers, "epochs": epochs, **tuned.settings},
        "metrics": {
            CHOOSING: Metric(value=round(loss, 5), prompts=int(held.sum())),
        },
    }
    save(out, card.model_copy(update=update), {}, files)
    return restore(read(out))


def restore(folder: Folder) -> RouterScorer:
    """The router of a folder.

    Args:
        folder: The folder, read.

    Raises:
        ArtifactError: A file is missing or cannot be read, or has other outputs.
    """
    missing = [name for name in (MODEL, TOKENIZER) if name not in folder.files]
    if missing:
        raise ArtifactError(
            f"the router at {folder.path} has no {', '.join(missing)}. Train again."
        )
    encoder = Encoder(folder.files)
    if encoder.models != len(folder.card.models):
        raise ArtifactError(
            f"the graph at {folder.path} has {encoder.models} outputs; {len(folder.card.models)} "
            "models were expected. Train it again."
        )
    return RouterScorer(folder.card, _Logits(encoder), _Sigmoid())


class Encoder:
    """The graph and the tokenizer. Thread-safe.

    Args:
        files: Content of `model.onnx` and `tokenizer.json`.

    Raises:
        ArtifactError: They cannot be read.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._graph = onnxruntime.InferenceSession(
                files[MODEL], options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_str(files[TOKENIZER].decode("utf-8"))
        except Exception as fault:  # neither package has a base class for its errors
            raise ArtifactError(f"the router cannot be read: {fault}. Train it again.") from fault
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.models = int(self._graph.get_outputs()[0].shape[1])

    def logits(self, texts: Sequence[str]) -> Floats:
        """(P, M) log odds of a good answer, one text at a time: see `training.transformer`.

        Args:
            texts: Texts, cut to what a scorer reads.
        """
        result = np.empty((len(texts), self.models))
        for row, text in enumerate(texts):
            readable = text.encode("utf-8", "replace").decode("utf-8")
            ids = self._tokenizer.encode(readable, add_special_tokens=False).ids
            given = np.array([ids or [0]], dtype=np.int64)
            result[row] = self._graph.run(["logits"], {"token_ids": given})[0][0]
        return result


class _Logits:
    """The encoder's log odds as what is seen of a prompt."""

    kind = "encoder"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, M) log odds."""
        return self._encoder.logits(texts).astype(np.float32)

    def settings(self) -> dict[str, Any]:
        """Nothing: all is in the graph."""
        return {}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """No numbers."""
        return {}

    def files(self) -> dict[str, bytes]:
        """No files of its own."""
        return {}


class _Sigmoid(NoCost):
    """Log odds to probabilities."""

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) probabilities."""
        return sigmoid(vectors.astype(np.float64))

    def settings(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """No numbers."""
        return {}
