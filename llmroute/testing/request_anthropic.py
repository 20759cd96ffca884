"""Anthropic's request, read into the one shape that scripts see."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmroute.testing.checks_anthropic import blocks_of, check_request
from llmroute.testing.client_request import ChatRequest

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def parse_request(body: Any) -> ChatRequest:
    """Check a body of ``POST /v1/messages`` and read it.

    Its messages, tools, tool choice, limits and schema come out OpenAI-shaped, so that one script
    answers in both protocols; what else the body holds (``system``, ``thinking``, …) stands beside
    them in :attr:`ChatRequest.body` as it came.

    Raises:
        RequestError: As Anthropic would turn it down.
    """
    check_request(body)
    tools = [_tool(tool) for tool in body.get("tools") or ()]
    messages = list(_messages(body))
    translated = {
        **body,
        "messages": messages,
        "tools": tools,
        "stop": body.get("stop_sequences"),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "response_format": _response_format(body),
    }
    return ChatRequest(body["model"], messages, tools, translated)


def _messages(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if body.get("system"):
        yield {"role": "system", "content": _content(blocks_of(body["system"]))}
    for message in body["messages"]:
        blocks = blocks_of(message["content"])
        if message["role"] == "assistant":
            yield _assistant(blocks)
            continue
        results = [block for block in blocks if block["type"] == "tool_result"]
        for result in results:
            content = _content(blocks_of(result.get("content")))
            yield {"role": "tool", "tool_call_id": result["tool_use_id"], "content": content}
        if len(results) < len(blocks):
            rest = [block for block in blocks if block["type"] != "tool_result"]
            yield {"role": "user", "content": _content(rest)}


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


def _content(blocks: Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """Blocks of text as one text, others as parts."""
    if all(block["type"] == "text" for block in blocks):
        return "\n".join(block["text"] for block in blocks)
    return [_part(block) for block in blocks]


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    if block["type"] != "image":
        return {"type": "file", "file": dict(block)}
    source = block["source"]
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    else:
        url = str(source.get("url") or source.get("file_id"))
    return {"type": "image_url", "image_url": {"url": url}}


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
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": choice["name"]}}
    return _CHOICES[choice["type"]]


def _response_format(body: Mapping[str, Any]) -> dict[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    return wanted and {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}
