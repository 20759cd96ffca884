"""A stream's chunks with the record on them, without any network."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult

from llmroute import Model, ModelPool
from llmroute.engine.call_results import succeeded
from llmroute.engine.flow import Answered, Ask, CallResult
from llmroute.engine.messages import is_cut_short, message_in, read_usage, usage_of, with_record
from llmroute.engine.streaming import Opened, StreamRecord, aopen_stream, open_stream
from llmroute.errors import EmptyAnswer, MalformedAnswer, StreamInterrupted
from llmroute.records import CallRecord
from llmroute.request.request import BoundSchema, read_request
from llmroute.state.observers import Watching
from tests.test_flow import POOL, decision

ASK = Ask("small", "answer")


def usage(prompt: int, completion: int, cached: int = 0) -> Any:
    return {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
        "input_token_details": {"cache_read": cached},
    }


def chunks(*, marked: bool = True) -> list[AIMessageChunk]:
    """Nothing, two words, the reason to end, and the usage."""
    return [
        AIMessageChunk("", id="run-1"),
        AIMessageChunk("It", id="run-1", usage_metadata=usage(100, 0, 40)),
        AIMessageChunk(" is.", response_metadata={"model_provider": "openai"}),
        AIMessageChunk("", response_metadata={"finish_reason": "stop", "model_name": "small-2"}),
        AIMessageChunk("", usage_metadata=usage(0, 5), chunk_position="last" if marked else None),
    ]


class Ledger:
    """An observer that notes how requests ended."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def begin(self, decision: Any) -> Ledger:
        return self

    def ended(self, decision: Any) -> None:
        self.ends.append(decision)

    def failed(self, decision: Any, error: BaseException) -> None:
        self.ends.append(error)


def stream_record(ledger: Ledger | None = None, *, latency: float = 2.0) -> StreamRecord:
    made = decision("small", "big")
    answered = Answered(ASK, CallResult(latency, Opened([], iter(()))))
    return StreamRecord(answered, made, POOL, Watching([ledger or Ledger()], made))


def summed(parts: list[AIMessageChunk]) -> dict[str, Any]:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    found: dict[str, Any] = whole.response_metadata["llmroute"]
    return found


class TestTheRecordOfAStream:
    def test_is_of_all_its_chunks(self) -> None:
        record = stream_record()
        parts = [record.annotate(chunk) for chunk in chunks()]
        assert ["llmroute" in part.response_metadata for part in parts] == [
            True,
            *[False] * 3,
            True,
        ]
        assert record.final_chunk() is None
        (call,) = summed(parts)["calls"]
        assert (call["prompt_tokens"], call["completion_tokens"]) == (100, 5)
        assert (call["cached_tokens"], call["answered_by"]) == (40, "small-2")
        assert call["cost_usd"] == pytest.approx((60 * 1 + 40 * 0.5 + 5 * 2) / 1e6)
        assert call["accepted"]
        # From the call's start, before the stream was opened, to its end.
        assert 2.0 <= call["latency_s"] < 3.0

    def test_comes_on_a_last_chunk_of_its_own_where_the_stream_marks_none(self) -> None:
        record = stream_record()
        parts = [record.annotate(chunk) for chunk in chunks(marked=False)]
        last = record.final_chunk()
        assert last is not None
        assert (last.content, last.id, last.chunk_position) == ("", "run-1", "last")
        assert summed([*parts, last])["total_completion_tokens"] == 5
        assert record.final_chunk() is None
        assert stream_record().final_chunk() is None  # nothing was streamed at all

    def test_is_on_a_whole_message_at_once(self) -> None:
        whole = AIMessage("It is.", usage_metadata=usage(100, 5))
        raw = stream_record().annotate({"raw": whole, "parsed": 1})
        for marked in (stream_record().annotate(whole), raw["raw"]):
            bill = marked.response_metadata["llmroute"]
            assert (bill["chosen"], bill["answered_by"]) == ("small", "small")
            assert bill["calls"][0]["prompt_tokens"] == 100
        assert raw["parsed"] == 1
        assert "llmroute" not in whole.response_metadata
        assert stream_record().annotate("parsed") == "parsed"

    def test_tells_of_a_cut_by_a_provider_that_gives_reasons(self) -> None:
        record = stream_record()
        for chunk in chunks()[:3]:
            record.annotate(chunk)
        with pytest.raises(StreamInterrupted, match="without a finish reason"):
            record.annotate(AIMessageChunk("", chunk_position="last"))
        unknown = stream_record()
        unknown.annotate(AIMessageChunk("It"))
        assert unknown.annotate(AIMessageChunk("", chunk_position="last")).response_metadata

    def test_holds_what_came_before_a_break(self) -> None:
        ledger = Ledger()
        record = stream_record(ledger)
        for chunk in chunks()[:3]:
            record.annotate(chunk)
        error = record.interrupted(httpx.RemoteProtocolError("peer closed"))
        assert isinstance(error, StreamInterrupted)
        assert (error.partial, error.model) == ("It is.", "small")
        (call,) = error.calls
        assert (call.status, call.prompt_tokens, call.cached_tokens) == ("interrupted", 100, 40)
        record.finish()
        assert ledger.ends == [error]

    @pytest.mark.parametrize("status", [500, None])
    def test_a_break_of_another_kind_is_one_too(self, status: int | None) -> None:
        failure = RuntimeError("busy")
        failure.status_code = status  # type: ignore[attr-defined]
        ledger = Ledger()
        error = stream_record(ledger).interrupted(failure)
        if status is None:  # no provider's: a bug, which is raised as it is
            assert error is failure
        else:
            assert isinstance(error, StreamInterrupted)
            assert (error.status, error.model, error.partial) == (500, "small", "")
        assert ledger.ends == [error]

    def test_tells_no_key_of_the_member(self) -> None:
        secret = "sk-not-to-be-told-0123456789"
        pool = ModelPool([Model("small", api_key=secret), *list(POOL)[1:]])
        made = decision("small", "big")
        answered = Answered(ASK, CallResult(0.1))
        record = StreamRecord(answered, made, pool, Watching([], made))
        error = record.interrupted(httpx.RemoteProtocolError(f"refused {secret}"))
        assert secret not in str(error)
        assert "refused" in str(error)

    def test_is_told_once_when_nobody_reads_on(self) -> None:
        ledger = Ledger()
        record = stream_record(ledger)
        record.annotate(chunks()[1])
        record.finish()
        record.finish()
        (ended,) = ledger.ends
        assert ended.calls[0].prompt_tokens == 100
        assert ended.answered_by == "small"

    def test_of_a_draft_that_was_accepted_is_the_drafts_own(self) -> None:
        draft = CallRecord(model="small", purpose="draft", status="ok", latency_s=1, cost_usd=0.5)
        made = decision("small", "big")
        answered = Answered(ASK, CallResult(0.1), [draft], accepted=draft)
        record = StreamRecord(answered, made, POOL, Watching([], made))
        (part,) = [record.annotate(AIMessageChunk("It is.", chunk_position="last"))]
        (call,) = part.response_metadata["llmroute"]["calls"]
        assert (call["purpose"], call["accepted"], call["cost_usd"]) == ("draft", True, 0.5)


