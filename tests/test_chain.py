"""RouterChain as a user meets it, over real HTTP."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel

from llmroute import (
    Capabilities,
    CheapestAbove,
    Decision,
    Model,
    ModelPool,
    RouterChain,
    Threshold,
)
from llmroute.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    ConfigurationError,
    NoEligibleModel,
    RateLimited,
)
from llmroute.testing import Fault, ScriptedModel, ScriptedProvider
from tests.conftest import KEY, PRICES, WordScorer

MakePool = Callable[..., ModelPool]


def weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"sunny in {city}"


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


@pytest.fixture(params=["litellm", "openai"])
def pool(
    request: pytest.FixtureRequest, litellm_pool: MakePool, openai_pool: MakePool
) -> ModelPool:
    return (litellm_pool if request.param == "litellm" else openai_pool)()


@pytest.fixture
def router(pool: ModelPool, scorer: WordScorer) -> RouterChain:
    return RouterChain(pool=pool, scorer=scorer, escalation=None)


def record(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata["llmroute"]
    return found


class Runs(BaseCallbackHandler):
    """Keeps what a tracer would see of the LLM runs."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.errors = 0

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.started.append(kwargs)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors += 1


class TestTheRecord:
    def test_says_what_was_chosen_why_and_what_it_cost(self, router: RouterChain) -> None:
        answer = router.invoke("hello")
        got = record(answer)
        assert got["chosen"] == got["answered_by"] == "small"
        assert got["policy"] == {"name": "CheapestAbove", "quality": 0.95}
        assert "cheapest" in got["reason"]
        assert got["estimates"]["big"]["quality"] == 0.93
        assert got["decision_us"] > 0
        (call,) = got["calls"]
        usage = answer.usage_metadata
        assert usage is not None
        assert call["prompt_tokens"] == usage["input_tokens"]
        assert call["completion_tokens"] == usage["output_tokens"]
        price = PRICES["small"]
        expected = (usage["input_tokens"] * price[0] + usage["output_tokens"] * price[1]) / 1e6
        assert got["cost_usd"] == pytest.approx(expected)
        # big's prices are 20 times small's
        assert got["saved_usd"] == pytest.approx(19 * expected)

    def test_is_json_and_a_decision(self, router: RouterChain) -> None:
        got = record(router.invoke("hello"))
        assert Decision.model_validate(json.loads(json.dumps(got))).to_json() == got

    def test_the_providers_own_metadata_stays(self, router: RouterChain) -> None:
        answer = router.invoke("a hard one")
        assert answer.response_metadata["model_name"] == "big"
        assert answer.response_metadata["finish_reason"] == "stop"

    def test_decide_says_the_same_and_calls_nobody(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        decision = router.decide("a hard one")
        assert decision.chosen == "big"
        assert decision.calls == ()
        assert decision.cost_usd is None
        assert provider.requests == []

    async def test_adecide(self, router: RouterChain) -> None:
        assert (await router.adecide("a hard one")).chosen == "big"

    def test_decide_batch_scores_all_prompts_at_once(
        self, router: RouterChain, scorer: WordScorer
    ) -> None:
        chosen = [d.chosen for d in router.decide_batch(["easy", "hard", "easy"])]
        assert chosen == ["small", "big", "small"]
        assert scorer.calls == 1


class TestStreams:
    def test_the_decision_is_on_the_first_chunk_and_the_bill_on_the_last(
        self, router: RouterChain
    ) -> None:
        chunks = list(router.stream("hello"))
        marked = [c.response_metadata["llmroute"] for c in chunks if record_in(c)]
        assert record_in(chunks[0])
        assert record_in(chunks[-1])
        assert len(marked) == 2
        assert marked[0]["chosen"] == "small"
        assert "cost_usd" not in marked[0]
        assert set(marked[1]) == {
            "answered_by",
            "calls",
            "checks",
            "escalated",
            "unchecked",
            "total_prompt_tokens",
            "total_completion_tokens",
            "cost_usd",
            "saved_usd",
        }

    def test_the_sum_of_the_chunks_has_the_whole_record(self, router: RouterChain) -> None:
        streamed = summed(list(router.stream("hello")))
        whole = router.invoke("hello")
        assert Decision.model_validate(record(streamed)).chosen == "small"
        assert record(streamed)["calls"][0]["status"] == "ok"
        assert set(record(streamed)) == set(record(whole))
        assert (
            streamed.usage_metadata["output_tokens"]
            == record(streamed)["calls"][0]["completion_tokens"]
        )

    async def test_async_streams_too(self, router: RouterChain) -> None:
        streamed = summed([chunk async for chunk in router.astream("a hard one")])
        assert record(streamed)["answered_by"] == "big"
        assert record(streamed)["cost_usd"] > 0

    async def test_a_stream_that_nobody_reads_to_its_end_is_closed(
        self, router: RouterChain
    ) -> None:
        runs = Runs()
        stream = router.stream("hello", {"callbacks": [runs]})
        next(stream)
        stream.close()
        astream = router.astream("hello", {"callbacks": [runs]})
        await anext(astream)
        await astream.aclose()
        assert runs.errors == 2  # that is how LangChain ends the run of a stream that was left

    def test_streaming_can_be_disabled(self, pool: ModelPool, scorer: WordScorer) -> None:
        router = RouterChain(pool=pool, scorer=scorer, disable_streaming=True)
        (only,) = router.stream("hello")
        assert record(only)["answered_by"] == "small"

    @pytest.mark.filterwarnings("ignore:.*beta")
    async def test_v3_events_come_from_the_model_that_answers(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        provider.fail("big", Fault.server_error(), times=4)
        router.max_retries = 0
        assert "from medium" in str(router.stream_events("a hard one", version="v3").text)
        stream = await router.astream_events("a hard one", version="v3")
        assert "from medium" in await stream.text


def record_in(chunk: Any) -> bool:
    return "llmroute" in chunk.response_metadata


def summed(chunks: list[Any]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


class TestTracing:
    def test_one_run_a_call_under_the_name_of_the_model_that_answered(
        self, router: RouterChain
    ) -> None:
        runs, usage = Runs(), UsageMetadataCallbackHandler()
        answer = router.invoke("a hard one", {"callbacks": [runs, usage]})
        (run,) = runs.started
        assert run["metadata"]["ls_model_name"] == "big"
        assert run["metadata"]["llmroute_chosen"] == "big"
        assert "route:big" in run["tags"]
        assert usage.usage_metadata["big"] == answer.usage_metadata

    def test_a_failed_attempt_is_a_run_of_its_own(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        provider.fail("small", Fault.server_error(), times=2)
        runs, run_id = Runs(), uuid4()
        router.max_retries = 0
        router.invoke("hello", {"callbacks": [runs], "run_id": run_id})
        purposes = [run["metadata"]["llmroute_purpose"] for run in runs.started]
        assert purposes == ["answer", "fallback"]
        assert runs.errors == 1
        ids = [run["run_id"] for run in runs.started]
        assert ids[0] == run_id
        assert ids[1] != run_id

    def test_the_routers_own_callbacks_tags_and_metadata_are_honoured(
        self, pool: ModelPool, scorer: WordScorer
    ) -> None:
        runs = Runs()
        router = RouterChain(
            pool=pool, scorer=scorer, callbacks=[runs], tags=["mine"], metadata={"team": "a"}
        )
        router.invoke("hello", {"tags": ["yours"]})
        (run,) = runs.started
        assert {"mine", "yours", "route:small"} <= set(run["tags"])
        assert run["metadata"]["team"] == "a"

    def test_a_handler_on_router_and_call_is_told_once(
        self, pool: ModelPool, scorer: WordScorer
    ) -> None:
        runs = Runs()
        RouterChain(pool=pool, scorer=scorer, callbacks=[runs]).invoke("x", {"callbacks": [runs]})
        assert len(runs.started) == 1

    async def test_inside_a_chain_every_way_of_calling(self, router: RouterChain) -> None:
        chain = ChatPromptTemplate.from_template("say {word}") | router | StrOutputParser()
        runs = Runs()
        config: Any = {"callbacks": [runs]}
        assert "big" in chain.invoke({"word": "hard"}, config)
        assert "big" in await chain.ainvoke({"word": "hard"}, config)
        assert "big" in "".join(chain.stream({"word": "hard"}, config))
        assert "big" in "".join([c async for c in chain.astream({"word": "hard"}, config)])
        answers = chain.batch([{"word": "hard"}, {"word": "easy"}], config)
        assert [("big" in a, "small" in a) for a in answers] == [(True, False), (False, True)]
        assert len(runs.started) == 6


class TestWhatIsSetOnTheRouter:
    def test_a_cache_serves_the_members_and_costs_nothing(
        self, pool: ModelPool, scorer: WordScorer, provider: ScriptedProvider
    ) -> None:
        router = RouterChain(pool=pool, scorer=scorer, cache=InMemoryCache())
        first, second = router.invoke("hello"), router.invoke("hello")
        assert provider.count("small") == 1
        assert first.content == second.content
        assert record(first)["cost_usd"] > 0
        assert record(second)["cost_usd"] == 0

    def test_a_rate_limiter_is_asked_at_every_attempt(
        self, pool: ModelPool, scorer: WordScorer
    ) -> None:
        asked = []

        class Counting(InMemoryRateLimiter):
            def acquire(self, *, blocking: bool = True) -> bool:
                asked.append(blocking)
                return True

        RouterChain(pool=pool, scorer=scorer, rate_limiter=Counting()).invoke("hello")
        assert asked == [True]

    def test_sampling_settings_reach_the_provider(
        self, pool: ModelPool, scorer: WordScorer, provider: ScriptedProvider
    ) -> None:
        router = RouterChain(
            pool=pool, scorer=scorer, temperature=0.5, max_tokens=7, stop=["never"]
        )
        router.invoke("hello")
        body = provider.requests[-1].body
        assert body["temperature"] == 0.5
        assert body.get("max_tokens", body.get("max_completion_tokens")) == 7
        assert body["stop"] == ["never"]

    def test_a_key_for_members_that_have_none(
        self, provider: ScriptedProvider, scorer: WordScorer
    ) -> None:
        member = Model("small", model="openai/small", api_base=provider.base_url)
        RouterChain(pool=[member], scorer=scorer, api_key="the-key").invoke("hello")
        assert provider.requests[-1].headers["authorization"] == "Bearer the-key"

    def test_misspelt_settings_are_refused(self, pool: ModelPool) -> None:
        with pytest.raises(ValueError, match="Extra inputs"):
            RouterChain(pool=pool, polcy=None)

    def test_a_policy_that_does_not_fit_the_pool_is_refused_at_once(self, pool: ModelPool) -> None:
        with pytest.raises(ValueError, match="Threshold chooses between two models"):
            RouterChain(pool=pool, policy=Threshold(threshold=0.5))


class TestTools:
    def test_are_bound_on_the_model_that_is_chosen(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        answer = router.bind_tools([weather]).invoke('a hard one: weather in "Paris"?')
        (call,) = answer.tool_calls
        assert call["name"] == "weather"
        assert record(answer)["answered_by"] == "big"
        assert provider.requests[-1].body["tools"][0]["function"]["name"] == "weather"

    def test_a_tool_can_be_required(self, router: RouterChain, provider: ScriptedProvider) -> None:
        router.bind_tools([weather], tool_choice="any").invoke("hello")
        assert provider.requests[-1].body["tool_choice"] == "required"

    def test_the_question_stays_the_routing_text_inside_a_tool_loop(
        self, router: RouterChain
    ) -> None:
        conversation = [
            HumanMessage("a hard one"),
            AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "x"}, "id": "1"}]),
            ToolMessage("sunny, nothing difficult about it", tool_call_id="1"),
        ]
        assert (
            router.bind_tools([weather])
            .invoke(conversation)
            .response_metadata["llmroute"]["chosen"]
            == "big"
        )

    def test_a_model_known_not_to_call_tools_is_ruled_out(
        self, pool: ModelPool, scorer: WordScorer
    ) -> None:
        plain = pool["small"].model_copy(update={"capabilities": Capabilities(tools=False)})
        router = RouterChain(pool=[plain, *list(pool)[1:]], scorer=scorer)
        assert router.decide("hello").chosen == "small"
        decision = router.decide("hello", tools=[weather])
        assert decision.chosen == "medium"
        assert "tools are bound" in decision.excluded["small"]
        # Agents without tools bind an empty list.
        assert router.decide("hello", tools=[]).chosen == "small"
        assert record(router.bind_tools([]).invoke("hello"))["chosen"] == "small"

    def test_what_is_bound_with_them_is_heeded_as_in_the_call(
        self, pool: ModelPool, scorer: WordScorer
    ) -> None:
        one = pool["small"].model_copy(update={"capabilities": Capabilities(json_schema=False)})
        router = RouterChain(pool=[one, *list(pool)[1:]], scorer=scorer, escalation=None)
        shape = {
            "type": "json_schema",
            "json_schema": {"name": "City", "schema": City.model_json_schema()},
        }
        for options, answers in (
            ({}, "small"),
            ({"response_format": shape}, "medium"),
            ({"model": "big"}, "big"),
            ({"llmroute_models": ["medium"]}, "medium"),
        ):
            answer = router.bind_tools([weather], **options).invoke("hello")
            assert record(answer)["answered_by"] == answers, options


class TestCountingTokens:
    def test_asks_no_network_and_counts_with_a_members_tokenizer(self, router: RouterChain) -> None:
        few, many = ([HumanMessage("word " * n)] for n in (10, 1000))
        assert 10 <= router.get_num_tokens_from_messages(few) < 50
        assert 1000 <= router.get_num_tokens_from_messages(many) < 1100
        assert router.get_num_tokens("word " * 10) < 50
        with_tools = router.get_num_tokens_from_messages(few, tools=[weather])
        assert with_tools > router.get_num_tokens_from_messages(few)


class TestStructuredOutput:
    @pytest.mark.parametrize("method", [None, "function_calling", "json_schema"])
    def test_is_parsed_by_the_chosen_model(self, router: RouterChain, method: str | None) -> None:
        options = {"method": method} if method else {}
        city = router.with_structured_output(City, **options).invoke("a hard one")
        assert isinstance(city, City)

    async def test_with_the_raw_message_there_is_a_record(self, router: RouterChain) -> None:
        structured = router.with_structured_output(City, include_raw=True)
        for got in (structured.invoke("a hard one"), await structured.ainvoke("a hard one")):
            assert isinstance(got["parsed"], City)
            assert record(got["raw"])["answered_by"] == "big"
            assert record(got["raw"])["cost_usd"] > 0

    def test_settings_reach_the_provider_with_the_raw_message_too(
        self, pool: ModelPool, scorer: WordScorer, provider: ScriptedProvider
    ) -> None:
        router = RouterChain(pool=pool, scorer=scorer, temperature=0.25)
        router.with_structured_output(City, include_raw=True).invoke("hello")
        assert provider.requests[-1].body["temperature"] == 0.25

    async def test_streams(self, router: RouterChain) -> None:
        structured = router.with_structured_output(City.model_json_schema())
        assert set(list(structured.stream("hello"))[-1]) == {"name", "inhabitants"}
        assert set([c async for c in structured.astream("hello")][-1]) == {"name", "inhabitants"}

    def test_what_is_said_with_the_schema_is_heeded_as_in_the_call(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        for options in ({"model": "big"}, {"llmroute_models": ["big"]}):
            raw = router.with_structured_output(City, include_raw=True, **options).invoke("hello")
            assert record(raw["raw"])["answered_by"] == "big"
            assert provider.requests[-1].model == "big"

    def test_falls_back(self, router: RouterChain, provider: ScriptedProvider) -> None:
        provider.fail("small", Fault.malformed_json())
        assert isinstance(router.with_structured_output(City).invoke("hello"), City)
        assert provider.count("medium") == 1

    def test_text_instead_of_the_schema_sends_it_on(
        self, litellm_pool: MakePool, provider: ScriptedProvider
    ) -> None:
        with ScriptedProvider([ScriptedModel("talker", reply="I would rather talk.")]) as talkers:
            talker = Model(
                "small",
                model="openai/talker",
                api_base=talkers.base_url,
                api_key=KEY,
                input_price=0,
            )
            router = RouterChain(pool=[talker, *litellm_pool("big")], scorer=WordScorer())
            structured = router.with_structured_output(City, method="function_calling")
            assert isinstance(structured.invoke("hello"), City)
            assert talkers.count("talker") == 1


class TestNamingAModel:
    def test_asks_that_model(self, router: RouterChain) -> None:
        got = record(router.invoke("hello", model="medium"))
        assert got["chosen"] == "medium"
        assert got["policy"] == {"name": "Pinned", "model": "medium"}

    def test_and_no_other(self, router: RouterChain, provider: ScriptedProvider) -> None:
        provider.fail("medium", Fault.empty())
        with pytest.raises(Exception, match="medium"):
            router.invoke("hello", model="medium")
        assert provider.count("small") == provider.count("big") == 0

    def test_that_is_not_in_the_pool(self, router: RouterChain) -> None:
        with pytest.raises(ConfigurationError, match="it has 'small', 'medium', 'big'"):
            router.invoke("hello", model="huge")


class TestHardConstraints:
    def test_nothing_eligible_lists_each_model_with_why(
        self, litellm_pool: MakePool, scorer: WordScorer
    ) -> None:
        pool = litellm_pool("small", "big", context_window=100)
        with pytest.raises(NoEligibleModel) as raised:
            RouterChain(pool=pool, scorer=scorer).invoke("word " * 500)
        assert set(raised.value.excluded) == {"small", "big"}
        assert "context window takes 100" in str(raised.value)

    def test_a_prompt_too_long_for_one_goes_to_another(
        self, litellm_pool: MakePool, scorer: WordScorer
    ) -> None:
        short = list(litellm_pool("small", context_window=100))
        router = RouterChain(pool=[*short, *litellm_pool("big")], scorer=scorer)
        decision = router.decide("word " * 500)
        assert decision.chosen == "big"
        assert "tokens" in decision.excluded["small"]

    def test_tokens_are_counted_where_characters_leave_it_open(
        self, litellm_pool: MakePool, scorer: WordScorer
    ) -> None:
        # 2,500 characters could be more than 1,000 tokens, but are 501.
        pool = litellm_pool("small", "big", context_window=1000)
        assert RouterChain(pool=pool, scorer=scorer).decide("word " * 500).excluded == {}

    def test_images_need_a_model_that_sees(self, litellm_pool: MakePool) -> None:
        blind = list(litellm_pool("small", capabilities=Capabilities(vision=False)))
        router = RouterChain(pool=[*blind, *litellm_pool("big")], scorer=WordScorer())
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        message = HumanMessage([{"type": "text", "text": "what is this?"}, picture])
        assert router.decide([message]).excluded == {
            "small": "the request holds an image, and it does not see"
        }

    def test_tools_and_schemas_count_too(self, litellm_pool: MakePool, scorer: WordScorer) -> None:
        def large() -> None:
            """Do nothing."""

        large.__doc__ = "Do nothing. " * 1000
        router = RouterChain(pool=litellm_pool("small", context_window=2000), scorer=scorer)
        assert router.decide("hello").excluded == {}
        with pytest.raises(NoEligibleModel, match="context window"):
            router.decide("hello", tools=[large])

    def test_counting_fetches_no_tokenizer(
        self, scorer: WordScorer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import tokenizers

        def fetched(*_: Any, **__: Any) -> None:
            raise AssertionError("went to the network")

        monkeypatch.setattr(tokenizers.Tokenizer, "from_pretrained", fetched)
        llama = Model("small", model="together_ai/meta-llama/Llama-3-8b", context_window=1000)
        assert RouterChain(pool=[llama], scorer=scorer).decide("word " * 500).excluded == {}


class NotFinite(WordScorer):
    name = "nan"

    def estimate(self, prompts: Any, pool: Any) -> Any:
        found = super().estimate(prompts, pool)
        found.quality[:] = float("nan")
        return found


def test_a_scorer_that_gives_no_numbers_counts_as_broken(pool: ModelPool) -> None:
    with pytest.warns(UserWarning, match="'nan' failed with ValueError"):
        assert RouterChain(pool=pool, scorer=NotFinite()).decide("hello").chosen == "big"


def test_a_policy_that_chooses_what_is_ruled_out_is_told_so(
    pool: ModelPool, scorer: WordScorer
) -> None:
    class Stubborn(CheapestAbove):
        def choose(self, estimates: Any, allowed: Any) -> Any:
            return np.zeros(len(estimates), dtype=np.intp)

    plain = pool["small"].model_copy(update={"capabilities": Capabilities(tools=False)})
    router = RouterChain(pool=[plain, *list(pool)[1:]], scorer=scorer, policy=Stubborn())
    with pytest.raises(ConfigurationError, match="Stubborn chose 'small', which is ruled out"):
        router.decide("hello", tools=[weather])


def test_a_wrong_key_is_not_mistaken_for_what_the_caller_was_handling(
    router: RouterChain, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.unauthorized())
    try:
        json.loads("{")
    except ValueError:
        with pytest.raises(AuthenticationFailed):
            router.invoke("repair this")


def test_a_parameter_one_model_does_not_take_goes_to_another(
    litellm_pool: MakePool, provider: ScriptedProvider
) -> None:
    picky = Model(
        "small", model="openai/o3-mini", api_base=provider.base_url, api_key=KEY, input_price=0
    )
    router = RouterChain(pool=[picky, *litellm_pool("big")], scorer=WordScorer(), temperature=0.2)
    got = record(router.invoke("hello"))
    assert [c["status"] for c in got["calls"]] == ["unsupported_parameter", "ok"]


def test_the_saving_is_nothing_when_the_strongest_answers(
    litellm_pool: MakePool, scorer: WordScorer
) -> None:
    assert (
        record(RouterChain(pool=litellm_pool("big"), scorer=scorer).invoke("x"))["saved_usd"] == 0
    )


def test_a_new_scorer_takes_effect(router: RouterChain) -> None:
    assert router.decide("hello").router == "word 1"
    router.scorer = "static"
    assert router.decide("hello").router.startswith("static")


class Broken(WordScorer):
    name = "broken"

    def estimate(self, prompts: Any, pool: Any) -> Any:
        raise ZeroDivisionError


def test_a_scorer_that_breaks_does_not_take_the_answer_with_it(pool: ModelPool) -> None:
    router = RouterChain(pool=pool, scorer=Broken())
    with pytest.warns(UserWarning, match="'broken' failed with ZeroDivisionError"):
        answer = router.invoke("hello")
    assert record(answer)["answered_by"] == "big"
    assert "The scorer failed" in record(answer)["reason"]
    assert record(answer)["estimates"] == {}


def test_something_that_is_no_scorer_is_refused(pool: ModelPool) -> None:
    with pytest.raises(ValueError, match="estimate"):
        RouterChain(pool=pool, scorer=object())


async def test_generate_routes_each_list_of_messages(router: RouterChain) -> None:
    lists = [[HumanMessage("hello")], [HumanMessage("a hard one")]]
    one, other = uuid4(), uuid4()
    for result in (
        router.generate(lists, run_id=one),
        await router.agenerate(lists, run_id=other),
    ):
        assert result.run is not None
        assert len({run.run_id for run in result.run} | {one, other}) == 3
        answered = [record(row[0].message)["answered_by"] for row in result.generations]
        assert answered == ["small", "big"]
        assert result.run is not None
        assert len(result.run) == 2


async def test_private_methods_route_too(router: RouterChain) -> None:
    messages = [HumanMessage("a hard one")]
    for result in (router._generate(messages), await router._agenerate(messages)):
        assert record(result.generations[0].message)["answered_by"] == "big"


def test_many_threads_on_one_router_get_their_own_answers(
    router: RouterChain, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error(), times=5)
    router.max_retries, router.cooldown = 0, None
    answers = router.batch([f"question{i}" for i in range(60)], {"max_concurrency": 16})
    assert all(f"question{i}" in a.content for i, a in enumerate(answers))
    assert Counter(record(a)["answered_by"] for a in answers) == {"small": 55, "medium": 5}
    assert threading.active_count() < 100


def test_keys_and_prompts_are_in_no_log(
    router: RouterChain, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.fail("small", Fault.server_error())
    with caplog.at_level(logging.DEBUG, logger="llmroute"):
        router.invoke("my secret prompt")
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("llmroute")]
    assert not [text for text in ours if "secret" in text or KEY in text]


def test_a_router_can_be_copied_and_pickled_after_it_has_decided(litellm_pool: MakePool) -> None:
    router = RouterChain(pool=litellm_pool("small", "big"), scorer="static")
    first = router.decide("hello").chosen
    for copied in (copy.deepcopy(router), pickle.loads(pickle.dumps(router))):
        assert copied.decide("hello").chosen == first
    assert router.decide("hello").chosen == first


def test_errors_can_be_pickled() -> None:
    last = RateLimited("busy", model="small", status=429)
    for error in (NoEligibleModel({"a": "why"}), AllModelsFailed([], last), last):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
