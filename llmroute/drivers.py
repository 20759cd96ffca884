"""The doing: two thin drivers of the flow, and how one call becomes a reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from itertools import chain
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.runnables.config import ContextThreadPoolExecutor

from llmroute.decision import CallRecord, Decision
from llmroute.errors import EmptyAnswer, MalformedAnswer, ProviderError, StreamInterrupted
from llmroute.failures import secrets_in, translate
from llmroute.flow import (
    Answered,
    Ask,
    Flow,
    Reply,
    Together,
    Usage,
    Wait,
    call_record,
    complete,
)
from llmroute.observing import Watching
from llmroute.pool import Model, ModelPool
from llmroute.request import Request

#: Where chat models say why an answer ended, by the protocol of their provider. OpenAI has two.
_FINISH = {"openai": ("finish_reason", "status"), "anthropic": ("stop_reason", "finish_reason")}
_ENDS = ("finish_reason", "status", "stop_reason", "stopReason", "done_reason")
_CUT = "the stream ended without a finish reason"
#: What a completed decision adds to one that has just been made. A stream's last chunk carries it.
BILL = frozenset(
    {
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
)


Perform = Callable[[Ask], Reply]


def in_threads(perform: Perform, asks: Sequence[Ask]) -> list[Reply]:
    """Several calls at once; their replies in order.

    Args:
        perform: Makes one call.
        asks: The calls.
    """
    with ContextThreadPoolExecutor(len(asks)) as threads:
        return list(threads.map(perform, asks))


def drive(
    steps: Flow,
    perform: Perform,
    *,
    together: Callable[[Perform, Sequence[Ask]], Iterable[Reply]] = in_threads,
    wait: Callable[[float], object] = time.sleep,
) -> Answered:
    """Run a flow, blocking.

    Args:
        steps: The flow.
        perform: Makes one call.
        together: Makes several and gives their replies in order: `map` makes one after the other.
        wait: Does nothing for so many seconds.
    """
    came: Any = None
    while True:
        try:
            step = steps.send(came)
        except StopIteration as end:
            answered: Answered = end.value
            return answered
        if isinstance(step, Wait):
            wait(step.seconds)
            came = None
        elif isinstance(step, Together):
            came = list(together(perform, step.asks))
        else:
            came = perform(step)


async def adrive(steps: Flow, perform: Callable[[Ask], Awaitable[Reply]]) -> Answered:
    """`drive` on an event loop.

    Args:
        steps: The flow.
        perform: Makes one call.
    """
    came: Any = None
    while True:
        try:
            step = steps.send(came)
        except StopIteration as end:
            answered: Answered = end.value
            return answered
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            came = None
        elif isinstance(step, Together):
            came = await _all_of([perform(ask) for ask in step.asks])
        else:
            came = await perform(step)


async def _all_of(calls: Sequence[Awaitable[Reply]]) -> list[Reply]:
    """All calls at once. When one raises, none of the others is left running."""
    running = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*running)
    except BaseException:
        for call in running:
            call.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


def failed(
    error: Exception, ask: Ask, start: float, member: Model, handling: BaseException | None
) -> Reply:
    """A call that raised. An error that is no provider's failure is a bug, and is raised on.

    Args:
        error: What was raised.
        ask: What was asked.
        start: `time.perf_counter()` at the start of the call.
        member: The model that was asked, whose keys are kept out of the message.
        handling: The error the caller was handling when it called the router.
    """
    secrets = secrets_in(dict(member.runnable))
    translated = translate(error, ask.model, *secrets, handling=handling)
    if translated is None:
        if isinstance(error, StopIteration):  # which a generator would take for its end (PEP 479)
            raise RuntimeError(f"{ask.model} raised StopIteration") from error
        raise error
    if ask.hidden and isinstance(translated, StreamInterrupted):
        translated.partial = ""  # a draft's words are nobody's to see
    return Reply(time.perf_counter() - start, error=translated)


def succeeded(
    value: Any, ask: Ask, start: float, request: Request, *, empty_stream_fails: bool = False
) -> Reply:
    """A call that returned. A whole answer with nothing in it counts as failed.

    Args:
        value: What the chat model returned.
        ask: What was asked.
        start: `time.perf_counter()` at the start of the call.
        request: The request; inside a tool loop a model may end without a word.
        empty_stream_fails: Whether a stream with nothing in it counts as failed, too.
    """
    latency = time.perf_counter() - start
    if isinstance(value, Opened):
        if not value.is_empty:
            return Reply(latency, value)
        # Its usage comes at its end, which an empty stream has come to already.
        usage = _usage_of(value.leading)
        if _is_cut_short(value.leading):
            return Reply(latency, value, usage, error=StreamInterrupted(_CUT, model=ask.model))
        fails = empty_stream_fails and not request.in_tool_loop
        return Reply(latency, value, usage, error=_empty(ask) if fails else None)
    message = _message_in(value)
    fault = _fault_of(value, message, ask, request)
    if message is None:
        return Reply(latency, value, error=fault)
    if ask.hidden and isinstance(value, list):
        value = _shared_out(value, message.usage_metadata)
    return Reply(
        latency,
        value,
        _read_usage(message.usage_metadata),
        message.response_metadata.get("model_name"),
        fault,
    )


def _fault_of(
    value: Any, message: AIMessage | None, ask: Ask, request: Request
) -> ProviderError | None:
    """What is wrong with an answer that came without an error."""
    if request.schema is not None and _is_unfit(value, ask):
        return MalformedAnswer("the answer does not fit the schema", model=ask.model)
    if message is None:
        return None
    if is_cut(message):
        partial = "" if ask.hidden else message.text
        return StreamInterrupted(_CUT, model=ask.model, partial=partial)
    if is_empty(message) and not request.in_tool_loop:
        return _empty(ask)
    return None


def _is_unfit(value: Any, ask: Ask) -> bool:
    """Whether an answer could not be parsed. A draft that could not is worth another model."""
    return value is None or (ask.hidden and isinstance(value, dict) and value.get("parsed") is None)


def _shared_out(messages: list[AIMessage], usage: UsageMetadata | None) -> list[AIMessage]:
    """The answers of one call, each with its share of the output tokens, evenly.

    Args:
        messages: The answers.
        usage: The whole call's. Its details of the output cannot be shared out, and are left out.
    """
    if usage is None:
        return messages
    output = round(usage["output_tokens"] / len(messages))
    own = UsageMetadata(
        input_tokens=usage["input_tokens"],
        output_tokens=output,
        total_tokens=usage["input_tokens"] + output,
    )
    if "input_token_details" in usage:
        own["input_token_details"] = usage["input_token_details"]
    return [message.model_copy(update={"usage_metadata": own}) for message in messages]


def is_cut(message: AIMessage) -> bool:
    """Whether a whole message is what came before a cut.

    OpenAI's and Anthropic's protocols end every answer with a reason; an end without one is a cut,
    even when the connection closes cleanly. A chat model that streams inside `invoke` does not
    notice. (Our own backend does; of other providers' it is not known whether they pass a reason
    on.)
    """
    return _lacks_reason(message.response_metadata.get("model_provider"), message.response_metadata)


def _lacks_reason(provider: str | None, metadata: Mapping[str, Any]) -> bool:
    reasons = _FINISH.get(provider or "")
    return reasons is not None and not any(name in metadata for name in reasons)


def _is_cut_short(chunks: Sequence[Any]) -> bool:
    """Whether a stream without any content is a cut one: nothing in it says why it ended."""
    metadata = [chunk.response_metadata for chunk in chunks if isinstance(chunk, AIMessage)]
    return not any(name in given for given in metadata for name in _ENDS)


def _empty(ask: Ask) -> EmptyAnswer:
    return EmptyAnswer("the answer holds neither text nor a tool call", model=ask.model)


def is_empty(message: BaseMessage) -> bool:
    """Whether a message, or a chunk of one, holds nothing a user could use."""
    content = message.content
    if isinstance(content, list):  # Anthropic begins a stream with a block of no text
        content = [b for b in content if b != "" and not _is_blank(b)]
    return not (
        content
        or getattr(message, "tool_calls", None)
        or getattr(message, "invalid_tool_calls", None)
        or getattr(message, "tool_call_chunks", None)
        or any(message.additional_kwargs.values())
    )


def _is_blank(block: str | dict[str, Any]) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and not block.get("text")


def _message_in(value: Any) -> AIMessage | None:
    """The answer inside whatever the called method returns: message, result, raw and parsed."""
    if isinstance(value, list):  # several answers of one call, whose usage stands on the first
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("raw")
    elif isinstance(value, (ChatResult, LLMResult)):
        first: Any = value.generations[0]
        value = (first[0] if isinstance(first, list) else first).message
    return value if isinstance(value, AIMessage) else None


def _read_usage(usage: UsageMetadata | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        cached_tokens=usage.get("input_token_details", {}).get("cache_read", 0) or 0,
        # LangChain's own mark on an answer from its cache.
        from_cache=dict(usage).get("total_cost") == 0,
    )


# ---- streams


@dataclass(frozen=True)
class Opened:
    """A stream that has begun: what was pulled to see that it has, and the rest."""

    leading: list[Any]
    rest: Any
    is_empty: bool = False

    def __iter__(self) -> Iterator[Any]:
        return chain(self.leading, self.rest)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for chunk in self.leading:
            yield chunk
        async for chunk in self.rest:
            yield chunk

    def close(self) -> None:
        """Close the member's stream, and with it the connection, when nobody reads on."""
        if hasattr(self.rest, "close"):
            self.rest.close()

    async def aclose(self) -> None:
        """`close` on an event loop."""
        if hasattr(self.rest, "aclose"):
            await self.rest.aclose()


