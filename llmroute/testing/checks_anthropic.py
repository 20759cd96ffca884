"""What Anthropic turns down, in its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmroute.testing.client_request import RequestError
from llmroute.testing.signatures import is_sealed_by, sign

_TOP = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream"),
        *("temperature", "top_k", "top_p", "tools", "tool_choice", "thinking", "service_tier"),
        *("container", "context_management", "mcp_servers", "output_config", "output_format"),
        *("cache_control", "inference_geo", "speed"),
    }
)
#: The blocks a message may hold, by who speaks, and what each block may hold beside its type.
_BLOCKS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "user": {
        "text": frozenset({"text", "cache_control", "citations"}),
        "image": frozenset({"source", "cache_control"}),
        "document": frozenset({"source", "title", "context", "citations", "cache_control"}),
        "search_result": frozenset({"source", "title", "content", "citations", "cache_control"}),
        "tool_result": frozenset({"tool_use_id", "content", "is_error", "cache_control"}),
    },
    "assistant": {
        "text": frozenset({"text", "cache_control", "citations"}),
        "thinking": frozenset({"thinking", "signature"}),
        "redacted_thinking": frozenset({"data"}),
        "tool_use": frozenset({"id", "name", "input", "cache_control", "caller"}),
        "server_tool_use": frozenset({"id", "name", "input", "cache_control", "caller"}),
        "web_search_tool_result": frozenset({"tool_use_id", "content", "cache_control"}),
    },
}
_REQUIRED = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "image": ("source",),
    "document": ("source",),
}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_THOUGHTS = ("thinking", "redacted_thinking")
_MOST_MARKERS = 4
_LEAST_BUDGET = 1024


def check_request(body: object) -> dict[str, Any]:
    """Turn a request down as Anthropic does, or return it.

    Args:
        body: The JSON.

    Raises:
        RequestError: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise RequestError("The request body is not valid JSON.")
    _check_top(body)
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        _check_tool(index, tool)
    for index, message in enumerate(body["messages"]):
        _check_message(index, message)
    if body["messages"][0]["role"] != "user":
        raise RequestError('messages: first message must use the "user" role')
    turns = _merged(body["messages"])
    _check_tool_turns(turns)
    _check_thoughts(body["model"], turns)
    _check_thinking(body, turns)
    _check_choice(body.get("tool_choice"), tools)
    _check_markers(body)
    return body


