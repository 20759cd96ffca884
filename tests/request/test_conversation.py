"""A conversation stays with its model as far as that pays, and always inside a tool loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from llmroute import CheapestAbove, ModelPool, RouterChain
from llmroute.records import Estimates
from llmroute.request.conversation import Conversation
from llmroute.state.sessions import MemorySessions, Sessions, Turn
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import WordScorer

MakePool = Callable[..., ModelPool]


@pytest.fixture
def router(litellm_pool: MakePool) -> RouterChain:
    return RouterChain(pool=litellm_pool(), scorer=WordScorer(), escalation=None)


class WholeScorer(WordScorer):
    """Counts the tokens of the whole conversation, and not those of what is read of it."""

    def estimate(self, prompts: Sequence[Any], pool: ModelPool) -> Estimates:
        read = super().estimate(prompts, pool)
        tokens = np.array([p.characters / 4 for p in prompts])
        more = (tokens - read.prompt_tokens)[:, None] * pool.arrays.input_price
        return replace(read, prompt_tokens=tokens, cost=read.cost + more)


def said_by(model: str, text: str = "", *, tokens: int | None = None, **usage: int) -> AIMessage:
    """An answer as a router returned it."""
    message = AIMessage(text, response_metadata={"llmroute": {"answered_by": model}})
    if tokens is not None:
        message.usage_metadata = {
            "input_tokens": tokens,
            "output_tokens": 0,
            "total_tokens": tokens,
            "input_token_details": usage,
        }
    return message


def tool_loop(model: str | None, question: str = "What is the weather?") -> list[BaseMessage]:
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "call_1"}])
    if model is not None:
        call.response_metadata = {"llmroute": {"answered_by": model}}
    return [HumanMessage(question), call, ToolMessage("sunny", tool_call_id="call_1")]


def session(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


class TestInsideAToolLoop:
    @pytest.mark.parametrize("model", ["small", "medium", "big"])
    def test_the_model_that_called_is_asked(self, router: RouterChain, model: str) -> None:
        decision = router.decide(tool_loop(model))
        assert decision.chosen == model
        assert "called the tools" in decision.reason

    def test_until_the_user_speaks_again(self, router: RouterChain) -> None:
        more = [*tool_loop("big"), said_by("big", "It is sunny."), HumanMessage("thanks")]
        assert router.decide(more).chosen == "small"

    def test_a_stand_in_takes_over_when_it_fails(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        router.max_retries = 0
        provider.fail("medium", Fault.server_error())
        answer = router.invoke(tool_loop("medium"))
        assert answer.response_metadata["llmroute"]["answered_by"] != "medium"
        assert answer.response_metadata["llmroute"]["chosen"] == "medium"

    def test_without_a_record_the_session_tells(self, router: RouterChain) -> None:
        router.invoke("a hard one", session("a"))
        assert router.decide(tool_loop(None), session("a")).chosen == "big"
        assert router.decide(tool_loop(None), session("b")).chosen == "small"
        assert router.decide(tool_loop(None)).chosen == "small"

    def test_pinning_can_be_turned_off(self, litellm_pool: MakePool) -> None:
        free = Conversation(pin_tool_loops=False)
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), conversation=free)
        assert router.decide(tool_loop("big")).chosen == "small"

    def test_a_model_of_another_pool_pins_nothing(self, router: RouterChain) -> None:
        assert router.decide(tool_loop("a stranger")).chosen == "small"

    def test_the_callers_word_counts_more(self, router: RouterChain) -> None:
        assert router.decide(tool_loop("big"), model="small").chosen == "small"
        only = {"configurable": {"llmroute_models": ["medium"]}}
        assert router.decide(tool_loop("big"), only).chosen == "medium"

    def test_a_rule_of_the_users_still_looks_at_the_answer(
        self, litellm_pool: MakePool, provider: ScriptedProvider
    ) -> None:
        router = RouterChain(
            pool=litellm_pool(), scorer=WordScorer(), escalation=lambda message: True
        )
        answer = router.invoke(tool_loop("small"))
        assert [c["model"] for c in answer.response_metadata["llmroute"]["calls"]] == [
            "small",
            "big",
        ]


class TestThePromptCache:
    """medium is the dearer of two equals, and has the conversation in its cache."""

    @pytest.fixture
    def pool(self, litellm_pool: MakePool) -> ModelPool:
        pool = litellm_pool("small", "medium")
        return ModelPool(
            [m.model_copy(update={"cached_input_price": 0.01, "output_price": 0.4}) for m in pool]
        )

    def decide(
        self, pool: ModelPool, last: AIMessage, *, words: int = 20_000, **settings: Any
    ) -> Any:
        router = RouterChain(pool=pool, scorer=WholeScorer(), escalation=None, **settings)
        long = "word " * (words // 5)
        return router.decide([HumanMessage(long), last, HumanMessage("and why?")])

    def test_keeps_a_conversation_with_its_model(self, pool: ModelPool) -> None:
        decision = self.decide(pool, said_by("medium", tokens=5000))
        plain = self.decide(pool, AIMessage("yes"))
        assert decision.chosen == "medium"
        assert "in its prompt cache" in decision.reason
        assert plain.chosen == "small"
        # What is saved is the difference of the two prices on what is in the cache.
        cached = min(5000, plain.prompt_tokens)
        saved = plain.estimates["medium"].cost - decision.estimates["medium"].cost
        assert saved == pytest.approx(cached * (0.5 - 0.01) / 1e6, rel=1e-3)
        same = pytest.approx(plain.estimates["small"].cost, rel=1e-3)
        assert decision.estimates["small"].cost == same

    def test_does_not_hold_back_a_better_model(self, litellm_pool: MakePool) -> None:
        pool = ModelPool([m.model_copy(update={"cached_input_price": 0.0}) for m in litellm_pool()])
        router = RouterChain(
            pool=pool, scorer=WholeScorer(), policy=CheapestAbove(quality=0.95), escalation=None
        )
        turns = [
            HumanMessage("hi " * 9000),
            said_by("small", tokens=9000),
            HumanMessage("a hard one"),
        ]
        assert router.decide(turns).chosen == "big"

    def test_of_a_short_conversation_holds_nothing(self, pool: ModelPool) -> None:
        assert self.decide(pool, said_by("medium", tokens=900)).chosen == "small"

    def test_can_be_left_out_of_account(self, pool: ModelPool) -> None:
        rule = Conversation(count_cache=False)
        assert (
            self.decide(pool, said_by("medium", tokens=5000), conversation=rule).chosen == "small"
        )

    def test_of_a_provider_that_must_be_told_counts_when_it_was_told(self, pool: ModelPool) -> None:
        claude = ModelPool(
            [
                m.model_copy(update={"model": "anthropic/claude-x"}) if m.name == "medium" else m
                for m in pool
            ]
        )
        assert self.decide(claude, said_by("medium", tokens=5000)).chosen == "small"
        told = said_by("medium", tokens=5000, cache_creation=4900)
        assert self.decide(claude, told).chosen == "medium"

    def test_does_not_last(self, pool: ModelPool) -> None:
        sessions = MemorySessions()
        for age, chosen in ((10, "medium"), (1000, "small")):
            sessions.remember("a", Turn("medium", 5000, time.time() - age))
            router = RouterChain(
                pool=pool, scorer=WholeScorer(), escalation=None, sessions=sessions
            )
            turns = [HumanMessage("word " * 4000), AIMessage("yes"), HumanMessage("and why?")]
            assert router.decide(turns, session("a")).chosen == chosen

    def test_never_makes_a_call_cheaper_than_its_cached_price(self, pool: ModelPool) -> None:
        class FromRecords(WordScorer):
            """Has its costs from elsewhere than tokens and prices, as trained routers do."""

            def estimate(self, prompts: Sequence[Any], pool: ModelPool) -> Estimates:
                read = super().estimate(prompts, pool)
                cost = np.full(read.cost.shape, 1e-4)
                return replace(read, cost=cost, prompt_tokens=np.array([2e5] * len(prompts)))

        router = RouterChain(pool=pool, scorer=FromRecords(), escalation=None)
        turns = [HumanMessage("hi"), said_by("medium", tokens=200_000), HumanMessage("and?")]
        assert router.decide(turns).estimates["medium"].cost == pytest.approx(1e-4 * 0.01 / 0.5)

    @pytest.mark.parametrize(
        "name",
        ["claude-sonnet-4-5", "us.anthropic.claude-x", "azure_ai/claude-x", "bedrock/nova"],
    )
    def test_of_claude_counts_only_where_it_shows(self, pool: ModelPool, name: str) -> None:
        claude = ModelPool(
            [m.model_copy(update={"model": name}) if m.name == "medium" else m for m in pool]
        )
        assert self.decide(claude, said_by("medium", tokens=5000)).chosen == "small"

    def test_ages_by_the_sessions_clock_whoever_spoke_last(self, pool: ModelPool) -> None:
        sessions = MemorySessions()
        sessions.remember("a", Turn("small", 50, time.time() - 1000))
        settings: Any = {"escalation": None, "sessions": sessions}
        router = RouterChain(pool=pool, scorer=WholeScorer(), **settings)
        last = said_by("medium", tokens=5000)
        turns = [HumanMessage("word " * 4000), last, HumanMessage("and why?")]
        assert router.decide(turns).chosen == "medium"
        assert router.decide(turns, session("a")).chosen == "small"


class TestSessions:
    def test_are_no_other_conversations(self, router: RouterChain) -> None:
        """Sub-agents and nodes of a graph share a thread."""
        router.invoke("a hard one", session("a"))
        first = router.decide("word " * 4000, session("a"))
        assert "prompt cache" not in first.reason
        # A history that carries records, whose last answer is nobody's of the pool.
        mixed = [HumanMessage("hi"), said_by("big", "hello"), *tool_loop(None)]
        assert router.decide(mixed, session("a")).chosen == "small"

    def test_that_break_are_warned_of_and_cost_no_answer(self, litellm_pool: MakePool) -> None:
        class Broken:
            def last(self, session: str) -> Turn | None:
                raise ConnectionError("no store")

            def remember(self, session: str, turn: Turn) -> None:
                raise ConnectionError("no store")

        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), sessions=Broken())
        with pytest.warns(UserWarning, match=r"store of sessions failed to .*\(ConnectionError\)"):
            assert router.invoke("hello", session("a")).content

    def test_are_forgotten_when_there_are_too_many(self) -> None:
        sessions = MemorySessions(capacity=2)
        for name in "abc":
            sessions.remember(name, Turn("small"))
        assert [sessions.last(name) is not None for name in "abc"] == [False, True, True]
        assert len(sessions) == 2

    def test_keep_their_contract(self) -> None:
        assert isinstance(MemorySessions(), Sessions)

    async def test_are_remembered_by_every_way_to_call(self, router: RouterChain) -> None:
        router.invoke("a hard one", session("invoke"))
        await router.ainvoke("a hard one", session("ainvoke"))
        list(router.stream("a hard one", session("stream")))
        _ = [c async for c in router.astream("a hard one", session("astream"))]
        for name in ("invoke", "ainvoke", "stream", "astream"):
            turn = router.sessions.last(name)
            assert turn is not None
            assert turn.model == "big"

    def test_by_session_id_as_message_histories_have_it(self, router: RouterChain) -> None:
        router.invoke("a hard one", {"configurable": {"session_id": "s"}})
        turn = router.sessions.last("s")
        assert turn is not None
        assert turn.model == "big"
