"""What a trace shows of a routed call, and what an observer is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from pydantic import BaseModel

from llmroute import Decision, ModelPool, RouterChain
from llmroute.errors import AllModelsFailed, NoEligibleModel, StreamInterrupted
from llmroute.state.observers import Observer
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import WordScorer

MakePool = Callable[..., ModelPool]


class Trace(BaseTracer):
    """Keeps finished traces, as LangSmith's tracer sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)


class Diary:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.records: list[Decision] = []

    def begin(self, decision: Decision) -> Diary:
        self.lines.append(f"begin {decision.chosen}")
        return self

    @contextmanager
    def active(self) -> Iterator[None]:
        self.lines.append("enter")
        yield
        self.lines.append("leave")

    def ended(self, decision: Decision) -> None:
        self.lines.append(f"ended {decision.answered_by}")
        self.records.append(decision)

    def failed(self, decision: Decision, error: BaseException) -> None:
        self.lines.append(f"failed {type(error).__name__}")


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def router(litellm_pool: MakePool, diary: Diary) -> RouterChain:
    return RouterChain(
        pool=litellm_pool(), scorer=WordScorer(), escalation=None, max_retries=0, observers=(diary,)
    )


class TestTheDecisionsSpan:
    def chain(self, router: RouterChain) -> Any:
        return RunnableLambda(lambda text: text) | router

    async def test_stands_beside_the_calls_it_led_to(
        self, router: RouterChain, provider: ScriptedProvider
    ) -> None:
        for call in ("invoke", "ainvoke"):
            trace = Trace()
            provider.fail("small", Fault.server_error())
            came = getattr(self.chain(router), call)("hello", {"callbacks": [trace]})
            if call == "ainvoke":
                await came
            (root,) = trace.roots
            spans = [(run.name, run.run_type) for run in root.child_runs][1:]
            assert spans[0] == ("llmroute.decide", "chain")
            assert [kind for _, kind in spans[1:]] == ["llm", "llm"]
            told = root.child_runs[1].outputs
            assert told is not None
            assert told["chosen"] == "small"
            assert "hello" not in str(told)
            assert root.child_runs[1].inputs in ({}, {"input": {}}, {"input": ""})
            metadata = [run.extra["metadata"] for run in root.child_runs[2:]]
            assert [m["llmroute_model"] for m in metadata] == ["small", "medium"]

    async def test_is_no_event_of_the_chains(self, router: RouterChain) -> None:
        events = [e async for e in self.chain(router).astream_events("hello", version="v2")]
        assert "llmroute.decide" not in {e["name"] for e in events}

    async def test_is_no_entry_of_a_chains_log(self, router: RouterChain) -> None:
        log = [str(patch) async for patch in self.chain(router).astream_log("hello")]
        assert "llmroute.decide" not in "".join(log)

    def test_leaves_listeners_and_histories_alone(self, router: RouterChain) -> None:
        kept = InMemoryChatMessageHistory()
        chat = RunnableWithMessageHistory(router, lambda session_id: kept)
        config: Any = {"configurable": {"session_id": "s"}}
        chat.invoke([HumanMessage("hello")], config)
        chat.invoke([HumanMessage("and again")], config)
        assert [message.type for message in kept.messages] == ["human", "ai", "human", "ai"]
        heard: list[str] = []
        router.with_listeners(on_end=lambda run: heard.append(run.run_type)).invoke("hello")
        assert heard == ["chat_model"]

    def test_begins_no_trace_of_its_own(self, router: RouterChain) -> None:
        trace = Trace()
        router.invoke("hello", {"callbacks": [trace]})
        assert [run.run_type for run in trace.roots] == ["llm"]

    def test_says_why_there_was_no_decision(self, router: RouterChain) -> None:
        trace = Trace()
        config: Any = {"callbacks": [trace], "configurable": {"llmroute_cost": 0}}
        with pytest.raises(NoEligibleModel):
            self.chain(router).invoke("hello", config)
        assert "NoEligibleModel" in (trace.roots[0].child_runs[1].error or "")


class TestAnObserver:
    async def test_is_told_of_every_way_to_call(self, router: RouterChain, diary: Diary) -> None:
        assert isinstance(diary, Observer)
        router.invoke("hello")
        await router.ainvoke("hello")
        list(router.stream("hello"))
        _ = [c async for c in router.astream("hello")]
        router.generate([[HumanMessage("hello")]])
        assert diary.lines == ["begin small", "enter", "leave", "ended small"] * 5
        assert all(r.cost_usd and r.calls for r in diary.records)

    def test_is_told_of_a_parsed_stream(self, router: RouterChain, diary: Diary) -> None:
        class Joke(BaseModel):
            setup: str
            punchline: str

        list(router.with_structured_output(Joke).stream("hello"))
        assert diary.lines[-1] == "ended small"

    async def test_is_told_of_a_stream_of_content_blocks(
        self, router: RouterChain, diary: Diary
    ) -> None:
        assert router.stream_events("hello", version="v3").output.content
        stream = await router.astream_events("hello", version="v3")
        assert (await stream.output).content
        assert diary.lines.count("ended small") == 2

    def test_is_told_of_a_failure_once(
        self, router: RouterChain, diary: Diary, provider: ScriptedProvider
    ) -> None:
        for model in ("small", "medium", "big"):
            provider.fail(model, Fault.server_error())
        with pytest.raises(AllModelsFailed):
            router.invoke("hello")
        assert diary.lines == ["begin small", "enter", "failed AllModelsFailed"]

    def test_is_told_of_a_stream_that_broke(
        self, router: RouterChain, diary: Diary, provider: ScriptedProvider
    ) -> None:
        provider.fail("small", Fault.cut_stream(after=2))
        with pytest.raises(StreamInterrupted):
            list(router.stream("hello"))
        assert diary.lines[-1] == "failed StreamInterrupted"

    def test_that_raises_is_heard_as_itself_and_the_others_are_told(
        self, router: RouterChain, diary: Diary
    ) -> None:
        class Ledger(Diary):
            def ended(self, decision: Decision) -> None:
                raise ConnectionError("the ledger's database is down")

        router.observers = (Ledger(), diary)
        for call in (router.invoke, lambda text: list(router.stream(text))):
            with pytest.raises(ConnectionError, match="ledger"):
                call("hello")
        assert diary.lines.count("ended small") == 2

    def test_is_told_of_a_stream_that_was_left(self, router: RouterChain, diary: Diary) -> None:
        stream = router.stream("hello")
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert diary.lines[-1] == "ended small"
        assert diary.records[-1].calls[-1].cost_is_estimated
