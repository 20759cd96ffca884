"""OpenAI's chat request, read and checked as OpenAI checks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmroute.testing.client_request import ChatRequest, RequestError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# Name, least and greatest value, whether it has to be whole. Absent and null are always fine.
_NUMBERS = (
    ("temperature", 0, 2, False),
    ("n", 1, 128, True),
    ("max_tokens", 1, float("inf"), True),
    ("max_completion_tokens", 1, float("inf"), True),
    ("top_logprobs", 0, 20, True),
)

# What OpenAI knows. Anything else in these places is an error of the caller's, and said to be one.
_MESSAGE_KEYS = frozenset(
    ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio")
)
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
_TOOL_KEYS = frozenset(("type", "function"))
_LONGEST_ID = 40
#: Anthropic's arguments, which reach OpenAI when a conversation or an agent changes models.
_OF_OTHERS = ("cache_control", "thinking", "system", "stop_sequences", "output_config", "betas")


def parse_request(body: object) -> ChatRequest:
    """Check a request body and read it.

    Raises:
        RequestError: As a provider would turn it down, with a message that says what to change.
    """
    if not isinstance(body, dict):
        raise RequestError("We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise RequestError("You must provide a model parameter.", param="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError(
            "Missing required parameter: 'messages', a list of at least one message.",
            param="messages",
            code="missing_required_parameter",
        )
    for name in _OF_OTHERS:
        if name in body:
            raise RequestError(f"Unrecognized request argument supplied: {name}")
    for index, message in enumerate(messages):
        _check_message(index, message)
    _check_tool_turns(messages)
    _check_numbers(body)
    request = ChatRequest(body["model"], messages, _tools(body), body)
    _check_tool_choice(request)
    return request


def _check_message(index: int, message: object) -> None:
    where = f"messages[{index}]"
    if not isinstance(message, dict):
        raise RequestError(f"Invalid type for '{where}': expected an object.", param=where)
    role = message.get("role")
    if role not in ROLES:
        supported = ", ".join(repr(known) for known in ROLES)
        raise RequestError(
            f"Invalid value: {role!r}. Supported values are: {supported}.",
            param=f"{where}.role",
            code="invalid_value",
        )
    content = message.get("content")
    parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    if not (isinstance(content, str) or parts or (content is None and role == "assistant")):
        raise RequestError(
            f"Invalid value for '{where}.content': expected a string or an array of objects.",
            param=f"{where}.content",
        )
    _check_known(where, message, _MESSAGE_KEYS)
    for place, part in enumerate(content if isinstance(content, list) else ()):
        _check_part(f"{where}.content[{place}]", part)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(_is_function_call(call) for call in calls):
        raise RequestError(
            f"Invalid value for '{where}.tool_calls': expected an array of function calls.",
            param=f"{where}.tool_calls",
        )
    for place, call in enumerate(calls):
        _check_id(f"{where}.tool_calls[{place}].id", call.get("id"))
    _check_id(f"{where}.tool_call_id", message.get("tool_call_id"))


def _check_known(where: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise RequestError(
                f"Unknown parameter: '{where}.{name}'.",
                param=f"{where}.{name}",
                code="unknown_parameter",
            )


def _check_part(where: str, part: Mapping[str, Any]) -> None:
    kind = part.get("type")
    if kind not in _PARTS:
        supported = ", ".join(repr(known) for known in _PARTS)
        raise RequestError(
            f"Invalid value: {kind!r}. Supported values are: {supported}.",
            param=f"{where}.type",
            code="invalid_value",
        )
    _check_known(where, part, ("type", kind))


def _check_id(where: str, name: object) -> None:
    if isinstance(name, str) and len(name) > _LONGEST_ID:
        raise RequestError(
            f"Invalid '{where}': string too long. Expected a string with maximum length "
            f"{_LONGEST_ID}, but got a string with length {len(name)} instead.",
            param=where,
            code="string_above_max_length",
        )


def _is_function_call(call: object) -> bool:
    return isinstance(call, dict) and isinstance(call.get("function"), dict)


def _check_tool_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    """Every tool result belongs to the calls just before it, and every call has its result."""
    asked: set[str] = set()
    answered: set[str] = set()
    for index, message in enumerate([*messages, {"role": "end"}]):
        where = f"messages[{index}]"
        if message["role"] == "tool":
            if message.get("tool_call_id") not in asked:
                raise RequestError(
                    f"Invalid parameter: {where} has role 'tool' and must be a response to a "
                    "preceding message with 'tool_calls' that holds its 'tool_call_id'.",
                    param=f"{where}.role",
                )
            answered.add(str(message["tool_call_id"]))
            continue
        if asked - answered:
            missing = ", ".join(sorted(asked - answered))
            raise RequestError(
                "An assistant message with 'tool_calls' must be followed by tool messages "
                f"responding to each 'tool_call_id'. These had no response: {missing}.",
                param="messages",
            )
        asked = {str(call.get("id")) for call in message.get("tool_calls") or ()}
        answered = set()


def _check_numbers(body: Mapping[str, Any]) -> None:
    for name, least, greatest, whole in _NUMBERS:
        value = body.get(name)
        if value is None:
            continue
        kind = int if whole else (int, float)
        # JSON's true and false are ints to Python, but not to a provider.
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= greatest:
            raise RequestError(
                f"Invalid value for '{name}': expected {'an integer' if whole else 'a number'} "
                f"from {least} to {greatest}.",
                param=name,
            )
    stop = body.get("stop")
    if stop is not None and not (
        isinstance(stop, str)
        or (isinstance(stop, list) and all(isinstance(item, str) for item in stop))
    ):
        raise RequestError("Invalid type for 'stop': expected a string or strings.", param="stop")


def _tools(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise RequestError("Invalid type for 'tools': expected an array.", param="tools")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RequestError(
                f"Missing required parameter: 'tools[{index}].function.name'.",
                param=f"tools[{index}].function.name",
            )
        _check_known(f"tools[{index}]", tool, _TOOL_KEYS)
    return tools


def _check_tool_choice(request: ChatRequest) -> None:
    if request.tool_choice not in ("auto", "none", "required", "named"):
        raise RequestError(f"Invalid tool_choice: {request.tool_choice!r}.", param="tool_choice")
    if request.tool_choice in ("required", "named") and not request.tools:
        raise RequestError(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.",
            param="tool_choice",
        )
    names = [tool["function"]["name"] for tool in request.tools]
    if request.named_tool is not None and request.named_tool not in names:
        raise RequestError(
            f"Tool choice '{request.named_tool}' not found in 'tools' parameter.",
            param="tool_choice",
        )
