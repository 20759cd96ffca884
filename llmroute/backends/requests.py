"""LangChain's messages as LiteLLM takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages

#: Blocks of an answer's content that say what stands elsewhere in the message: calls in
#: `tool_calls`, thinking in `thinking_blocks`. LangChain's content of version 1 has them.
_ELSEWHERE = ("tool_call", "tool_call_chunk", "invalid_tool_call", "reasoning", "non_standard")


def write_messages(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Messages in OpenAI's format, with what LiteLLM carries on beside it: thinking, cache markers.

    Args:
        messages: The conversation, made safe for the model: of thinking only its own is in it, and
            cache markers only where its provider takes them.
    """
    return [written for message in messages for written in _write(message)]


def _write(message: BaseMessage) -> list[dict[str, Any]]:
    message = _without_doubles(message)
    markers = _markers(message)
    written: Any = convert_to_openai_messages(
        [message], text_format="block" if markers else "string"
    )
    # Blocks that became messages of their own (Anthropic's tool results) have no marker to keep.
    if markers and len(written) == 1 and len(markers) == len(written[0]["content"]):
        content = zip(written[0]["content"], markers, strict=True)
        written[0]["content"] = [{**block, **marker} for block, marker in content]
    for entry in written:
        # Providers say null themselves. For an empty string LiteLLM writes words of its own.
        content = entry.get("content")
        is_blank = not (content.strip() if isinstance(content, str) else content)
        if entry.get("tool_calls") and is_blank:
            entry["content"] = None
    thoughts = message.additional_kwargs.get("thinking_blocks")
    if thoughts and isinstance(message, AIMessage):
        # Without a block's place in the stream it came in.
        written[-1]["thinking_blocks"] = [
            {name: value for name, value in block.items() if name != "index"} for block in thoughts
        ]
    return written  # type: ignore[no-any-return]


def _markers(message: BaseMessage) -> list[dict[str, Any]]:
    """Where a prompt is to be cached: each block's marker, which LangChain's converter drops.

    Returns:
        Nothing at all where no block has one.
    """
    if isinstance(message.content, str):
        return []
    markers = [
        {"cache_control": block["cache_control"]}
        if isinstance(block, dict) and "cache_control" in block
        else {}
        for block in message.content
    ]
    return markers if any(markers) else []


def _without_doubles(message: BaseMessage) -> BaseMessage:
    content = message.content
    if isinstance(content, str) or not isinstance(message, AIMessage):
        return message
    kept = [b for b in content if isinstance(b, str) or b.get("type") not in _ELSEWHERE]
    return message if len(kept) == len(content) else message.model_copy(update={"content": kept})
