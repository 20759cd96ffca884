"""What a review of calls that nobody sees found wanting: of each finding, what is so now."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from llmroute import Disagreement, Model, ModelPool, RouterChain
from llmroute.engine.call_results import failed, succeeded
from llmroute.engine.drivers import adrive, drive
from llmroute.engine.flow import Answered, Ask, CallResult, Flow, Together
from llmroute.errors import StreamInterrupted
from llmroute.escalation.prompts import STYLES
from llmroute.evaluation.recorded_provider import Records
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.table import Samples
from llmroute.records import Purpose
from llmroute.request.request import Variation, read_request
from llmroute.testing import Fault, ScriptedProvider, ToolCall
from llmroute.testing import Reply as Said

from .conftest import Stage, asked, pool_of
from .test_nothing_rejected_is_seen import accepts, rejects

Router = Callable[..., RouterChain]

QUESTION = "How much is 6 * 7?"


class Sum(BaseModel):
    """A sum."""

    total: int


class Runs(BaseCallbackHandler):
    """Notes the ids of the runs it is told of."""

    def __init__(self) -> None:
        self.ids: list[uuid.UUID] = []

    def on_chat_model_start(self, *args: Any, run_id: uuid.UUID, **kwargs: Any) -> None:
        self.ids.append(run_id)


def record(answer: AIMessage) -> dict[str, Any]:
    found: dict[str, Any] = answer.response_metadata["llmroute"]
    return found


# ---- drafts of structured output


def test_a_draft_that_holds_nothing_of_the_schema_is_not_the_answer(
    router: Router, theatre: ScriptedProvider, stage: Stage
) -> None:
    stage.says("small", "I cannot do that.")
    stage.says("big", Said(tool_calls=[ToolCall("Sum", {"total": 42})]))
    chain = router(accepts).with_structured_output(Sum, method="function_calling")
    assert chain.invoke(QUESTION) == Sum(total=42)
    assert asked(theatre)[0] == "small"
    assert asked(theatre)[-1] == "big"


def test_a_draft_that_does_not_fit_the_schema_is_billed_by_its_tokens(
    router: Router, theatre: ScriptedProvider, stage: Stage
) -> None:
    stage.says("small", Said(tool_calls=[ToolCall("Sum", {"total": "x"})]))
    stage.says("medium", Said(tool_calls=[ToolCall("Sum", {"total": 42})]))
    chain = router(accepts).with_structured_output(Sum, method="function_calling", include_raw=True)
    draft = record(chain.invoke(QUESTION)["raw"])["calls"][0]
    assert (draft["model"], draft["status"]) == ("small", "malformed")
    assert draft["completion_tokens"] > 0
    assert draft["cost_usd"] > 0
    assert not draft["cost_is_estimated"]


@pytest.mark.parametrize("n", [1, 2])
async def test_structured_output_takes_n(router: Router, stage: Stage, n: int) -> None:
    stage.says("small", '{"total": 42}')
    chain = router(accepts).with_structured_output(Sum, method="json_schema")
    assert chain.invoke(QUESTION, n=n) == Sum(total=42)
    assert await chain.ainvoke(QUESTION, n=n) == Sum(total=42)


# ---- samples


@pytest.fixture
def cache_of_all() -> Iterator[None]:
    """LangChain's global cache."""
    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(before)


@pytest.mark.usefixtures("cache_of_all")
def test_a_sample_never_comes_from_the_global_cache(
    router: Router, theatre: ScriptedProvider
) -> None:
    router(Disagreement(samples=3, agree=1.0)).invoke(QUESTION)
    assert asked(theatre) == ["small"] * 3


def test_a_sample_never_comes_from_the_routers_cache_and_a_draft_may(
    router: Router, theatre: ScriptedProvider
) -> None:
    chain = router(Disagreement(samples=3, agree=1.0), cache=InMemoryCache())
    chain.invoke(QUESTION)
    assert asked(theatre) == ["small"] * 3
    chain.invoke(QUESTION)
    assert asked(theatre) == ["small"] * 5


