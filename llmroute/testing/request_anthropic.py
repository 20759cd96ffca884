"""Anthropic's request, read into the one shape that scripts see."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmroute.testing.checks_anthropic import blocks_of, check_request
from llmroute.testing.client_request import ChatRequest

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def parse_request(body: object) -> ChatRequest:
    """Check a body of ``POST /v1/messages`` and read it.

    Its messages, tools, tool choice, limits and schema come out OpenAI-shaped, so that one script
    answers in both protocols; what else the body holds (``system``, ``thinking``, …) stands beside
    them in :attr:`ChatRequest.body` as it came.

    Args:
        body: The JSON.

    Raises:
        RequestError: As Anthropic would turn it down.
    """
    checked = check_request(body)
    tools = [_tool(tool) for tool in checked.get("tools") or ()]
    messages = [*_system(checked.get("system")), *_messages(checked["messages"])]
    read = {
        **checked,
        "messages": messages,
        "tools": tools,
        "stop": checked.get("stop_sequences"),
        "tool_choice": _tool_choice(checked.get("tool_choice")),
        "response_format": _response_format(checked),
    }
    return ChatRequest(checked["model"], messages, tools, read)


def _system(system: object) -> Iterator[dict[str, Any]]:
    if system:
        texts = [block["text"] for block in blocks_of({"content": system})]
        yield {"role": "system", "content": "\n".join(texts)}


def _messages(messages: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        blocks = blocks_of(message)
        if message["role"] == "assistant":
            yield _assistant(blocks)
            continue
        for block in blocks:
            if block["type"] == "tool_result":
                content = [_part(inner) for inner in blocks_of(block)]
                yield {
                    "role": "tool",
                    "tool_call_id": block["tool_use_id"],
                    "content": content if _has_media(content) else _joined(content),
                }
        parts = [_part(block) for block in blocks if block["type"] != "tool_result"]
        if parts:
            yield {"role": "user", "content": parts if _has_media(parts) else _joined(parts)}


def _assistant(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    return {**message, "tool_calls": calls} if calls else message


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    if block["type"] == "image":
        return {"type": "image_url", "image_url": {"url": _url(block.get("source") or {})}}
    return {"type": "file", "file": dict(block)}


def _url(source: Mapping[str, Any]) -> str:
    if source.get("type") == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    return str(source.get("url") or source.get("file_id"))


def _has_media(parts: Sequence[Mapping[str, Any]]) -> bool:
    return any(part["type"] != "text" for part in parts)


def _joined(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(part["text"] for part in parts)


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {
        "name": tool["name"],
        "description": tool.get("description", ""),
        "parameters": tool.get("input_schema") or {"type": "object"},
    }
    return {"type": "function", "function": function}


def _tool_choice(choice: Mapping[str, Any] | None) -> object:
    if choice is None:
        return None
    if choice.get("type") == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _CHOICES[str(choice.get("type"))]


def _response_format(body: Mapping[str, Any]) -> dict[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if not wanted:
        return None
    return {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}
