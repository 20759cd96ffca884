"""The one-call form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompt_values import StringPromptValue

from llmroute import CheapestAbove, ModelPool, aroute, init_router, route, route_batch
from llmroute.errors import ConfigurationError, EmptyAnswer
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import WordScorer


@pytest.fixture
def pool(litellm_pool: Callable[..., ModelPool]) -> ModelPool:
    return litellm_pool()


@pytest.mark.parametrize(
    "prompt",
    ["a hard one", [HumanMessage("a hard one")], StringPromptValue(text="a hard one")],
    ids=["string", "messages", "prompt value"],
)
async def test_takes_what_a_chat_model_takes(pool: ModelPool, prompt: object) -> None:
    answer = route(prompt, pool=pool, scorer=WordScorer())
    assert answer.response_metadata["llmroute"]["answered_by"] == "big"
    answer = await aroute(prompt, pool=pool, scorer=WordScorer())
    assert answer.response_metadata["llmroute"]["answered_by"] == "big"


def test_the_pool_may_be_a_list(pool: ModelPool) -> None:
    assert route("hello", pool=list(pool), scorer=WordScorer()).content


def test_a_pool_that_is_a_string_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a pool is a list"):
        route("hello", pool="openai/gpt-4.1")


def test_a_batch_keeps_its_order(pool: ModelPool, provider: ScriptedProvider) -> None:
    answers = route_batch(
        ["easy 1", "hard 2", "easy 3"], pool=pool, scorer=WordScorer(), max_concurrency=2
    )
    routed = [a.response_metadata["llmroute"]["answered_by"] for a in answers]
    assert routed == ["small", "big", "small"]
    assert len(provider.requests) == 3


def test_one_failure_need_not_end_a_batch(pool: ModelPool, provider: ScriptedProvider) -> None:
    provider.fail("small", Fault.empty())
    answers = route_batch(
        ["first", "second"],
        pool=[pool["small"]],
        scorer=WordScorer(),
        max_concurrency=1,
        return_exceptions=True,
    )
    assert isinstance(answers[0], EmptyAnswer)
    assert "second" in answers[1].content


def test_configuration_errors_are_value_errors() -> None:
    assert issubclass(ConfigurationError, ValueError)


class TestOneLine:
    def test_a_router_of_names_and_models(self, pool: ModelPool) -> None:
        router = init_router(*pool, quality=0.5, timeout=9, scorer=WordScorer())
        assert router.policy == CheapestAbove(quality=0.5)
        assert router.timeout == 9
        assert router.invoke("hello").response_metadata["llmroute"]["answered_by"] == "small"
        assert init_router("openai/gpt-4.1").policy == CheapestAbove()

    def test_a_quality_and_a_policy_contradict_each_other(self) -> None:
        with pytest.raises(ConfigurationError, match="give one of the two"):
            init_router("openai/gpt-4.1", quality=0.5, policy=CheapestAbove())

    def test_without_a_model_there_is_no_router(self) -> None:
        with pytest.raises(ConfigurationError, match="the pool is empty"):
            init_router()
