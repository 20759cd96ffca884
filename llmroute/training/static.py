"""The static encoder: a table of token vectors and their mean. Microseconds a text.

The first dense layer is folded into the table, which a mean allows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from llmroute.training.encoders import TokenMeans
from llmroute.training.export import export
from llmroute.training.familiarity import fit_familiarity, mean_tokens, token_columns
from llmroute.training.fit import Fitted, TrainingRun
from llmroute.training.int8_tables import mean_nodes, quantise
from llmroute.training.minilm_torch import MiniLM, token_vectors
from llmroute.training.settings import Settings


class StaticRecipe:
    """Trains on token means and exports a table."""

    def __init__(self, run: TrainingRun, minilm: MiniLM) -> None:
        self._data = run.data
        self._tokenizer_json = minilm.tokenizer.read_text(encoding="utf-8")
        self._vectors = starting_vectors(minilm, run.settings)
        self.encoder = TokenMeans(run.data.ids, self._vectors, run.settings.token_dropout)

    def graph(self, fitted: Fitted) -> bytes:
        """The content of `model.onnx`."""
        data = self._data
        with torch.inference_mode():
            folded = (self._vectors @ fitted.network.project.weight.T).numpy()
        ids = [data.ids[row] for row in data.training]
        columns = token_columns(self._tokenizer_json, ids, len(folded))
        table = quantise(np.concatenate([folded, columns], axis=1))
        width = folded.shape[1]
        means = mean_tokens(table.restored(), ids)
        familiarity = fit_familiarity(
            means[:, :width], means[:, width:], ids, data.surface[data.training], fitted.network
        )
        return export(fitted, familiarity, lambda graph: mean_nodes(graph, table))


def starting_vectors(minilm: MiniLM, settings: Settings) -> Tensor:
    """Principal components of MiniLM's token vectors, rare tokens weighted up.

    The weight grows with the logarithm of the token's rank, as model2vec does in place of the
    frequencies of SIF (Arora et al. 2017), because WordPiece orders its vocabulary by frequency.

    Returns:
        (V, vector_size) of unit variance.
    """
    vectors = token_vectors(minilm, settings.layers)
    vectors = vectors - vectors.mean(dim=0)
    # Eigenvalues rise, so the leading axes are the last columns.
    _, axes = torch.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ axes.flip(1)[:, : settings.vector_size]
    weight = torch.log(torch.arange(len(vectors)) + 2.0)
    vectors = vectors * (weight / weight.mean())[:, None]
    return (vectors / vectors.std()).contiguous()
