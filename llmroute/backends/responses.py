"""LiteLLM's answers as LangChain's messages."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call

#: LangChain's name of a usage's details, LiteLLM's, and what each holds in their words.
_DETAILS = (
    (
        "input_token_details",
        "prompt_tokens_details",
        {
            "cache_read": "cached_tokens",
            "cache_creation": "cache_creation_tokens",
            "audio": "audio_tokens",
        },
    ),
    (
        "output_token_details",
        "completion_tokens_details",
        {"reasoning": "reasoning_tokens", "audio": "audio_tokens"},
    ),
)


def read_message(raw: Any, usage: UsageMetadata | None) -> AIMessage:
    """A whole answer. Broken tool arguments are kept as invalid calls."""
    calls, invalid = [], []
    for call in raw.tool_calls or []:
        dumped = read_plain(call)
        try:
            calls.append(parse_tool_call(dumped, return_id=True))
        except Exception as error:  # the model wrote broken JSON: LangChain has a place for that
            invalid.append(make_invalid_tool_call(dumped, str(error)))
    return AIMessage(
        content=raw.content or "",
        additional_kwargs={**_extras(raw), **_thoughts(raw)},
        tool_calls=[c for c in calls if c],
        invalid_tool_calls=invalid,
        usage_metadata=usage,
    )


def read_delta(raw: Any, thoughts: int = 0) -> AIMessageChunk:
    """A piece of a stream, with `thoughts` blocks of thinking before it.

    LangChain adds those pieces up that have the same index, and LiteLLM numbers none.
    """
    return AIMessageChunk(
        content=raw.content or "",
        additional_kwargs={**_extras(raw), **_thoughts(raw, index=thoughts)},
        tool_call_chunks=[
            ToolCallChunk(
                name=call.function.name,
                args=call.function.arguments,
                id=call.id,
                index=call.index,
                type="tool_call_chunk",
            )
            for call in raw.tool_calls or []
        ],
    )


def _extras(raw: Any) -> dict[str, Any]:
    names = ("reasoning_content", "refusal")
    return {n: value for n in names if isinstance(value := getattr(raw, n, None), str) and value}


def _thoughts(raw: Any, **marks: int) -> dict[str, Any]:
    """Signed thinking, which its model has to be given back inside a tool loop."""
    blocks = getattr(raw, "thinking_blocks", None) or []
    return {"thinking_blocks": [{**block, **marks} for block in blocks]} if blocks else {}


def ended_thoughts(message: AIMessageChunk) -> int:
    """How many blocks of thinking end with a piece: a signature, or a sealed block, is an end."""
    blocks = message.additional_kwargs.get("thinking_blocks", [])
    return sum("data" in block or bool(block.get("signature")) for block in blocks)


def read_metadata(response: Any, choice: Any) -> dict[str, Any]:
    """What a response says of itself, as it stands in `response_metadata`."""
    metadata = {
        "model_provider": "litellm",
        "model_name": response.model,
        "id": response.id,
        "finish_reason": choice.finish_reason,
        "system_fingerprint": getattr(response, "system_fingerprint", None),
        "logprobs": read_plain(getattr(choice, "logprobs", None)),
    }
    return {name: value for name, value in metadata.items() if value is not None}


def read_usage(raw: Any) -> UsageMetadata | None:
    """Tokens of a call, in LangChain's terms; None where none were reported."""
    if raw is None:
        return None
    usage: dict[str, Any] = {
        "input_tokens": raw.prompt_tokens or 0,
        "output_tokens": raw.completion_tokens or 0,
        "total_tokens": raw.total_tokens or 0,
    }
    for ours, theirs, names in _DETAILS:
        reported = getattr(raw, theirs, None)
        values = {name: getattr(reported, field, None) for name, field in names.items()}
        if details := {name: value for name, value in values.items() if isinstance(value, int)}:
            usage[ours] = details
    return cast(UsageMetadata, usage)


def read_plain(value: Any) -> Any:
    """A LiteLLM object as plain dicts and lists."""
    return value.model_dump() if hasattr(value, "model_dump") else value