@pytest.mark.parametrize("kind", ["litellm", "openai"])
def test_an_answer_chosen_among_several_of_one_call_counts_its_own_share(
    theatre: ScriptedProvider, stage: Stage, router: Router, kind: str
) -> None:
    stage.says("small", "The answer is 41.", *["The answer is 42."] * 4)
    pool = pool_of(theatre, kind, capabilities={"several": True})
    chain = router(Disagreement(samples=5, together=True)).model_copy(update={"pool": pool})
    answer = chain.invoke(QUESTION)
    assert answer.text == "The answer is 42."
    (samples,) = [c for c in record(answer)["calls"] if c["purpose"] == "sample"]
    assert theatre.requests[-1].body["n"] == 4
    usage = answer.usage_metadata
    assert usage is not None
    assert usage["output_tokens"] == round(samples["completion_tokens"] / 4)
    assert usage["input_tokens"] == samples["prompt_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


# ---- runs


@pytest.mark.parametrize("rule", [rejects, Disagreement(samples=3)], ids=["rejected", "sampled"])
def test_the_callers_run_id_is_the_first_calls_alone(router: Router, rule: Any) -> None:
    given, runs = uuid.uuid4(), Runs()
    router(rule).invoke(QUESTION, {"callbacks": [runs], "run_id": given})
    assert len(runs.ids) > 1
    assert runs.ids[0] == given
    assert len(set(runs.ids)) == len(runs.ids)


async def test_a_call_that_is_tried_again_is_a_run_of_its_own(
    router: Router, theatre: ScriptedProvider
) -> None:
    given, runs = uuid.uuid4(), Runs()
    theatre.fail("small", Fault.rate_limit(0.01))
    config: Any = {"callbacks": [runs], "run_id": given}
    await router(rejects, max_retries=1).ainvoke(QUESTION, config)
    assert runs.ids.count(given) == 1
    assert runs.ids[0] == given
    assert len(set(runs.ids)) == 3


async def test_who_watches_the_words_finds_the_answer_under_the_callers_run_id(
    router: Router, stage: Stage
) -> None:
    given, runs = uuid.uuid4(), Runs()
    config: Any = {"callbacks": [runs], "run_id": given}
    events = [e async for e in router(rejects).astream_events(QUESTION, config, version="v2")]
    assert {event["run_id"] for event in events} == {str(given)}
    said = [e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream"]
    assert "".join(said) == "The answer is 42."
    assert len(runs.ids) == 2
    assert runs.ids[0] != given
    assert runs.ids[1] == given


@pytest.mark.parametrize("name", ["mine", None])
async def test_an_accepted_draft_is_told_of_under_the_callers_name(
    router: Router, name: str | None
) -> None:
    config: Any = {"run_name": name} if name else {}
    observed = router(accepts).astream_events(
        QUESTION, config, version="v2", include_names=[name or "RouterChain"]
    )
    events = [event["event"] async for event in observed]
    assert events[:2] == ["on_chat_model_start", "on_chat_model_stream"]


# ---- errors


@pytest.mark.parametrize("hidden", [True, False])
def test_a_drafts_words_do_not_ride_along_in_errors(hidden: bool, pool: ModelPool) -> None:
    ask = Ask("small", "draft" if hidden else "answer", hidden=hidden)
    cut = AIMessage("Half an", response_metadata={"model_provider": "openai"})
    error = StreamInterrupted("cut", partial="Half an")
    replies = [
        succeeded(cut, ask, 0.0, read_request([], {})),
        failed(error, ask, 0.0, pool["small"], None),
    ]
    for result in replies:
        assert isinstance(result.error, StreamInterrupted)
        assert result.error.partial == ("" if hidden else "Half an")


@pytest.mark.parametrize("rule", [None, accepts], ids=["visible", "hidden"])
async def test_a_members_stop_iteration_is_a_bug_and_not_the_end(rule: Any) -> None:
    exhausted = GenericFakeChatModel(messages=iter([]))
    member = Model("small", chat_model=exhausted, input_price=1, output_price=1)
    chain = RouterChain(pool=[member], escalation=rule)
    with pytest.raises(RuntimeError, match="StopIteration"):
        chain.invoke(QUESTION)
    with pytest.raises(RuntimeError):  # in LangChain's words
        await chain.ainvoke(QUESTION)


# ---- calls made together

BOTH = (Ask("small", "sample", hidden=True), Ask("big", "sample", hidden=True))


def both() -> Flow:
    replies = yield Together(BOTH)
    return Answered(BOTH[0], replies[0])


async def test_when_one_call_breaks_the_others_are_stopped() -> None:
    ended: list[str] = []

    async def perform(ask: Ask) -> CallResult:
        if ask.model == "small":
            raise ZeroDivisionError
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ask.model)
        return CallResult(0.0)

    with pytest.raises(ZeroDivisionError):
        await adrive(both(), perform)
    assert ended == ["big"]


def test_calls_can_be_made_in_order_instead() -> None:
    calls: list[tuple[str, threading.Thread]] = []

    def perform(ask: Ask) -> CallResult:
        calls.append((ask.model, threading.current_thread()))
        return CallResult(0.0, ask.model)

    assert drive(both(), perform, together=map).result.value == "small"
    assert calls == [(ask.model, threading.current_thread()) for ask in BOTH]


# ---- samples in a replay


def recorded(*styles: str) -> Records:
    """Two samples of one prompt in each of two styles."""
    samples = Samples(
        models=("small",),
        styles=styles,
        prompt=np.zeros(4, dtype=np.int64),
        model=np.zeros(4, dtype=np.int64),
        style=np.array([0, 0, 1, 1]),
        result=np.array(["a1", "a2", "b1", "b2"], dtype=object),
        score=np.array([1.0, 1.0, 0.0, 0.0]),
    )
    outcomes = Outcomes(
        prompts=(QUESTION,),
        prompt_ids=("q",),
        categories=("sums",),
        models=("small",),
        score=np.array([[1.0]]),
        cost=np.array([[1.0]]),
        samples=samples,
    )
    return Records(outcomes, 0)


def drawn(records: Records, *styles: str) -> list[str]:
    purpose: Purpose = "sample"
    asks = [Ask("small", purpose, hidden=True, variation=Variation(style=s)) for s in styles]
    return [records.result(ask).value.text for ask in asks]


def test_samples_are_drawn_in_their_style_where_it_was_recorded() -> None:
    assert drawn(recorded("", "steps"), "", STYLES["steps"], "", STYLES["steps"]) == [
        "a1",
        "b1",
        "a2",
        "b2",
    ]


def test_no_sample_is_drawn_twice_where_styles_have_other_names() -> None:
    assert drawn(recorded("cot1", "pot1"), "", STYLES["steps"], "", STYLES["steps"]) == [
        "a1",
        "a2",
        "b1",
        "b2",
    ]