def blocks_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of a message or of a tool's result; a string is one block of text.

    Args:
        message: What has ``content``.
    """
    content = message.get("content") or []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content)


def _check_top(body: Mapping[str, Any]) -> None:
    for name in ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            raise RequestError(f"{name}: Field required")
    for name in body:
        if name not in _TOP:
            raise RequestError(f"{name}: Extra inputs are not permitted")
    if not isinstance(body["messages"], list):
        raise RequestError("messages: Input should be a valid list")
    if not body["messages"]:
        raise RequestError("messages: at least one message is required")
    most = body["max_tokens"]
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise RequestError("max_tokens: Input should be greater than or equal to 1")
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        raise RequestError("temperature: range: 0..1")
    for index, block in enumerate(blocks_of({"content": body.get("system")})):
        _check_block(f"system.{index}", {"text": _BLOCKS["user"]["text"]}, block)


def _check_tool(index: int, tool: object) -> None:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise RequestError(f"tools.{index}.name: Field required")
    if not _NAME.fullmatch(tool["name"]):
        raise RequestError(
            f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )
    if tool.get("type") in (None, "custom") and not isinstance(tool.get("input_schema"), dict):
        raise RequestError(f"tools.{index}.custom.input_schema: Field required")


def _check_choice(choice: object, tools: Sequence[Mapping[str, Any]]) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        raise RequestError(
            f"tool_choice: Input tag {kind!r} found using 'type' does not match any of the "
            "expected tags: 'auto', 'any', 'tool', 'none'"
        )
    if not tools:
        raise RequestError("tool_choice: tool_choice may only be specified while providing tools.")
    name = choice.get("name") if isinstance(choice, dict) else None
    if kind == "tool" and name not in [tool["name"] for tool in tools]:
        raise RequestError(f"Tool '{name}' not found in provided tools")


def _check_message(index: int, message: object) -> None:
    where = f"messages.{index}"
    if not isinstance(message, dict):
        raise RequestError(f"{where}: Input should be a valid dictionary")
    role = str(message.get("role"))
    if role not in _BLOCKS:
        raise RequestError(
            f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".'
        )
    for name in message:
        if name not in ("role", "content"):
            raise RequestError(f"{where}.{name}: Extra inputs are not permitted")
    content = message.get("content")
    if not isinstance(content, (str, list)):
        raise RequestError(f"{where}.content: Input should be a valid list")
    if not content:
        raise RequestError(
            f"{where}: all messages must have non-empty content except for the optional final "
            "assistant message"
        )
    for place, block in enumerate(blocks_of(message)):
        _check_block(f"{where}.content.{place}", _BLOCKS[role], block)


def _check_block(where: str, known: Mapping[str, frozenset[str]], block: object) -> None:
    kind = str(block.get("type")) if isinstance(block, dict) else "none"
    if not isinstance(block, dict) or kind not in known:
        expected = ", ".join(repr(name) for name in known)
        raise RequestError(
            f"{where}: Input tag {kind!r} found using 'type' does not match any of the expected "
            f"tags: {expected}"
        )
    for name in _REQUIRED.get(kind, ()):
        if block.get(name) is None:
            raise RequestError(f"{where}.{kind}.{name}: Field required")
    for name in block:
        if name != "type" and name not in known[kind]:
            raise RequestError(f"{where}.{kind}.{name}: Extra inputs are not permitted")
    _check_values(where, kind, block)


def _check_values(where: str, kind: str, block: Mapping[str, Any]) -> None:
    if kind == "text" and not block["text"]:
        raise RequestError("messages: text content blocks must be non-empty")
    if kind == "text" and not block["text"].strip():
        raise RequestError("messages: text content blocks must contain non-whitespace text")
    called = {"tool_use": "id", "tool_result": "tool_use_id"}.get(kind)
    if called and not _ID.fullmatch(str(block[called])):
        raise RequestError(
            f"{where}.{kind}.{called}: String should match pattern '^[a-zA-Z0-9_-]+$'"
        )
    if kind == "tool_use" and not isinstance(block["input"], dict):
        raise RequestError(f"{where}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_result":
        inner = {k: v for k, v in _BLOCKS["user"].items() if k != "tool_result"}
        for place, part in enumerate(blocks_of(block)):
            _check_block(f"{where}.tool_result.content.{place}", inner, part)


#: A turn: who speaks, and each block with its place in the request.
_Turn = tuple[str, list[tuple[str, dict[str, Any]]]]


def _merged(messages: Sequence[Mapping[str, Any]]) -> list[_Turn]:
    """The messages with those of one speaker in a row taken as one, as Anthropic takes them."""
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        placed = [
            (f"messages.{index}.content.{place}", block)
            for place, block in enumerate(blocks_of(message))
        ]
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(placed)
        else:
            turns.append((message["role"], placed))
    return turns


def _ids(turn: _Turn | None, kind: str, name: str) -> list[tuple[str, str]]:
    return (
        [(where, block[name]) for where, block in turn[1] if block["type"] == kind] if turn else []
    )


def _check_tool_turns(turns: Sequence[_Turn]) -> None:
    seen: set[str] = set()
    for turn, following in zip(turns, [*turns[1:], None], strict=True):
        for where, called in _ids(turn, "tool_use", "id"):
            if called in seen:
                raise RequestError(f"{where}: `tool_use` ids must be unique")
            seen.add(called)
        called_now = [called for _, called in _ids(turn, "tool_use", "id")]
        answered = _ids(following, "tool_result", "tool_use_id")
        missing = [called for called in called_now if called not in [a for _, a in answered]]
        if missing:
            where = turn[1][0][0].rpartition(".content")[0]
            raise RequestError(
                f"{where}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next message."
            )
        _check_answered(answered, called_now)
    _check_answered(_ids(turns[0], "tool_result", "tool_use_id"), [])


def _check_answered(answered: Sequence[tuple[str, str]], called: Sequence[str]) -> None:
    for where, name in answered:
        if name not in called:
            raise RequestError(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message."
            )


def _check_thoughts(model: str, turns: Sequence[_Turn]) -> None:
    for _, placed in turns:
        for where, block in placed:
            if block["type"] == "thinking" and block["signature"] != sign(model, block["thinking"]):
                raise RequestError(f"{where}: Invalid `signature` in `thinking` block")
            if block["type"] == "redacted_thinking" and not is_sealed_by(model, block["data"]):
                raise RequestError(f"{where}: Invalid `data` in `redacted_thinking` block")


def _check_thinking(body: Mapping[str, Any], turns: Sequence[_Turn]) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    kind = thinking.get("type")
    if kind not in ("enabled", "disabled", "adaptive"):
        raise RequestError(
            f"thinking: Input tag {kind!r} found using 'type' does not match any of the expected "
            "tags: 'adaptive', 'disabled', 'enabled'"
        )
    loop = list(_open_loop(turns))
    if kind == "disabled":
        for where, block in loop[-1][1] if loop else []:
            if block["type"] in _THOUGHTS:
                raise RequestError(
                    f"{where}: When thinking is disabled, an `assistant` message in the final "
                    f"position cannot contain `{block['type']}`. To use thinking blocks, enable "
                    "`thinking` in your request."
                )
    if kind == "enabled":
        _check_budget(body, thinking)
        # A model that does not think between its calls begins the loop with thinking, and only it.
        if loop and not any(turn[1][0][1]["type"] in _THOUGHTS for turn in (loop[0], loop[-1])):
            where, first = loop[-1][1][0]
            raise RequestError(
                f"{where}.type: Expected `thinking` or `redacted_thinking`, but found "
                f"`{first['type']}`. When `thinking` is enabled, a final `assistant` message must "
                "start with a thinking block (preceeding the lastmost set of `tool_use` and "
                "`tool_result` blocks). We recommend you include thinking blocks from previous "
                "turns. To avoid this requirement, disable `thinking`."
            )


def _check_budget(body: Mapping[str, Any], thinking: Mapping[str, Any]) -> None:
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < _LEAST_BUDGET:
        raise RequestError(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to "
            f"{_LEAST_BUDGET}"
        )
    if budget >= body["max_tokens"]:
        raise RequestError("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1, 1.0):
        raise RequestError("`temperature` may only be set to 1 when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise RequestError("Thinking may not be enabled when tool_choice forces tool use.")


def _open_loop(turns: Sequence[_Turn]) -> Iterator[_Turn]:
    """The assistant's turns of the tool loop that this request goes on with, oldest first."""
    if not _ids(turns[-1], "tool_result", "tool_use_id"):
        return
    begin = len(turns) - 1
    while begin >= 2 and _ids(turns[begin], "tool_result", "tool_use_id"):
        begin -= 2
    yield from (turn for turn in turns[begin:] if turn[0] == "assistant")


def _check_markers(body: Mapping[str, Any]) -> None:
    found = sum("cache_control" in block for block in _marked(body))
    if found > _MOST_MARKERS:
        raise RequestError(
            f"A maximum of {_MOST_MARKERS} blocks with cache_control may be provided. Found "
            f"{found}."
        )


def _marked(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from body.get("tools") or ()
    yield from blocks_of({"content": body.get("system")})
    for message in body["messages"]:
        yield from blocks_of(message)