class TestTheBeginningOfAStream:
    def test_is_pulled_up_to_the_first_content(self) -> None:
        source = iter(chunks())
        opened = open_stream(source)
        assert (len(opened.leading), opened.is_empty) == (2, False)
        assert "".join(chunk.text for chunk in opened) == "It is."
        raw = [{"raw": AIMessageChunk("")}, {"raw": AIMessageChunk("x")}, {"parsed": 1}]
        assert len(open_stream(iter(raw)).leading) == 2
        assert len(open_stream(iter([{"parsed": None, "raw": None}])).leading) == 1

    async def test_is_pulled_on_an_event_loop_too(self) -> None:
        async def source() -> AsyncIterator[AIMessageChunk]:
            for chunk in chunks():
                yield chunk

        opened = await aopen_stream(source())
        assert (len(opened.leading), opened.is_empty) == (2, False)
        assert "".join([chunk.text async for chunk in opened]) == "It is."
        await opened.aclose()

    async def test_is_its_end_where_it_holds_nothing(self) -> None:
        opened = open_stream(iter(chunks()[:1]))
        assert (len(opened.leading), opened.is_empty) == (1, True)

        async def nothing() -> AsyncIterator[AIMessageChunk]:
            yield chunks()[0]

        assert (await aopen_stream(nothing())).is_empty
        opened.close()  # an iterator that cannot be closed is left alone
        await opened.aclose()

    def test_is_closed_with_the_members_stream(self) -> None:
        closed = []

        def source() -> Iterator[AIMessageChunk]:
            try:
                yield from chunks()
            finally:
                closed.append(True)

        opened = open_stream(source())
        opened.close()
        assert closed == [True]


