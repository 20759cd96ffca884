"""What a client asks: an OpenAI chat request, read and checked as a provider checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmroute.testing.tokens import count_prompt

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# Name, least and greatest value, whether it has to be whole. Absent and null are always fine.
_NUMBERS = (
    ("temperature", 0, 2, False),
    ("n", 1, 128, True),
    ("max_tokens", 1, float("inf"), True),
    ("max_completion_tokens", 1, float("inf"), True),
    ("top_logprobs", 0, 20, True),
)


class RequestError(Exception):
    """A request the provider turns down.

    Attributes:
        param: The part of the request at fault, or None.
        code: OpenAI's machine-readable code, or None.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.param, self.code = param, code


@dataclass(frozen=True)
class ChatRequest:
    """One chat request, as a scripted model's ``reply`` callable sees it.

    Attributes:
        model: The model asked for.
        messages: The conversation, OpenAI-shaped.
        tools: The tools offered, OpenAI-shaped; empty when there are none.
        body: The whole request body, for anything not named here.
        sample: Which sample of this prompt to give. The choices of one request with ``n`` > 1 are
            numbered from 0. With a temperature above 0 the numbers go on from one request for the
            same prompt to the next (or start at ``seed``, where the request has one), so asking
            again may get another answer; without one, every request starts at 0.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    body: Mapping[str, Any]
    sample: int = 0

    @cached_property
    def last_user(self) -> str:
        """The text of the last user message; empty when there is none."""
        users = [m for m in self.messages if m["role"] == "user"]
        return text_of(users[-1]) if users else ""

    @property
    def last_role(self) -> str:
        """Who spoke last: system, user, assistant or tool."""
        return str(self.messages[-1]["role"])

    @property
    def temperature(self) -> float:
        """The temperature asked for; 0 when the request names none, so that tests repeat."""
        return float(self.body.get("temperature") or 0)

    @property
    def n(self) -> int:
        """How many choices are asked for."""
        return int(self.body.get("n") or 1)

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return bool(self.body.get("stream"))

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings at which an answer ends."""
        stop = self.body.get("stop")
        return (stop,) if isinstance(stop, str) else tuple(stop or ())

    @property
    def max_tokens(self) -> int | None:
        """The most tokens an answer may have, or None."""
        limits = [self.body.get(key) for key in ("max_tokens", "max_completion_tokens")]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def tool_choice(self) -> str:
        """``"auto"``, ``"none"``, ``"required"``, or ``"named"`` (see :attr:`named_tool`)."""
        choice = self.body.get("tool_choice") or "auto"
        if isinstance(choice, Mapping):
            return "named"
        return "required" if choice == "any" else str(choice)

    @property
    def named_tool(self) -> str | None:
        """The tool the client insists on, or None."""
        choice = self.body.get("tool_choice")
        if not isinstance(choice, Mapping):
            return None
        function = choice.get("function")
        return str(function.get("name")) if isinstance(function, Mapping) else ""

    @cached_property
    def prompt_tokens(self) -> int:
        """What the prompt costs in tokens; the rule is in :mod:`llmroute.testing.tokens`."""
        return count_prompt(self.messages, self.tools)


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, the text parts of a list joined by line ends."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in content or ())
    return "\n".join(text for text in texts if isinstance(text, str))


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
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(_is_function_call(call) for call in calls):
        raise RequestError(
            f"Invalid value for '{where}.tool_calls': expected an array of function calls.",
            param=f"{where}.tool_calls",
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
