"""What most tests share: a scripted provider over real HTTP, and pools of its models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from llmroute import Model, ModelPool
from llmroute.evaluation import default_data
from llmroute.records import Estimates
from llmroute.scoring.text import RoutingText
from llmroute.testing import ScriptedModel, ScriptedProvider

os.environ.setdefault("LANGSMITH_TRACING", "false")
# Machines are noisy: how long an example takes says nothing about the code.
# The gate takes the same examples every time; at home new ones are drawn.
settings.register_profile("llmroute", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("llmroute")

PRICES = {"small": (0.1, 0.4), "medium": (0.5, 2.0), "big": (2.0, 8.0)}
EASY = {"small": 0.925, "medium": 0.928, "big": 0.93}
HARD = {"small": 0.2, "medium": 0.6, "big": 0.9}
KEY = "sk-test-0123456789abcdef"


class WordScorer:
    """A scorer one can reason about: prompts with "hard" in them need the big model."""

    name, version = "word", "1"

    def __init__(self) -> None:
        self.calls = 0

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        self.calls += 1
        texts = [p if isinstance(p, str) else p.text for p in prompts]
        quality = np.array(
            [[(HARD if "hard" in t else EASY)[name] for name in pool.names] for t in texts]
        )
        tokens = np.full(quality.shape, 100.0)
        prices = pool.arrays
        prompt_tokens = np.array([len(t) / 4 for t in texts])
        return Estimates(
            models=pool.names,
            quality=quality,
            cost=prompt_tokens[:, None] * prices.input_price + tokens * prices.output_price,
            tokens=tokens,
            latency=prices.first_token_s + tokens / prices.tokens_per_s,
            prompt_tokens=prompt_tokens,
            unfamiliar=np.zeros(len(texts), dtype=np.bool_),
            prior_quality=np.array([HARD[n] for n in pool.names]),
            scorer="word 1",
        )


@pytest.fixture(scope="session")
def data() -> Path:
    folder = default_data()
    if folder is None:
        pytest.skip("the recorded outcomes (../shared/data, or LLMROUTE_DATA) are not here")
    return folder


@pytest.fixture(scope="session")
def _running_provider() -> Iterator[ScriptedProvider]:
    models = [ScriptedModel(n, input_price=i, output_price=o) for n, (i, o) in PRICES.items()]
    with ScriptedProvider(models) as running:
        yield running


@pytest.fixture
def provider(_running_provider: ScriptedProvider) -> Iterator[ScriptedProvider]:
    """The provider with its three models, without faults and with an empty log."""
    _running_provider.clear()
    yield _running_provider
    _running_provider.clear()


@pytest.fixture(scope="module", params=[1, 2], ids=["one BLAS thread", "two BLAS threads"])
def blas_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a module's tests with one thread for products of matrices, and again with two."""
    with threadpool_limits(request.param, user_api="blas"):
        yield request.param


@pytest.fixture
def scorer() -> WordScorer:
    return WordScorer()


@pytest.fixture
def litellm_pool(provider: ScriptedProvider) -> Callable[..., ModelPool]:
    """Makes a pool of LiteLLM members of the provider's models."""

    def make(*names: str, **settings: object) -> ModelPool:
        return ModelPool(
            [
                Model(
                    name,
                    model=f"openai/{name}",
                    api_base=provider.base_url,
                    api_key=KEY,
                    input_price=PRICES[name][0],
                    output_price=PRICES[name][1],
                    **settings,
                )
                for name in names or PRICES
            ]
        )

    return make


@pytest.fixture
def openai_pool(provider: ScriptedProvider) -> Callable[..., ModelPool]:
    """Makes a pool of ChatOpenAI members of the provider's models."""
    from langchain_openai import ChatOpenAI

    def make(*names: str) -> ModelPool:
        return ModelPool(
            [
                Model(
                    name,
                    chat_model=ChatOpenAI(
                        model=name,
                        base_url=provider.base_url,
                        api_key=KEY,
                        max_retries=0,
                        stream_usage=True,
                        timeout=5,
                    ),
                    input_price=PRICES[name][0],
                    output_price=PRICES[name][1],
                )
                for name in names or PRICES
            ]
        )

    return make
