"""One span a request, in the words of the conventions, whatever happened on the way."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from llmroute import ModelPool, RouterChain, SelfVerify
from llmroute.errors import AllModelsFailed, StreamInterrupted
from llmroute.otel import Telemetry
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import KEY, WordScorer

MakePool = Callable[..., ModelPool]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracers(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def router(litellm_pool: MakePool, tracers: TracerProvider) -> RouterChain:
    return RouterChain(
        pool=litellm_pool(),
        scorer=WordScorer(),
        max_retries=0,
        escalation=None,
        observers=(Telemetry(tracers),),
    )


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    exporter.clear()
    return span


async def test_the_conventions_attributes(
    router: RouterChain, exporter: InMemorySpanExporter
) -> None:
    config: Any = {"configurable": {"thread_id": "t1"}}
    answers = [
        router.invoke("hello", config),
        await router.ainvoke("hello", config),
        _added(list(router.stream("hello", config))),
        _added([chunk async for chunk in router.astream("hello", config)]),
    ]
    spans = exporter.get_finished_spans()
    assert len(spans) == len(answers)
    for span, answer in zip(spans, answers, strict=True):
        seen = dict(span.attributes or {})
        assert (span.name, span.kind) == ("chat small", SpanKind.CLIENT)
        assert seen["gen_ai.operation.name"] == "chat"
        assert seen["gen_ai.conversation.id"] == "t1"
        assert seen["gen_ai.request.model"] == seen["gen_ai.response.model"] == "small"
        assert seen["gen_ai.usage.input_tokens"] == answer.usage_metadata["input_tokens"]
        assert seen["gen_ai.usage.output_tokens"] == answer.usage_metadata["output_tokens"]
        assert seen["llmroute.policy"] == "CheapestAbove"
        record = answer.response_metadata["llmroute"]
        assert seen["llmroute.cost_usd"] == record["cost_usd"]
        assert span.status.status_code is StatusCode.UNSET


def _added(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return whole


def test_one_span_covers_all_attempts(
    router: RouterChain, exporter: InMemorySpanExporter, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error())
    router.invoke("hello")
    span = only(exporter)
    seen = dict(span.attributes or {})
    assert seen["gen_ai.request.model"] == "small"
    assert seen["llmroute.answered_by"] == seen["gen_ai.response.model"] == "medium"
    attempts = [dict(event.attributes or {}) for event in span.events]
    assert [a["llmroute.status"] for a in attempts] == ["unavailable", "ok"]
    assert attempts[0]["http.response.status_code"] == 500


def test_usage_is_of_the_call_whose_answer_was_returned(
    router: RouterChain, exporter: InMemorySpanExporter
) -> None:
    escalation = SelfVerify(below=0.0)
    checked = RouterChain(
        pool=router.pool,
        scorer=WordScorer(),
        escalation=escalation,
        observers=router.observers,
    )
    answer = checked.invoke("hello")
    purposes = [call["purpose"] for call in answer.response_metadata["llmroute"]["calls"]]
    assert purposes == ["draft", "verify"]
    seen = dict(only(exporter).attributes or {})
    assert answer.usage_metadata is not None
    assert seen["gen_ai.usage.output_tokens"] == answer.usage_metadata["output_tokens"]


def test_a_router_with_telemetry_can_be_copied(litellm_pool: MakePool) -> None:
    router = RouterChain(pool=litellm_pool(), observers=(Telemetry(),))
    assert copy.deepcopy(router).observers
    assert pickle.loads(pickle.dumps(router.observers))


def test_a_request_that_fails_is_an_error(
    router: RouterChain, exporter: InMemorySpanExporter, provider: ScriptedProvider
) -> None:
    for model in ("small", "medium", "big"):
        provider.fail(model, Fault.server_error())
    with pytest.raises(AllModelsFailed):
        router.invoke("hello")
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "AllModelsFailed"
    assert len(span.events) == 3


def test_a_stream_that_breaks_is_one_too(
    router: RouterChain, exporter: InMemorySpanExporter, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.cut_stream(after=2))
    with pytest.raises(StreamInterrupted):
        list(router.stream("hello"))
    span = only(exporter)
    assert dict(span.attributes or {})["error.type"] == "StreamInterrupted"


async def test_what_is_called_meanwhile_is_below_it(
    litellm_pool: MakePool, exporter: InMemorySpanExporter, tracers: TracerProvider
) -> None:
    def answers(message: Any) -> bool:
        with tracers.get_tracer("inner").start_as_current_span("inner"):
            return False

    router = RouterChain(
        pool=litellm_pool(),
        scorer=WordScorer(),
        escalation=answers,
        observers=(Telemetry(tracers),),
    )
    with tracers.get_tracer("outer").start_as_current_span("outer"):
        router.invoke("hello")
        await router.ainvoke("hello")
    spans = {span.context.span_id: span for span in exporter.get_finished_spans() if span.context}
    parents = {span.name: spans[span.parent.span_id].name for span in spans.values() if span.parent}
    assert parents == {"inner": "chat small", "chat small": "outer"}


def test_neither_keys_nor_words_are_in_a_span(
    router: RouterChain, exporter: InMemorySpanExporter, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error())
    router.invoke("my secret words")
    provider.fail("small", Fault.unauthorized())
    with pytest.raises(Exception, match="key"):
        router.invoke("my secret words")
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "secret words" not in told
    assert KEY not in told
