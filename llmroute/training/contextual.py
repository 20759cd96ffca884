"""The encoder `minilm`: MiniLM's first layers in int8, one text at a time. Milliseconds a text.

Training reads its features from the int8 graph itself, so what quantising costs is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from llmroute.numerics import Floats32, Ints
from llmroute.scoring.progress import Progress
from llmroute.scoring.session import open_graph
from llmroute.training.encoders import Pooled
from llmroute.training.export import export
from llmroute.training.familiarity import fit_familiarity, mean_tokens, token_columns
from llmroute.training.fit import Fitted, TrainingRun, train_member
from llmroute.training.int8_tables import mean_nodes, quantise
from llmroute.training.minilm_torch import MiniLM
from llmroute.training.onnx_graph import Graph
from llmroute.training.transformer import encoder_graph, encoder_nodes
from llmroute.training.tuning import LiveEncoder, tune

_TOLD_EVERY = 500


class MiniLMRecipe:
    """Fine-tunes the encoder, then trains on what its int8 graph makes of the prompts."""

    def __init__(self, run: TrainingRun, minilm: MiniLM) -> None:
        self._run, settings = run, run.settings
        self._tokenizer_json = minilm.tokenizer.read_text(encoding="utf-8")
        self._weights: Mapping[str, Tensor] = minilm.weights
        self._read("frozen")
        if settings.layers and settings.tuned_layers and settings.tuning_epochs:
            self._weights = self._tuned()
            self._read("tuned")

    def _read(self, stage: str) -> None:
        """Reads all prompts through the int8 graph, and standardises its vectors."""
        run = self._run
        checkpoint = run.checkpoints.stage(stage)
        state = checkpoint.load()
        if state is None:
            encoded = encoder_graph(self._weights, run.settings.layers)
            self._vectors = read_through(encoded, run.data.ids, run.progress)
            checkpoint.save({"vectors": torch.from_numpy(self._vectors)}, {})
        else:
            self._vectors = state.tensors["vectors"].numpy()
        training = self._vectors[run.data.training]
        self._mean = training.mean(axis=0)
        self._scale = training.std(axis=0) + np.float32(1e-3)
        self.encoder = Pooled(self._vectors, self._mean, self._scale, run.settings.token_dropout)

    def _tuned(self) -> dict[str, Tensor]:
        """The encoder's weights after fine-tuning, which begins with heads on the frozen one."""
        run = replace(self._run, settings=replace(self._run.settings, members=1))
        start = train_member(run, self.encoder, run.seed, "start")
        live = LiveEncoder(run.data.ids, self._weights, run.settings, self._mean, self._scale)
        return tune(run, live, start.network)

    def graph(self, fitted: Fitted) -> bytes:
        """The content of `model.onnx`."""
        data, training = self._run.data, self._run.data.training
        ids = [data.ids[row] for row in training]
        words = self._weights["embeddings.word_embeddings.weight"]
        columns = quantise(token_columns(self._tokenizer_json, ids, len(words)))
        project = fitted.network.project.weight.detach().numpy().T / self._scale[:, None]
        familiarity = fit_familiarity(
            (self._vectors[training] - self._mean) @ project,
            mean_tokens(columns.restored(), ids),
            ids,
            data.surface[training],
            fitted.network,
        )

        def nodes(graph: Graph) -> str:
            encoder_nodes(graph, self._weights, self._run.settings.layers)
            graph.constant("project", project)
            graph.constant("project_bias", -self._mean @ project)
            graph.node("Gemm", ["pooled", "project", "project_bias"], ["token_hidden"])
            # Over the whole text, of which the encoder reads both ends only.
            parts = ["token_hidden", mean_nodes(graph, columns)]
            return graph.node("Concat", parts, ["text"], axis=1)

        return export(fitted, familiarity, nodes, batch=1)


def read_through(encoder: bytes, ids: Sequence[Ints], progress: Progress) -> Floats32:
    """What an encoder's graph makes of texts' token ids, one text at a time.

    Returns:
        (P, D) vectors.
    """
    session = open_graph(encoder, ["pooled"])

    def read(ids: Ints) -> Floats32:
        given = ids if len(ids) else np.zeros(1, np.int64)
        found: Floats32 = session.run(["pooled"], {"token_ids": given[None]})[0]
        return found

    vectors = []
    # One text on each thread: a text's numbers must not depend on how many there are.
    with ThreadPoolExecutor(torch.get_num_threads()) as workers:
        for place, vector in enumerate(workers.map(read, ids)):
            if place % _TOLD_EVERY == 0:
                progress("texts read", place, len(ids))
            vectors.append(vector)
    progress("texts read", len(ids), len(ids))
    return np.concatenate(vectors)
