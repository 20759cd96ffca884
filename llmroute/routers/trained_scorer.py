"""A trained router as a scorer: vectors of the prompt, and a head that reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.routers.base import Head, Vectors
from llmroute.routers.cost_regression import Costs
from llmroute.scoring.router_folder import RouterCard
from llmroute.scoring.text import CHARACTERS_PER_TOKEN, RoutingText, read_all

#: Output tokens of an answer where none were recorded, as of comparisons.
TYPICAL_TOKENS = 250.0


class RouterScorer:
    """Scores prompts for the models it was trained on. Thread-safe.

    Its expected cost of a call is what the head knows of the prompt's cost; otherwise what a
    regression of recorded costs says; otherwise the model's mean recorded cost; otherwise the
    pool's prices at the mean recorded output tokens, or at 250 of them where none were recorded.

    Args:
        card: What it is.
        vectors: Texts to vectors.
        head: Vectors to quality.
        costs: Vectors to expected costs, where costs were recorded.
    """

    def __init__(
        self, card: RouterCard, vectors: Vectors, head: Head, costs: Costs | None = None
    ) -> None:
        self.card = card
        self.name, self.version = card.name, card.version
        self.vectors, self.head, self.costs = vectors, head, costs
        self._prior = np.array(card.prior, dtype=np.float64)
        self._cost = _with_nan(card.cost)
        self._tokens = _with_nan(card.tokens)

    @property
    def models(self) -> tuple[str, ...]:
        """The M models it knows."""
        return self.card.models

    def quality(self, prompts: Sequence[str | RoutingText]) -> Floats:
        """(P, M) estimated quality, 0..1, of the models it was trained on."""
        return self.head.quality(self.vectors.transform([p.text for p in read_all(prompts)]))

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models.

        Args:
            prompts: Plain texts (one user turn each) or routing texts made from conversations.
            pool: Models it was trained on, all or some.

        Raises:
            ConfigurationError: A model it has seen no answer of.
        """
        columns = known_columns(self.card, pool)
        read = read_all(prompts)
        vectors = self.vectors.transform([each.text for each in read])
        asked = (
            np.array([each.characters for each in read], dtype=np.float64) / CHARACTERS_PER_TOKEN
        )
        numbers = pool.arrays
        counted = self._tokens[columns]
        expected = np.where(np.isnan(counted), TYPICAL_TOKENS * numbers.verbosity, counted)
        tokens = np.tile(expected, (len(read), 1))
        priced = asked[:, None] * numbers.input_price + tokens * numbers.output_price
        recorded = np.broadcast_to(self._cost[columns], priced.shape)
        found = self.head.cost(vectors)
        if found is None and self.costs is not None:
            found = self.costs.of(vectors)
        if found is not None:
            recorded = found[:, columns]
        return Estimates(
            models=pool.names,
            quality=self.head.quality(vectors)[:, columns],
            cost=np.where(np.isnan(recorded), priced, recorded),
            tokens=tokens,
            latency=numbers.first_token_s + tokens / numbers.tokens_per_s,
            prompt_tokens=asked,
            unfamiliar=np.zeros(len(read), dtype=np.bool_),
            prior_quality=self._prior[columns],
            scorer=f"{self.name} {self.version}",
        )


def known_columns(card: RouterCard, pool: ModelPool) -> list[int]:
    """The columns of a pool's models.

    Raises:
        ConfigurationError: A model it has seen no answer of.
    """
    unseen = [name for name in pool.names if name not in card.models]
    if unseen:
        sources = ", ".join(source.name for source in card.data) or "other data"
        raise ConfigurationError(
            f"router {card.name!r} ({card.router}) was trained on {sources}, which has no answer "
            f"of {', '.join(map(repr, unseen))}; it knows {', '.join(map(repr, card.models))}. "
            "Name the pool's models as the data do, or train it on outcomes of them."
        )
    return [card.models.index(name) for name in pool.names]


def content_version(
    head: Mapping[str, Any], features: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> str:
    """A short name for the numbers a router gives; changes whenever they do."""
    digest = hashlib.blake2b(digest_size=4)
    digest.update(json.dumps([head, features], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _with_nan(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
