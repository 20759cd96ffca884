"""What Anthropic turns down, in its words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from llmroute.testing.client_request import require
from llmroute.testing.signatures import is_sealed_by, sign

_TOP = (
    *("model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream"),
    *("temperature", "top_k", "top_p", "tools", "tool_choice", "thinking", "service_tier"),
    *("container", "context_management", "mcp_servers", "output_config", "output_format"),
    *("cache_control", "inference_geo", "speed"),
)
#: What a block of each type must hold beside its type, and what it may hold.
_FIELDS = {
    "text": ("text", "cache_control citations"),
    "image": ("source", "cache_control"),
    "document": ("source", "title context citations cache_control"),
    "search_result": ("", "source title content citations cache_control"),
    "tool_result": ("tool_use_id", "content is_error cache_control"),
    "thinking": ("thinking signature", ""),
    "redacted_thinking": ("data", ""),
    "tool_use": ("id name input", "cache_control caller"),
    "server_tool_use": ("", "id name input cache_control caller"),
    "web_search_tool_result": ("", "tool_use_id content cache_control"),
}
_IN_RESULTS = ("text", "image", "document", "search_result")
#: The types of blocks that a message may hold, by its role.
_BLOCKS = {
    "user": (*_IN_RESULTS, "tool_result"),
    "assistant": (
        *("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"),
        "web_search_tool_result",
    ),
}
_ID_FIELDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_THOUGHTS = ("thinking", "redacted_thinking")
_MOST_MARKERS = 4
_LEAST_BUDGET = 1024

#: A turn: who speaks, and each block with its place in the request.
_Turn = tuple[str, list[tuple[str, dict[str, Any]]]]


def check_request(body: Any) -> None:
    """Raise a RequestError where Anthropic turns the JSON of a request down."""
    require(isinstance(body, dict), "The request body is not valid JSON.")
    _check_top(body)
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        _check_tool(f"tools.{index}", tool)
    for index, message in enumerate(body["messages"]):
        _check_message(f"messages.{index}", message)
    require(
        body["messages"][0]["role"] == "user", 'messages: first message must use the "user" role'
    )
    turns = _merged(body["messages"])
    _check_tool_turns(turns)
    _check_thoughts(body["model"], turns)
    _check_thinking(body, turns)
    _check_choice(body.get("tool_choice"), tools)
    _check_markers(body)


def blocks_of(content: str | Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The blocks of a message's or a tool result's content; a string is one block of text."""
    content = content or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _check_fields(
    where: str, given: Mapping[str, Any], required: Sequence[str], known: Collection[str]
) -> None:
    for name in required:
        require(given.get(name) is not None, f"{where}{name}: Field required")
    for name in given:
        require(name in known, f"{where}{name}: Extra inputs are not permitted")


def _check_tag(where: str, tag: object, known: Sequence[str]) -> None:
    require(
        tag in known,
        f"{where}: Input tag {tag!r} found using 'type' does not match any of the expected tags: "
        f"{', '.join(map(repr, known))}",
    )


def _check_top(body: Mapping[str, Any]) -> None:
    _check_fields("", body, ("model", "max_tokens", "messages"), _TOP)
    require(isinstance(body["messages"], list), "messages: Input should be a valid list")
    require(body["messages"], "messages: at least one message is required")
    most = body["max_tokens"]
    require(
        isinstance(most, int) and not isinstance(most, bool) and most >= 1,
        "max_tokens: Input should be greater than or equal to 1",
    )
    temperature = body.get("temperature")
    require(temperature is None or 0 <= temperature <= 1, "temperature: range: 0..1")
    for index, block in enumerate(blocks_of(body.get("system"))):
        _check_block(f"system.{index}", ("text",), block)


def _check_tool(where: str, tool: Any) -> None:
    name = tool.get("name") if isinstance(tool, dict) else None
    require(isinstance(name, str), f"{where}.name: Field required")
    require(
        _NAME.fullmatch(str(name)),
        f"{where}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'",
    )
    require(
        tool.get("type") not in (None, "custom") or isinstance(tool.get("input_schema"), dict),
        f"{where}.custom.input_schema: Field required",
    )


def _check_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    _check_tag("tool_choice", kind, ("auto", "any", "tool", "none"))
    require(tools, "tool_choice: tool_choice may only be specified while providing tools.")
    name = choice.get("name")
    require(
        kind != "tool" or name in [tool["name"] for tool in tools],
        f"Tool '{name}' not found in provided tools",
    )


def _check_message(where: str, message: Any) -> None:
    require(isinstance(message, dict), f"{where}: Input should be a valid dictionary")
    role, content = str(message.get("role")), message.get("content")
    require(
        role in _BLOCKS,
        f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".',
    )
    _check_fields(f"{where}.", message, (), ("role", "content"))
    require(isinstance(content, (str, list)), f"{where}.content: Input should be a valid list")
    require(
        content,
        f"{where}: all messages must have non-empty content except for the optional final "
        "assistant message",
    )
    for place, block in enumerate(blocks_of(content)):
        _check_block(f"{where}.content.{place}", _BLOCKS[role], block)


