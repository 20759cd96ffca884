"""OpenAI's chat request, read and checked as OpenAI checks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmroute.testing.client_request import ChatRequest, require

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# Name, least and greatest value, its types. Absent and null are always fine.
_NUMBERS = (
    ("temperature", 0, 2, (int, float)),
    ("n", 1, 128, int),
    ("max_tokens", 1, float("inf"), int),
    ("max_completion_tokens", 1, float("inf"), int),
    ("top_logprobs", 0, 20, int),
)

# What OpenAI knows. Anything else in these places is an error of the caller's, and said to be one.
_MESSAGE_KEYS = frozenset(
    ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio")
)
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
_LONGEST_ID = 40
#: Anthropic's arguments, which reach OpenAI when a conversation or an agent changes models.
_OF_OTHERS = ("cache_control", "thinking", "system", "stop_sequences", "output_config", "betas")


def parse_request(body: Any) -> ChatRequest:
    """Check a request body and read it.

    Raises:
        RequestError: As a provider would turn it down, with a message that says what to change.
    """
    require(isinstance(body, dict), "We could not parse the JSON body of your request.")
    model, messages = body.get("model"), body.get("messages")
    require(isinstance(model, str) and model, "You must provide a model parameter.", param="model")
    require(
        isinstance(messages, list) and messages,
        "Missing required parameter: 'messages', a list of at least one message.",
        param="messages",
        code="missing_required_parameter",
    )
    for name in _OF_OTHERS:
        require(name not in body, f"Unrecognized request argument supplied: {name}")
    for index, message in enumerate(messages):
        _check_message(f"messages[{index}]", message)
    _check_tool_turns(messages)
    _check_numbers(body)
    tools = body.get("tools") or []
    _check_tools(tools)
    request = ChatRequest(model, messages, tools, body)
    _check_tool_choice(request)
    return request


def _check_message(where: str, message: Any) -> None:
    require(
        isinstance(message, dict), f"Invalid type for '{where}': expected an object.", param=where
    )
    role, content = message.get("role"), message.get("content")
    _check_value(f"{where}.role", role, ROLES)
    parts = content if isinstance(content, list) else []
    is_known = isinstance(content, (str, list)) or (content is None and role == "assistant")
    require(
        is_known and all(isinstance(part, dict) for part in parts),
        f"Invalid value for '{where}.content': expected a string or an array of objects.",
        param=f"{where}.content",
    )
    _check_known(where, message, _MESSAGE_KEYS)
    for place, part in enumerate(parts):
        kind = part.get("type")
        _check_value(f"{where}.content[{place}].type", kind, _PARTS)
        _check_known(f"{where}.content[{place}]", part, ("type", kind))
    calls = message.get("tool_calls") or []
    require(
        isinstance(calls, list)
        and all(isinstance(c, dict) and isinstance(c.get("function"), dict) for c in calls),
        f"Invalid value for '{where}.tool_calls': expected an array of function calls.",
        param=f"{where}.tool_calls",
    )
    for place, call in enumerate(calls):
        _check_id(f"{where}.tool_calls[{place}].id", call.get("id"))
    _check_id(f"{where}.tool_call_id", message.get("tool_call_id"))


def _check_value(where: str, value: object, known: Sequence[str]) -> None:
    require(
        value in known,
        f"Invalid value: {value!r}. Supported values are: {', '.join(map(repr, known))}.",
        param=where,
        code="invalid_value",
    )


def _check_known(where: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    for name in given:
        require(
            name in known,
            f"Unknown parameter: '{where}.{name}'.",
            param=f"{where}.{name}",
            code="unknown_parameter",
        )


def _check_id(where: str, name: object) -> None:
    length = len(name) if isinstance(name, str) else 0
    require(
        length <= _LONGEST_ID,
        f"Invalid '{where}': string too long. Expected a string with maximum length {_LONGEST_ID}, "
        f"but got a string with length {length} instead.",
        param=where,
        code="string_above_max_length",
    )


def _check_tool_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Every tool result belongs to the calls just before it, and every call has its result."""
    asked: set[str] = set()
    answered: set[str] = set()
    for index, message in enumerate([*messages, {"role": "end"}]):
        if message["role"] == "tool":
            where = f"messages[{index}]"
            require(
                message.get("tool_call_id") in asked,
                f"Invalid parameter: {where} has role 'tool' and must be a response to a preceding "
                "message with 'tool_calls' that holds its 'tool_call_id'.",
                param=f"{where}.role",
            )
            answered.add(str(message["tool_call_id"]))
            continue
        require(
            asked <= answered,
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. These had no response: "
            f"{', '.join(sorted(asked - answered))}.",
            param="messages",
        )
        asked = {str(call.get("id")) for call in message.get("tool_calls") or ()}
        answered = set()


def _check_numbers(body: Mapping[str, Any]) -> None:
    for name, least, greatest, types in _NUMBERS:
        value: Any = body.get(name)
        # JSON's true and false are ints to Python, but not to a provider.
        is_number = isinstance(value, types) and not isinstance(value, bool)
        require(
            value is None or (is_number and least <= value <= greatest),
            f"Invalid value for '{name}': expected {'an integer' if types is int else 'a number'} "
            f"from {least} to {greatest}.",
            param=name,
        )
    stop: Any = body.get("stop")
    is_text = isinstance(stop, (str, list)) and all(isinstance(item, str) for item in stop)
    require(
        stop is None or is_text,
        "Invalid type for 'stop': expected a string or strings.",
        param="stop",
    )


def _check_tools(tools: Any) -> None:
    require(isinstance(tools, list), "Invalid type for 'tools': expected an array.", param="tools")
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        require(
            isinstance(function, dict) and isinstance(function.get("name"), str),
            f"Missing required parameter: '{where}.function.name'.",
            param=f"{where}.function.name",
        )
        _check_known(where, tool, ("type", "function"))


def _check_tool_choice(request: ChatRequest) -> None:
    choice, named = request.tool_choice, request.named_tool
    require(
        choice in ("auto", "none", "required", "named"),
        f"Invalid tool_choice: {choice!r}.",
        param="tool_choice",
    )
    require(
        request.tools or choice in ("auto", "none"),
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
        "specified.",
        param="tool_choice",
    )
    require(
        named is None or named in [tool["function"]["name"] for tool in request.tools],
        f"Tool choice '{named}' not found in 'tools' parameter.",
        param="tool_choice",
    )
