"""Streams: begun while another model can still be asked, and the record on their chunks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage

from llmroute.backends.provider_errors import secrets_in, translate
from llmroute.engine.flow import Answered, CallResult, call_record, complete
from llmroute.engine.messages import CUT, ENDS, is_empty, lacks_reason, read_usage, with_record
from llmroute.errors import ProviderError, StreamInterrupted
from llmroute.pool import ModelPool
from llmroute.records import CallRecord, Decision
from llmroute.state.observers import Watching


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


def _has_content(chunk: Any) -> bool:
    if isinstance(chunk, dict) and set(chunk) == {"raw"}:  # structured output with its raw message
        chunk = chunk["raw"]
    return not (isinstance(chunk, BaseMessage) and is_empty(chunk))


class StreamRecord:
    """Puts the record on a stream's chunks: the decision on the first, the bill on the last.

    The two add up to the whole record when the chunks are added up.

    Args:
        answered: The flow's end; its result is the opened stream.
        decision: The decision.
        pool: For prices.
        watching: Who is notified when the stream ends.
    """

    def __init__(
        self, answered: Answered, decision: Decision, pool: ModelPool, watching: Watching
    ) -> None:
        self._answered = answered
        self._decision = decision
        self._pool = pool
        self._watching = watching
        self._start = time.perf_counter() - answered.result.latency_s
        self._usage: UsageMetadata | None = None
        self._answered_by: str | None = None
        self._text = ""
        self._first = True
        self._bill_of: Decision | None = None
        self._finished = False
        self._provider: str | None = None
        self._id: str | None = None

    def annotate(self, chunk: Any) -> Any:
        """The chunk, with what of the record belongs on it."""
        if isinstance(chunk, dict) and isinstance(chunk.get("raw"), AIMessage):
            return {**chunk, "raw": self.annotate(chunk["raw"])}
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
            marks |= self._decision.model_dump(mode="json", include=self._decision.model_fields_set)
        self._finished = self._finished or any(k in chunk.response_metadata for k in ENDS)
        whole = not isinstance(chunk, AIMessageChunk)
        if whole or getattr(chunk, "chunk_position", None) == "last":
            self._check_finished()
            marks |= self._bill()
        return with_record(chunk, marks) if marks else chunk

    def final_chunk(self) -> AIMessageChunk | None:
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

    def finish(self) -> None:
        """The stream has ended or nobody reads on: those who watch are notified, if not yet."""
        if not self._watching.is_over:
            self._watching.ended(self._bill_of or self._completed())

    def _check_finished(self) -> None:
        if not self._finished and lacks_reason(self._provider, {}):  # see `is_cut`
            raise StreamInterrupted(CUT)

    def _call(self, error: ProviderError | None = None) -> CallRecord:
        result = CallResult(
            time.perf_counter() - self._start,
            usage=read_usage(self._usage),
            answered_by=self._answered_by,
            error=error,
        )
        return call_record(self._answered.ask, result, self._decision, self._pool)

    def _completed(self) -> Decision:
        last = self._answered.accepted or self._call()
        return complete(self._decision, self._answered, self._pool, last)

    def _bill(self) -> dict[str, Any]:
        self._bill_of = self._completed()
        # What completing a decision has set; the first chunk carries the rest.
        added = self._bill_of.model_fields_set - self._decision.model_fields_set
        return self._bill_of.model_dump(mode="json", include=added)