def _check_block(where: str, known: Sequence[str], block: Any) -> None:
    kind = str(block.get("type")) if isinstance(block, dict) else "none"
    _check_tag(where, kind, known)
    required, optional = (names.split() for names in _FIELDS[kind])
    where = f"{where}.{kind}"
    _check_fields(f"{where}.", block, required, ("type", *required, *optional))
    if kind == "text":
        require(block["text"], "messages: text content blocks must be non-empty")
        require(
            block["text"].strip(), "messages: text content blocks must contain non-whitespace text"
        )
    if name := _ID_FIELDS.get(kind):
        require(
            _ID.fullmatch(str(block[name])),
            f"{where}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'",
        )
    if kind == "tool_use":
        require(
            isinstance(block["input"], dict), f"{where}.input: Input should be a valid dictionary"
        )
    if kind == "tool_result":
        for place, part in enumerate(blocks_of(block.get("content"))):
            _check_block(f"{where}.content.{place}", _IN_RESULTS, part)


def _merged(messages: Sequence[Mapping[str, Any]]) -> list[_Turn]:
    """The messages with those of one speaker in a row taken as one, as Anthropic takes them."""
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        if not turns or turns[-1][0] != message["role"]:
            turns.append((message["role"], []))
        turns[-1][1].extend(
            (f"messages.{index}.content.{place}", block)
            for place, block in enumerate(blocks_of(message["content"]))
        )
    return turns


def _ids(turn: _Turn | None, kind: str) -> list[tuple[str, str]]:
    """The ids of a turn's calls or results, each after the place of its block."""
    blocks = turn[1] if turn else []
    return [(where, block[_ID_FIELDS[kind]]) for where, block in blocks if block["type"] == kind]


def _check_tool_turns(turns: Sequence[_Turn]) -> None:
    seen: set[str] = set()
    for turn, following in pairwise([None, *turns, None]):
        calls = _ids(turn, "tool_use")
        for where, called in calls:
            require(called not in seen, f"{where}: `tool_use` ids must be unique")
            seen.add(called)
        results = _ids(following, "tool_result")
        missing = [called for _, called in calls if called not in [name for _, name in results]]
        first = turn[1][0][0].rpartition(".content")[0] if turn else ""
        require(
            not missing,
            f"{first}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` "
            "block in the next message.",
        )
        for where, name in results:
            require(
                name in [called for _, called in calls],
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous "
                "message.",
            )


def _check_thoughts(model: str, turns: Sequence[_Turn]) -> None:
    for where, block in (placed for _, blocks in turns for placed in blocks):
        if block["type"] == "thinking":
            require(
                block["signature"] == sign(model, block["thinking"]),
                f"{where}: Invalid `signature` in `thinking` block",
            )
        if block["type"] == "redacted_thinking":
            require(
                is_sealed_by(model, block["data"]),
                f"{where}: Invalid `data` in `redacted_thinking` block",
            )


def _check_thinking(body: Mapping[str, Any], turns: Sequence[_Turn]) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    kind = thinking.get("type")
    _check_tag("thinking", kind, ("adaptive", "disabled", "enabled"))
    loop = _open_loop(turns)
    if kind == "disabled":
        for where, block in loop[-1][1] if loop else []:
            require(
                block["type"] not in _THOUGHTS,
                f"{where}: When thinking is disabled, an `assistant` message in the final "
                f"position cannot contain `{block['type']}`. To use thinking blocks, enable "
                "`thinking` in your request.",
            )
    if kind == "enabled":
        _check_budget(body, thinking.get("budget_tokens"))
    if kind == "enabled" and loop:
        where, first = loop[-1][1][0]
        # A model that does not think between its calls begins the loop with thinking, and only it.
        require(
            any(turn[1][0][1]["type"] in _THOUGHTS for turn in (loop[0], loop[-1])),
            f"{where}.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{first['type']}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceeding the lastmost set of `tool_use` and "
            "`tool_result` blocks). We recommend you include thinking blocks from previous "
            "turns. To avoid this requirement, disable `thinking`.",
        )


def _check_budget(body: Mapping[str, Any], budget: Any) -> None:
    require(
        isinstance(budget, int) and budget >= _LEAST_BUDGET,
        f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}",
    )
    require(
        budget < body["max_tokens"], "`max_tokens` must be greater than `thinking.budget_tokens`."
    )
    require(
        body.get("temperature") in (None, 1),
        "`temperature` may only be set to 1 when thinking is enabled.",
    )
    require(
        (body.get("tool_choice") or {}).get("type") not in ("any", "tool"),
        "Thinking may not be enabled when tool_choice forces tool use.",
    )


def _open_loop(turns: Sequence[_Turn]) -> list[_Turn]:
    """The assistant's turns of the tool loop that this request goes on with, oldest first."""
    begin = len(turns) - 1
    if not _ids(turns[begin], "tool_result"):
        return []
    while begin >= 2 and _ids(turns[begin], "tool_result"):
        begin -= 2
    return [turn for turn in turns[begin:] if turn[0] == "assistant"]


def _check_markers(body: Mapping[str, Any]) -> None:
    count = sum("cache_control" in block for block in _cacheable(body))
    require(
        count <= _MOST_MARKERS,
        f"A maximum of {_MOST_MARKERS} blocks with cache_control may be provided. Found {count}.",
    )


def _cacheable(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from body.get("tools") or ()
    yield from blocks_of(body.get("system"))
    for message in body["messages"]:
        yield from blocks_of(message["content"])
