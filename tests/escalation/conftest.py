"""A scripted provider whose models say what a test wants, and routers over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmroute import CheapestAbove, Model, ModelPool, RouterChain
from llmroute.testing import ChatRequest, Reply, ScriptedModel, ScriptedProvider

from ..conftest import KEY, PRICES, WordScorer

Words = str | Reply | Callable[[ChatRequest], str | Reply]


class Stage:
    """What each model says, in order of its calls; the last line is said again and again."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Words]] = {}
        self._said: dict[str, int] = {}

    def says(self, model: str, *lines: Words) -> None:
        """Sets a model's lines."""
        self._lines[model] = list(lines)
        self._said[model] = 0

    def reply(self, model: str) -> Callable[[ChatRequest], str | Reply]:
        """The script of one model."""

        def next_line(request: ChatRequest) -> str | Reply:
            lines = self._lines[model]
            line = lines[min(self._said[model], len(lines) - 1)]
            self._said[model] += 1
            return line(request) if callable(line) else line

        return next_line


@pytest.fixture(scope="session")
def _stage() -> Stage:
    return Stage()


@pytest.fixture(scope="session")
def _running_theatre(_stage: Stage) -> Iterator[ScriptedProvider]:
    models = [
        ScriptedModel(name, input_price=i, output_price=o, reply=_stage.reply(name))
        for name, (i, o) in PRICES.items()
    ]
    with ScriptedProvider(models) as running:
        yield running


@pytest.fixture
def stage(_stage: Stage, theatre: ScriptedProvider) -> Stage:
    """The lines; without any set, small and medium are wrong and big is right."""
    _stage.says("small", "The answer is 41.")
    _stage.says("medium", "The answer is 40.")
    _stage.says("big", "The answer is 42.")
    return _stage


@pytest.fixture
def theatre(_running_theatre: ScriptedProvider) -> Iterator[ScriptedProvider]:
    """The provider, without faults and with an empty log."""
    _running_theatre.clear()
    yield _running_theatre
    _running_theatre.clear()


@pytest.fixture(params=["litellm", "openai"])
def pool(request: pytest.FixtureRequest, theatre: ScriptedProvider) -> ModelPool:
    """small, medium and big, as LiteLLM members and as ChatOpenAI members."""
    return pool_of(theatre, request.param)


def pool_of(theatre: ScriptedProvider, kind: str, **settings: Any) -> ModelPool:
    """The provider's models as pool members of one kind."""
    members = []
    for name, (input_price, output_price) in PRICES.items():
        own: dict[str, Any]
        if kind == "litellm":
            own = {
                "model": f"openai/{name}",
                "api_base": theatre.base_url,
                "api_key": KEY,
            }
        else:
            from langchain_openai import ChatOpenAI

            own = {
                "chat_model": ChatOpenAI(
                    model=name,
                    base_url=theatre.base_url,
                    api_key=KEY,
                    max_retries=0,
                    stream_usage=True,
                    timeout=5,
                )
            }
        members.append(
            Model(name, input_price=input_price, output_price=output_price, **own, **settings)
        )
    return ModelPool(members)


@pytest.fixture
def router(pool: ModelPool) -> Callable[..., RouterChain]:
    """Makes a router that asks small first for everything easy."""

    def make(escalation: Any, **settings: Any) -> RouterChain:
        settings = {"policy": CheapestAbove(quality=0.9), "max_retries": 0, **settings}
        return RouterChain(pool=pool, scorer=WordScorer(), escalation=escalation, **settings)

    return make


def asked(theatre: ScriptedProvider) -> list[str]:
    """The models that were called, in order."""
    return [request.model for request in theatre.requests]
