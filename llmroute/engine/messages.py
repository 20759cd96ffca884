"""What an answer holds: usage, a reason to end, anything at all; and the record put on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult

from llmroute.engine.flow import Usage

#: Where chat models say why an answer ended, by the protocol of their provider. OpenAI has two.
_FINISH = {"openai": ("finish_reason", "status"), "anthropic": ("stop_reason", "finish_reason")}
ENDS = ("finish_reason", "status", "stop_reason", "stopReason", "done_reason")
CUT = "the stream ended without a finish reason"


def is_cut(message: AIMessage) -> bool:
    """Whether a whole message is what came before a cut.

    OpenAI's and Anthropic's protocols end every answer with a reason; an end without one is a cut,
    even when the connection closes cleanly. A chat model that streams inside `invoke` does not
    notice. (Our own backend does; of other providers' it is not known whether they pass a reason
    on.)
    """
    return lacks_reason(message.response_metadata.get("model_provider"), message.response_metadata)


def lacks_reason(provider: str | None, metadata: Mapping[str, Any]) -> bool:
    """Whether metadata of a provider known to give a reason to end hold none."""
    reasons = _FINISH.get(provider or "")
    return reasons is not None and not any(name in metadata for name in reasons)


def is_cut_short(chunks: Sequence[Any]) -> bool:
    """Whether a stream without any content is a cut one: nothing in it says why it ended."""
    metadata = [chunk.response_metadata for chunk in chunks if isinstance(chunk, AIMessage)]
    return not any(name in given for given in metadata for name in ENDS)


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


def message_in(value: Any) -> AIMessage | None:
    """The answer inside whatever the called method returns: message, result, raw and parsed."""
    if isinstance(value, list):  # several answers of one call, whose usage stands on the first
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("raw")
    elif isinstance(value, (ChatResult, LLMResult)):
        first: Any = value.generations[0]
        value = (first[0] if isinstance(first, list) else first).message
    return value if isinstance(value, AIMessage) else None


def read_usage(usage: UsageMetadata | None) -> Usage | None:
    """LangChain's usage as a call's record has it; None where the provider gave none."""
    if usage is None:
        return None
    return Usage(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        cached_tokens=usage.get("input_token_details", {}).get("cache_read", 0) or 0,
        # LangChain's own mark on an answer from its cache.
        from_cache=dict(usage).get("total_cost") == 0,
    )


def usage_of(chunks: list[Any]) -> Usage | None:
    """The usage that the chunks of a stream tell together."""
    total: UsageMetadata | None = None
    for chunk in chunks:
        if isinstance(chunk, AIMessage) and chunk.usage_metadata:
            total = add_usage(total, chunk.usage_metadata)
    return read_usage(total)


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