class TestWhatACallReturned:
    request = read_request([], {})

    def came(self, value: Any, ask: Ask = ASK, **settings: Any) -> CallResult:
        request = settings.pop("request", self.request)
        return succeeded(value, ask, time.perf_counter() - 2, request, **settings)

    def test_is_a_stream_that_has_begun(self) -> None:
        opened = open_stream(iter(chunks()))
        result = self.came(opened)
        assert (result.value, result.error, result.usage) == (opened, None, None)
        assert 2.0 <= result.latency_s < 3.0

    def test_is_a_stream_with_nothing_in_it(self) -> None:
        ended = AIMessageChunk("", response_metadata={"finish_reason": "stop"})
        counted = [AIMessageChunk("", usage_metadata=usage(7, 1, 3))] * 2
        empty = open_stream(iter([*counted, ended]))
        result = self.came(empty)
        assert result.error is None
        assert (result.usage.prompt_tokens, result.usage.cached_tokens) == (14, 6)
        assert isinstance(self.came(empty, empty_stream_fails=True).error, EmptyAnswer)
        cut = self.came(open_stream(iter(counted)))
        assert isinstance(cut.error, StreamInterrupted)
        assert (cut.error.model, cut.usage.completion_tokens) == ("small", 2)

    def test_is_an_answer(self) -> None:
        answer = AIMessage(
            "It is.", usage_metadata=usage(7, 1, 3), response_metadata={"model_name": "small-2"}
        )
        result = self.came(answer)
        assert (result.value, result.answered_by, result.error) == (answer, "small-2", None)
        assert result.usage.cached_tokens == 3
        assert 2.0 <= result.latency_s < 3.0
        assert isinstance(self.came(AIMessage("")).error, EmptyAnswer)

    def test_is_one_that_does_not_fit_the_schema(self) -> None:
        request = read_request([], {}, BoundSchema.of({"title": "Sum"}), {})
        whole = {"raw": AIMessage("{}"), "parsed": None}
        draft = Ask("small", "draft", hidden=True)
        assert isinstance(self.came(None, request=request).error, MalformedAnswer)
        assert isinstance(self.came(whole, draft, request=request).error, MalformedAnswer)
        assert self.came(whole, request=request).error is None  # the user asked for it raw
        assert self.came({"total": 1}, request=request).error is None
        assert self.came({"total": 1}).usage is None

    def test_are_several_answers_of_one_call_that_share_its_output(self) -> None:
        first = AIMessage("a", usage_metadata=usage(7, 5, 3))
        draft = Ask("small", "sample", hidden=True)
        result = self.came([first, AIMessage("b")], draft)
        shares = [message.usage_metadata for message in result.value]
        assert [share["output_tokens"] for share in shares] == [2, 2]
        assert [share["total_tokens"] for share in shares] == [9, 9]
        assert shares[1]["input_token_details"] == {"cache_read": 3}
        assert result.usage.completion_tokens == 5
        assert self.came([first]).value == [first]
        uncounted = [AIMessage("a"), AIMessage("b")]
        assert self.came(uncounted, draft).value == uncounted


def test_usage_is_read_and_added_up() -> None:
    assert read_usage(None) is None
    told = read_usage({"input_tokens": 3, "output_tokens": 2, "total_tokens": 5})
    assert (told.prompt_tokens, told.completion_tokens, told.cached_tokens) == (3, 2, 0)
    assert not told.from_cache
    none = {**usage(3, 2), "input_token_details": {"cache_read": None}, "total_cost": 0}
    assert read_usage(none).cached_tokens == 0
    assert read_usage(none).from_cache
    parts = [{"parsed": 1}, *chunks()]
    assert usage_of(parts) == read_usage(usage(100, 5, 40))
    assert usage_of(chunks()[:1]) is None


def test_a_stream_without_content_is_cut_short_where_nothing_says_why_it_ended() -> None:
    for name in ("finish_reason", "status", "stop_reason", "stopReason", "done_reason"):
        said = AIMessageChunk("", response_metadata={name: "stop"})
        assert not is_cut_short([AIMessageChunk(""), said])
        assert not is_cut_short([said, AIMessageChunk("")])
    assert is_cut_short([AIMessageChunk(""), {"finish_reason": "stop"}])
    assert is_cut_short([])


def test_the_message_of_whatever_was_returned_carries_the_record() -> None:
    message, other = AIMessage("a", response_metadata={"id": 1}), AIMessage("b")
    results = [
        message,
        {"raw": message, "parsed": 1},
        [message, other],
        ChatResult(generations=[ChatGeneration(message=message), ChatGeneration(message=other)]),
        LLMResult(generations=[[ChatGeneration(message=message), ChatGeneration(message=other)]]),
    ]
    for value in results:
        assert message_in(value) is message
        marked = message_in(with_record(value, {"chosen": "small"}))
        assert marked.response_metadata == {"id": 1, "llmroute": {"chosen": "small"}}
    assert message.response_metadata == {"id": 1}
    assert with_record([message, other], {})[1] is other
    assert with_record({"raw": message, "parsed": 1}, {})["parsed"] == 1
    for value in (None, [], "parsed", {"parsed": 1}, 3):
        assert message_in(value) is None
        assert with_record(value, {"chosen": "small"}) == value
