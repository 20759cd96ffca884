"""What becomes of a request when its model fails, over real HTTP. The table in docs/fallback.md.

Each fault is met four ways: whole and streamed, sync and async; by a LiteLLM member and by a
ChatOpenAI member. `small` fails once; `big` stands by.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from llmroute import Model, ModelPool, RouterChain
from llmroute.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    ConfigurationError,
    ContentRefused,
    ContextWindowExceeded,
    EmptyAnswer,
    InvalidRequest,
    ModelNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    StreamInterrupted,
)
from llmroute.state.cooldown import Cooldown, Cooldowns
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import KEY, WordScorer

MakePool = Callable[..., ModelPool]
Call = Callable[[RouterChain], Awaitable[Any]]


# All four are coroutines, so that async clients meet the one event loop they are made for.


async def _invoke(router: RouterChain) -> Any:
    return router.invoke("hello")


async def _stream(router: RouterChain) -> Any:
    whole: Any = None
    for chunk in router.stream("hello"):
        whole = chunk if whole is None else whole + chunk
    return whole


async def _ainvoke(router: RouterChain) -> Any:
    return await router.ainvoke("hello")


async def _astream(router: RouterChain) -> Any:
    whole: Any = None
    async for chunk in router.astream("hello"):
        whole = chunk if whole is None else whole + chunk
    return whole


WHOLE = [pytest.param(_invoke, id="invoke"), pytest.param(_ainvoke, id="ainvoke")]
STREAMED = [pytest.param(_stream, id="stream"), pytest.param(_astream, id="astream")]


@pytest.fixture(params=["litellm", "openai"])
def router(
    request: pytest.FixtureRequest, litellm_pool: MakePool, openai_pool: MakePool
) -> RouterChain:
    make = litellm_pool if request.param == "litellm" else openai_pool
    return RouterChain(pool=make("small", "big"), scorer=WordScorer(), max_retries=0, timeout=5)


def record(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata["llmroute"]
    return found


FALLS_BACK = {
    "429": Fault.rate_limit(),
    "429 with a long retry-after": Fault.rate_limit(retry_after=60),
    "500": Fault.server_error(),
    "503": Fault.overloaded(),
    "context window": Fault.context_window(),
    "disconnect": Fault.disconnect(),
    "malformed JSON": Fault.malformed_json(),
    "a web page": Fault.html(),
    "no choices": Fault.no_choices(),
    "cut before the first token": Fault.cut_stream(after=0),
    "reset before the first token": Fault.cut_stream(after=0, close="reset"),
    "a broken event first": Fault.malformed_stream(after=0),
    "an error event first": Fault.error_in_stream(after=0),
}


@pytest.mark.parametrize("call", WHOLE + STREAMED)
@pytest.mark.parametrize("fault", FALLS_BACK.values(), ids=FALLS_BACK.keys())
async def test_the_next_model_answers(
    provider: ScriptedProvider, router: RouterChain, call: Call, fault: Fault
) -> None:
    provider.fail("small", fault)
    answer = await call(router)
    assert "big" in answer.content
    failed, answered = record(answer)["calls"]
    assert failed["model"] == "small"
    assert failed["status"] != "ok"
    assert failed["error"]
    assert failed["cost_usd"] is not None
    assert (answered["model"], answered["purpose"], answered["status"]) == ("big", "fallback", "ok")
    assert record(answer)["chosen"] == "small"
    assert record(answer)["answered_by"] == "big"
    total = failed["cost_usd"] + answered["cost_usd"]
    assert record(answer)["cost_usd"] == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("call", WHOLE)
async def test_an_empty_answer_is_a_failure(
    provider: ScriptedProvider, router: RouterChain, call: Call
) -> None:
    provider.fail("small", Fault.empty())
    answer = await call(router)
    assert [c["status"] for c in record(answer)["calls"]] == ["empty", "ok"]


@pytest.mark.parametrize("call", STREAMED)
@pytest.mark.parametrize("fails", [False, True])
async def test_an_empty_stream_is_one_only_where_the_user_says_so(
    provider: ScriptedProvider, router: RouterChain, call: Call, fails: bool
) -> None:
    router.empty_stream_fails = fails
    provider.fail("small", Fault.empty())
    answer = await call(router)
    assert record(answer)["answered_by"] == ("big" if fails else "small")
    assert bool(answer.content) is fails
    assert record(answer)["calls"][-1]["status"] == "ok"


def _with_window(pool: ModelPool, **windows: int) -> ModelPool:
    return ModelPool([m.model_copy(update={"context_window": windows.get(m.name)}) for m in pool])


class TestAPromptThatIsTooLong:
    async def test_goes_to_a_model_with_a_longer_window(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        pool = _with_window(litellm_pool(), small=8000, medium=8000, big=32000)
        router = RouterChain(pool=pool, scorer=WordScorer(), max_retries=0)
        provider.fail("small", Fault.context_window())
        answer = router.invoke("hello")
        asked = [(c["model"], c["status"]) for c in record(answer)["calls"]]
        assert asked == [("small", "context_window"), ("big", "ok")]

    async def test_may_fit_a_model_of_unknown_window(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        pool = _with_window(litellm_pool(), small=8000)
        router = RouterChain(pool=pool, scorer=WordScorer(), max_retries=0)
        provider.fail("small", Fault.context_window())
        assert record(router.invoke("hello"))["answered_by"] == "medium"

    async def test_is_the_users_error_where_no_window_is_longer(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        pool = _with_window(litellm_pool("small", "big"), small=8000, big=8000)
        router = RouterChain(pool=pool, scorer=WordScorer(), max_retries=0)
        provider.fail("small", Fault.context_window())
        with pytest.raises(ContextWindowExceeded) as raised:
            router.invoke("hello")
        assert [c.model for c in raised.value.calls] == ["small"]
        assert provider.count("big") == 0


class TestARefusalOfTheContent:
    @pytest.mark.parametrize("call", WHOLE + STREAMED)
    async def test_goes_to_the_model_that_is_there_for_it(
        self, provider: ScriptedProvider, litellm_pool: MakePool, call: Call
    ) -> None:
        router = RouterChain(
            pool=litellm_pool(), scorer=WordScorer(), escalation=None, when_refused="big"
        )
        provider.fail("small", Fault.content_policy())
        answer = await call(router)
        asked = [(c["model"], c["purpose"], c["status"]) for c in record(answer)["calls"]]
        assert asked == [("small", "answer", "content_refused"), ("big", "fallback", "ok")]

    async def test_of_that_model_stands(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(
            pool=litellm_pool(), scorer=WordScorer(), escalation=None, when_refused="big"
        )
        provider.fail("big", Fault.content_policy())
        with pytest.raises(ContentRefused):
            router.invoke("a hard one")
        provider.fail("small", Fault.content_policy())
        provider.fail("big", Fault.content_policy())
        with pytest.raises(ContentRefused) as raised:
            router.invoke("hello")
        assert [c.model for c in raised.value.calls] == ["small", "big"]

    async def test_of_a_model_that_the_caller_named_stands(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(
            pool=litellm_pool(), scorer=WordScorer(), escalation=None, when_refused="big"
        )
        provider.fail("small", Fault.content_policy())
        with pytest.raises(ContentRefused):
            router.invoke("hello", model="small")

    def test_needs_a_model_of_the_pool(self, litellm_pool: MakePool) -> None:
        with pytest.raises(ConfigurationError, match="when_refused is 'nobody'"):
            RouterChain(pool=litellm_pool(), scorer=WordScorer(), when_refused="nobody")


class TestCooldown:
    def test_a_model_that_keeps_failing_is_left_alone(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=2, seconds=60)
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), max_retries=0, cooldown=rule)
        provider.fail("small", Fault.server_error(), times=2)
        for _ in range(4):
            router.invoke("hello")
        assert provider.count("small") == 2
        assert "failed 2 times in a row" in router.decide("hello").excluded["small"]

    def test_an_answer_clears_the_count(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=2, seconds=60)
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), max_retries=0, cooldown=rule)
        for _ in range(3):
            provider.fail("small", Fault.server_error())
            router.invoke("hello")
            router.invoke("hello")
        assert provider.count("small") == 6

    def test_it_is_asked_again_afterwards(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=0.05)
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), max_retries=0, cooldown=rule)
        provider.fail("small", Fault.server_error())
        router.invoke("hello")
        time.sleep(0.06)
        assert record(router.invoke("hello"))["answered_by"] == "small"

    def test_a_provider_that_asks_for_a_long_wait_gets_it(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer())
        provider.fail("small", Fault.rate_limit(retry_after=60))
        router.invoke("hello")
        assert record(router.invoke("hello"))["chosen"] == "medium"

    def test_it_stands_in_where_nobody_else_can(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=60)
        pool = litellm_pool("small", "big")
        router = RouterChain(pool=pool, scorer=WordScorer(), max_retries=0, cooldown=rule)
        provider.fail("small", Fault.server_error())
        router.invoke("hello")
        provider.fail("big", Fault.server_error())
        asked = [c["model"] for c in record(router.invoke("hello"))["calls"]]
        assert asked == ["big", "small"]

    def test_a_refusal_goes_to_it_all_the_same(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=60)
        settings: Any = {"max_retries": 0, "cooldown": rule, "when_refused": "big"}
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), **settings)
        provider.fail("big", Fault.server_error())
        router.invoke("a hard one")
        provider.fail("small", Fault.content_policy())
        assert record(router.invoke("hello"))["answered_by"] == "big"

    def test_an_answer_is_looked_at_while_the_strong_model_rests(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=60)
        settings: Any = {"max_retries": 0, "cooldown": rule, "escalation": lambda message: True}
        pool = litellm_pool("small", "big")
        router = RouterChain(pool=pool, scorer=WordScorer(), **settings)
        provider.fail("big", Fault.server_error())
        router.invoke("a hard one")
        answer = record(router.invoke("hello"))
        assert (answer["chosen"], answer["answered_by"]) == ("small", "big")

    def test_a_pause_that_the_provider_asked_for_is_not_cut_short_by_a_late_answer(
        self, provider: ScriptedProvider
    ) -> None:
        health, rule = Cooldowns(), Cooldown()
        health.note("small", RateLimited("slow down", retry_after=60), rule, 8)
        health.note("small", None, rule, 8)
        assert list(health.cooling_down()) == ["small"]

    def test_where_all_rest_one_is_asked_all_the_same(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=60)
        pool = litellm_pool("small")
        router = RouterChain(pool=pool, scorer=WordScorer(), max_retries=0, cooldown=rule)
        provider.fail("small", Fault.server_error())
        with pytest.raises(ProviderUnavailable):
            router.invoke("hello")
        assert record(router.invoke("hello"))["answered_by"] == "small"

    def test_a_fault_of_the_request_says_nothing_of_the_model(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        rule = Cooldown(after=1, seconds=60)
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), cooldown=rule)
        provider.fail("small", Fault.bad_request())
        with pytest.raises(InvalidRequest):
            router.invoke("hello")
        assert router.decide("hello").excluded == {}


@pytest.mark.parametrize("call", WHOLE)
@pytest.mark.parametrize("fault", [Fault.hang(600), Fault.stall(after=1, seconds=600)], ids=str)
async def test_a_model_that_hangs_is_given_up_after_its_timeout(
    provider: ScriptedProvider, litellm_pool: MakePool, call: Call, fault: Fault
) -> None:
    router = RouterChain(pool=litellm_pool("small", "big"), scorer=WordScorer(), timeout=0.5)
    await _invoke(router)  # the first call of a process imports LiteLLM
    provider.fail("small", fault)
    answer = await call(router)
    assert [c["status"] for c in record(answer)["calls"]] == ["timeout", "ok"]
    assert record(answer)["calls"][0]["cost_is_estimated"]
    assert record(answer)["calls"][0]["cost_usd"] > 0


RAISED = {
    "401": (Fault.unauthorized(), AuthenticationFailed),
    "403": (Fault.forbidden(), AuthenticationFailed),
    "404": (Fault.not_found(), ModelNotFound),
    "400": (Fault.bad_request(), InvalidRequest),
    "content policy": (Fault.content_policy(), ContentRefused),
}


@pytest.mark.parametrize("call", WHOLE + STREAMED)
@pytest.mark.parametrize(("fault", "expected"), RAISED.values(), ids=RAISED.keys())
async def test_an_error_that_another_model_would_not_cure_is_raised_at_once(
    provider: ScriptedProvider,
    router: RouterChain,
    call: Call,
    fault: Fault,
    expected: type[ProviderError],
) -> None:
    provider.fail("small", fault)
    with pytest.raises(expected) as raised:
        await call(router)
    assert raised.value.model == "small"
    assert [c.model for c in raised.value.calls] == ["small"]
    assert provider.count("big") == 0
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("call", STREAMED)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.cut_stream(after=2),
        Fault.cut_stream(after=2, close="reset"),
        Fault.malformed_stream(after=2),
        Fault.error_in_stream(after=2),
    ],
    ids=["clean cut", "reset", "broken event", "error event"],
)
async def test_a_stream_cut_after_its_first_token_raises_with_the_text_so_far(
    provider: ScriptedProvider, router: RouterChain, call: Call, fault: Fault
) -> None:
    provider.fail("small", fault)
    with pytest.raises(StreamInterrupted) as raised:
        await call(router)
    assert raised.value.partial.startswith("stand")
    assert [c.status for c in raised.value.calls] == ["interrupted"]
    assert raised.value.calls[0].cost_is_estimated
    assert provider.count("big") == 0  # a second model's text cannot be joined to the first one's


class TellsUsageAsItGoes(BaseChatModel):
    """A chat model whose provider counts tokens on every chunk, and whose stream is cut."""

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for text, tokens in (("It", 1000), (" is", 0)):
            details = {"cache_read": 600 if tokens else 0}
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    text,
                    usage_metadata={
                        "input_tokens": tokens,
                        "output_tokens": 2,
                        "total_tokens": tokens + 2,
                        "input_token_details": details,
                    },
                    response_metadata={"model_name": "counting-2"} if tokens else {},
                )
            )
        raise httpx.RemoteProtocolError("peer closed connection")


@pytest.mark.parametrize("call", STREAMED)
async def test_what_a_cut_stream_told_of_its_usage_is_billed(call: Call) -> None:
    member = Model(
        "cut",
        chat_model=TellsUsageAsItGoes(),
        input_price=3,
        cached_input_price=0.3,
        output_price=15,
    )
    router = RouterChain(pool=[member], escalation=None)
    with pytest.raises(StreamInterrupted) as raised:
        await call(router)
    assert raised.value.partial == "It is"
    (told,) = raised.value.calls
    assert (told.prompt_tokens, told.cached_tokens, told.completion_tokens) == (1000, 600, 4)
    assert told.answered_by == "counting-2"
    assert told.cost_usd == pytest.approx((400 * 3 + 600 * 0.3 + 4 * 15) / 1e6)
    assert not told.cost_is_estimated


async def test_a_stalled_stream_ends(provider: ScriptedProvider, litellm_pool: MakePool) -> None:
    router = RouterChain(pool=litellm_pool("small", "big"), scorer=WordScorer(), timeout=0.5)
    await _invoke(router)
    provider.fail("small", Fault.stall(after=2, seconds=600))
    with pytest.raises(StreamInterrupted):
        await _stream(router)


async def test_a_cut_is_noticed_when_the_model_streams_inside_invoke(
    provider: ScriptedProvider, router: RouterChain
) -> None:
    router.streaming = True
    provider.fail("small", Fault.cut_stream(after=3))
    for answer in (await _invoke(router), await _ainvoke(router)):
        assert answer.content.endswith(".")
    assert [r.model for r in provider.requests] == ["small", "big", "small"]


class TestRetries:
    """Another try on the same model, before the next one is asked."""

    @pytest.fixture
    def router(self, litellm_pool: MakePool) -> RouterChain:
        return RouterChain(
            pool=litellm_pool("small", "big"), scorer=WordScorer(), max_retries=2, max_retry_wait=1
        )

    @pytest.mark.parametrize("call", WHOLE + STREAMED)
    async def test_retry_after_is_waited_for(
        self, provider: ScriptedProvider, router: RouterChain, call: Call
    ) -> None:
        provider.fail("small", Fault.rate_limit(retry_after=0.4))
        answer = await call(router)
        assert [c["model"] for c in record(answer)["calls"]] == ["small", "small"]
        first, second = (r.started for r in provider.requests)
        assert second - first >= 0.4

    async def test_a_longer_retry_after_than_allowed_sends_it_to_the_next_model(
        self, provider: ScriptedProvider, router: RouterChain
    ) -> None:
        provider.fail("small", Fault.rate_limit(retry_after=30))
        assert record(await _invoke(router))["answered_by"] == "big"
        assert provider.count("small") == 1

    async def test_retries_end(self, provider: ScriptedProvider, router: RouterChain) -> None:
        provider.fail("small", Fault.rate_limit(retry_after=0), times=None)
        answer = await _invoke(router)
        assert [c["model"] for c in record(answer)["calls"]] == ["small"] * 3 + ["big"]

    async def test_a_timeout_is_not_tried_again(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(
            pool=litellm_pool("small", "big"), scorer=WordScorer(), max_retries=2, timeout=0.5
        )
        await _invoke(router)
        provider.clear()
        provider.fail("small", Fault.hang(600))
        await _invoke(router)
        assert provider.count("small") == 1


class TestNoModelLeft:
    def test_all_attempts_are_in_the_error(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer(), max_retries=0)
        provider.fail("small", Fault.server_error())
        provider.fail("medium", Fault.empty())
        provider.fail("big", Fault.rate_limit())
        with pytest.raises(AllModelsFailed) as raised:
            router.invoke("hello")
        statuses = {c.model: c.status for c in raised.value.calls}
        assert statuses == {"small": "unavailable", "medium": "empty", "big": "rate_limited"}
        assert isinstance(raised.value.last, RateLimited)
        assert all(name in str(raised.value) for name in statuses)

    def test_a_pool_of_one_raises_its_own_error(
        self, provider: ScriptedProvider, litellm_pool: MakePool
    ) -> None:
        router = RouterChain(pool=litellm_pool("small"), scorer=WordScorer(), max_retries=0)
        provider.fail("small", Fault.empty())
        with pytest.raises(EmptyAnswer, match="small: the answer holds neither"):
            router.invoke("hello")

    def test_nothing_listening(self, litellm_pool: MakePool) -> None:
        from llmroute import Model

        dead = Model("dead", model="openai/dead", api_base="http://127.0.0.1:9/v1", api_key=KEY)
        with pytest.raises(ProviderUnavailable):
            RouterChain(pool=[dead], policy=_only("dead"), max_retries=0).invoke("hello")


def _only(name: str) -> Any:
    from llmroute.policies import Pinned

    return Pinned(model=name)


IN_A_TOOL_LOOP = [
    HumanMessage("What is the weather?"),
    AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "1"}]),
    ToolMessage("sunny", tool_call_id="1"),
]


def test_a_model_may_end_a_tool_loop_without_a_word(
    provider: ScriptedProvider, litellm_pool: MakePool
) -> None:
    router = RouterChain(pool=litellm_pool("small", "big"), scorer=WordScorer())
    provider.fail("small", Fault.empty())
    answer = router.invoke(IN_A_TOOL_LOOP)
    assert record(answer)["answered_by"] == "small"
    assert provider.count("big") == 0


def test_but_not_with_half_a_stream(provider: ScriptedProvider, openai_pool: MakePool) -> None:
    router = RouterChain(pool=openai_pool("small", "big"), scorer=WordScorer(), escalation=None)
    provider.fail("small", Fault.cut_stream(after=0))
    assert "".join(chunk.text for chunk in router.stream(IN_A_TOOL_LOOP))
    assert provider.count("big") == 1
