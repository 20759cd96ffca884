"""How one call becomes a result, whether it returned or raised."""

from __future__ import annotations

import time
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata

from llmroute.backends.provider_errors import secrets_in, translate
from llmroute.engine.flow import Ask, CallResult
from llmroute.engine.messages import (
    CUT,
    is_cut,
    is_cut_short,
    is_empty,
    message_in,
    read_usage,
    usage_of,
)
from llmroute.engine.streaming import Opened
from llmroute.errors import EmptyAnswer, MalformedAnswer, ProviderError, StreamInterrupted
from llmroute.pool import Model
from llmroute.request.request import Request


def failed(
    error: Exception, ask: Ask, start: float, member: Model, handling: BaseException | None
) -> CallResult:
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
    return CallResult(time.perf_counter() - start, error=translated)


def succeeded(
    value: Any, ask: Ask, start: float, request: Request, *, empty_stream_fails: bool = False
) -> CallResult:
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
            return CallResult(latency, value)
        # Its usage comes at its end, which an empty stream has come to already.
        usage = usage_of(value.leading)
        if is_cut_short(value.leading):
            return CallResult(latency, value, usage, error=StreamInterrupted(CUT, model=ask.model))
        fails = empty_stream_fails and not request.in_tool_loop
        return CallResult(latency, value, usage, error=_empty(ask) if fails else None)
    message = message_in(value)
    fault = _fault_of(value, message, ask, request)
    if message is None:
        return CallResult(latency, value, error=fault)
    if ask.hidden and isinstance(value, list):
        value = _shared_out(value, message.usage_metadata)
    return CallResult(
        latency,
        value,
        read_usage(message.usage_metadata),
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
        return StreamInterrupted(CUT, model=ask.model, partial=partial)
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


def _empty(ask: Ask) -> EmptyAnswer:
    return EmptyAnswer("the answer holds neither text nor a tool call", model=ask.model)
