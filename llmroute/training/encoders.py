"""How training reads a text: the mean of its token vectors, or what a transformer made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from llmroute.numerics import Floats32, Ints


class Encoder(Protocol):
    """Vectors of the training prompts.

    Attributes:
        width: D, the length of a vector.
    """

    width: int

    def __call__(self, rows: Ints, generator: np.random.Generator | None = None) -> Tensor:
        """Vectors of B prompts, (B, D).

        Args:
            rows: (B,) which prompts.
            generator: In training, what to draw the dropout from.
        """
        ...


class TokenMeans:
    """The mean of the tokens' vectors.

    The vectors stay as they are and their projection is trained: tuning them as well took ten times
    as long and was no better on validation.

    Args:
        ids: Token ids of the P prompts.
        vectors: (V, D) token vectors.
        dropout: Part of the tokens left out of a prompt in training.
    """

    def __init__(self, ids: Sequence[Ints], vectors: Tensor, dropout: float) -> None:
        self._ids, self._vectors, self._keep = ids, vectors, 1.0 - dropout
        self.width = int(vectors.shape[1])

    def __call__(self, rows: Ints, generator: np.random.Generator | None = None) -> Tensor:
        """Vectors of B prompts, (B, D), of the tokens that dropout leaves."""
        ids = [self._ids[row] for row in rows]
        if generator is not None:
            ids = [text[generator.random(len(text)) < self._keep] for text in ids]
        lengths = np.array([0, *(len(text) for text in ids[:-1])], dtype=np.int64)
        offsets = torch.from_numpy(np.cumsum(lengths))
        return fn.embedding_bag(
            torch.from_numpy(np.concatenate(ids)), self._vectors, offsets, mode="mean"
        )


class Pooled:
    """What a frozen encoder made of each prompt, (P, D), standardised by (D,) numbers."""

    def __init__(self, vectors: Floats32, mean: Floats32, scale: Floats32, dropout: float) -> None:
        self._vectors = torch.from_numpy((vectors - mean) / scale)
        self._dropout = dropout
        self.width = vectors.shape[1]

    def __call__(self, rows: Ints, generator: np.random.Generator | None = None) -> Tensor:
        """Vectors of B prompts, (B, D)."""
        return fn.dropout(self._vectors[rows], self._dropout, generator is not None)
