"""The command line as a test calls it: in process, streams apart, with a scorer to reason about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from llmroute import ModelPool
from llmroute.cli.app import cli
from llmroute.decision import Estimates
from llmroute.scoring.text import RoutingText
from tests.conftest import KEY

Run = Callable[..., Result]


class RankScorer:
    """The dearer, the better: plainly so for prompts with "hard" in them, hardly for others.

    A prompt with "odd" in it is unfamiliar.
    """

    name, version = "rank", "1"

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        texts = [p if isinstance(p, str) else p.text for p in prompts]
        prices = pool.arrays
        rank = np.argsort(np.argsort(np.nan_to_num(prices.output_price))) / max(len(pool) - 1, 1)
        prior = 0.3 + 0.6 * rank
        quality = np.array([prior if "hard" in text else 0.9 + 0.02 * rank for text in texts])
        tokens = np.full(quality.shape, 100.0)
        sizes = np.array([len(text) / 4 for text in texts])
        return Estimates(
            models=pool.names,
            quality=quality,
            cost=sizes[:, None] * prices.input_price + tokens * prices.output_price,
            tokens=tokens,
            latency=prices.first_token_s + tokens / prices.tokens_per_s,
            prompt_tokens=sizes,
            unfamiliar=np.array(["odd" in text for text in texts]),
            prior=prior,
            scorer="rank 1",
        )


@pytest.fixture
def rank_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--scorer static` is the rank scorer."""
    monkeypatch.setattr("llmroute.scoring.load_scorer", lambda name: RankScorer())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line, on a terminal of 80 columns unless `columns` says otherwise."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def invoke(*arguments: str, input: str | None = None, columns: int = 80) -> Result:
        environment: dict[str, Any] = {"COLUMNS": str(columns)}
        return CliRunner(env=environment).invoke(cli, list(arguments), input=input)

    return invoke