def open_stream(chunks: Iterator[Any]) -> Opened:
    """Pull a stream up to its first content, while another model can still be asked."""
    leading = []
    for chunk in chunks:
        leading.append(chunk)
        if _has_content(chunk):
            return Opened(leading, chunks)
    return Opened(leading, chunks, is_empty=True)


async def aopen_stream(chunks: AsyncIterator[Any]) -> Opened:
    """`open_stream` on an event loop."""
    leading = []
    async for chunk in chunks:
        leading.append(chunk)
        if _has_content(chunk):
            return Opened(leading, chunks)
    return Opened(leading, chunks, is_empty=True)


def _usage_of(chunks: list[Any]) -> Usage | None:
    total: UsageMetadata | None = None
    for chunk in chunks:
        if isinstance(chunk, AIMessage) and chunk.usage_metadata:
            total = add_usage(total, chunk.usage_metadata)
    return _read_usage(total)


def _has_content(chunk: Any) -> bool:
    if isinstance(chunk, dict) and set(chunk) == {"raw"}:  # structured output with its raw message
        chunk = chunk["raw"]
    return not (isinstance(chunk, BaseMessage) and is_empty(chunk))


class StreamRecord:
    """Puts the record on a stream's chunks: the decision on the first, the bill on the last.

    The two add up to the whole record when the chunks are added up.

    Args:
        answered: The flow's end; its reply is the opened stream.
        decision: The decision.
        pool: For prices.
        watching: Who is told when the stream ends.
    """

    def __init__(
        self, answered: Answered, decision: Decision, pool: ModelPool, watching: Watching
    ) -> None:
        self._answered = answered
        self._decision = decision
        self._pool = pool
        self._watching = watching
        self._start = time.perf_counter() - answered.reply.latency_s
        self._usage: UsageMetadata | None = None
        self._answered_by: str | None = None
        self._text = ""
        self._first = True
        self._bill_of: Decision | None = None
        self._finished = False
        self._provider: str | None = None
        self._id: str | None = None

    def mark(self, chunk: Any) -> Any:
        """The chunk, with what of the record belongs on it."""
        if isinstance(chunk, dict) and isinstance(chunk.get("raw"), AIMessage):
            return {**chunk, "raw": self.mark(chunk["raw"])}
        if not isinstance(chunk, AIMessage):  # a parsed value, which has no place for a record
            return chunk
        self._id = chunk.id or self._id
        self._text += chunk.text
        self._usage = (
            add_usage(self._usage, chunk.usage_metadata)
            if (self._usage or chunk.usage_metadata)
            else None
        )
        self._provider = chunk.response_metadata.get("model_provider") or self._provider
        self._answered_by = chunk.response_metadata.get("model_name") or self._answered_by
        marks: dict[str, Any] = {}
        if self._first:
            self._first = False
            marks |= self._decision.model_dump(mode="json", exclude=set(BILL))
        self._finished = self._finished or any(k in chunk.response_metadata for k in _ENDS)
        whole = not isinstance(chunk, AIMessageChunk)
        if whole or getattr(chunk, "chunk_position", None) == "last":
            self._check_finished()
            marks |= self._bill()
        return with_record(chunk, marks) if marks else chunk

    def closing(self) -> AIMessageChunk | None:
        """A last chunk with the bill, for a stream that did not mark its own last chunk."""
        if self._bill_of is not None or self._first:
            return None
        return AIMessageChunk(
            content="",
            id=self._id,
            chunk_position="last",
            response_metadata={"llmroute": self._bill()},
        )

    def interrupted(self, error: Exception) -> Exception:
        """What to raise when the stream breaks after its first content."""
        ask = self._answered.ask
        secrets = secrets_in(dict(self._pool[ask.model].runnable))
        translated = translate(error, ask.model, *secrets, handling=error.__context__)
        if translated is None:
            self._watching.failed(error)
            return error
        if not isinstance(translated, StreamInterrupted):
            translated = StreamInterrupted(
                translated.message, model=ask.model, status=translated.status
            )
        translated.partial = translated.partial or self._text
        translated.calls = (*self._answered.calls, self._call(translated))
        self._watching.failed(translated)
        return translated

    def over(self) -> None:
        """The stream has ended or nobody reads on: those who watch are told, if not yet."""
        if not self._watching.is_over:
            self._watching.ended(self._bill_of or self._completed())

    def _check_finished(self) -> None:
        if not self._finished and _lacks_reason(self._provider, {}):  # see `is_cut`
            raise StreamInterrupted(_CUT)

    def _call(self, error: ProviderError | None = None) -> CallRecord:
        reply = Reply(
            time.perf_counter() - self._start,
            usage=_read_usage(self._usage),
            answered_by=self._answered_by,
            error=error,
        )
        return call_record(self._answered.ask, reply, self._decision, self._pool)

    def _completed(self) -> Decision:
        last = self._answered.accepted or self._call()
        return complete(self._decision, self._answered, self._pool, last)

    def _bill(self) -> dict[str, Any]:
        self._bill_of = self._completed()
        return self._bill_of.model_dump(mode="json", include=set(BILL))


def with_record(value: Any, record: dict[str, Any]) -> Any:
    """A copy of an answer with the record in its message's metadata.

    A copy, because the original may stand in LangChain's cache. A parsed value alone has no place
    for a record and is returned as it is.

    Args:
        value: A message; raw and parsed; a `ChatResult` or `LLMResult`; or a parsed value.
        record: The record, or the part of it that belongs on this chunk of a stream.
    """
    if isinstance(value, BaseMessage):
        metadata = {**value.response_metadata, "llmroute": record}
        return value.model_copy(update={"response_metadata": metadata})
    if isinstance(value, dict) and isinstance(value.get("raw"), BaseMessage):
        return {**value, "raw": with_record(value["raw"], record)}
    if isinstance(value, ChatGeneration):
        return value.model_copy(update={"message": with_record(value.message, record)})
    if isinstance(value, list):  # of several generations the first: they were one call, one bill
        return [with_record(v, record) for v in value[:1]] + value[1:]
    if isinstance(value, (ChatResult, LLMResult)):
        generations = with_record(value.generations, record)
        return value.model_copy(update={"generations": generations})
    return value
