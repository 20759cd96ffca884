"""One request to the router, read once: messages, what they need, what the scorer reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from llmroute.request.capabilities import Needs
from llmroute.request.conversation import DEFAULT, Conversation
from llmroute.request.overrides import NO_OVERRIDES, PREFIX, Overrides
from llmroute.scoring.text import RoutingText, routing_text
from llmroute.state.sessions import Turn

Tool = dict[str, Any] | type | Callable[..., Any] | BaseTool


@dataclass(frozen=True, kw_only=True)
class _Bound:
    """What is bound to a call in a format of its own.

    Attributes:
        options: Further arguments of the binding.
        characters: The size of what is bound, as JSON.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    characters: int = 0

    def split(self) -> tuple[Self, dict[str, Any]]:
        """This without what is for the router, and that: `model` and the call's overrides.

        Agents bind a call's settings along with its tools.
        """
        routing = {n: v for n, v in self.options.items() if n == "model" or n.startswith(PREFIX)}
        if not routing:
            return self, routing
        options = {n: v for n, v in self.options.items() if n not in routing}
        return replace(self, options=options), routing


@dataclass(frozen=True)
class BoundTools(_Bound):
    """Tools as the caller gave them, to be bound again on the model that is chosen.

    They are kept unconverted because every provider's chat model has a format of its own.
    """

    tools: tuple[Tool, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, tools: Sequence[Tool], **options: Any) -> BoundTools:
        """Read names and size once, when tools are bound, and not at every call."""
        schemas = [_schema_of(tool) for tool in tools]
        names = tuple(str(s.get("function", s).get("name", s.get("type", ""))) for s in schemas)
        characters = sum(len(json.dumps(s)) for s in schemas)
        return cls(tuple(tools), names, options=options, characters=characters)


def _schema_of(tool: Tool) -> dict[str, Any]:
    # A provider's own tool, such as {"google_search": {}}, is no function and stays as it is.
    own = isinstance(tool, dict) and not {"name", "title", "function", "type"} & set(tool)
    return dict(tool) if own else convert_to_openai_tool(tool)  # type: ignore[arg-type]


@dataclass(frozen=True)
class BoundSchema(_Bound):
    """A schema for structured output, to be asked of the model that is chosen."""

    schema: dict[str, Any] | type

    @classmethod
    def of(cls, schema: dict[str, Any] | type, **options: Any) -> BoundSchema:
        """Read its size once, and not at every call."""
        characters = len(json.dumps(convert_to_openai_tool(schema)))
        return cls(schema, options=options, characters=characters)


#: The call argument that carries tools from `bind_tools` to the call.
TOOLS_ARGUMENT = "llmroute_tools"


@dataclass(frozen=True)
class Request:
    """What all drivers know of a request.

    Attributes:
        messages: The conversation.
        text: What the scorer reads of it.
        needs: The capabilities it needs of a model.
        arguments: What is passed on to the chosen model's call.
        tools: Tools to bind on it.
        schema: Structured output to ask of it.
        requested_model: The model the caller named.
        overrides: What the call asks for in place of the router's settings.
        conversation: How its conversation stays with a model.
        turn: The last answer of the conversation, where it is known who gave it.
    """

    messages: list[BaseMessage]
    text: RoutingText
    needs: Needs
    arguments: Mapping[str, Any]
    tools: BoundTools | None = None
    schema: BoundSchema | None = None
    requested_model: str | None = None
    overrides: Overrides = NO_OVERRIDES
    conversation: Conversation = DEFAULT
    turn: Turn | None = None

    @property
    def in_tool_loop(self) -> bool:
        """The last message is a tool's result."""
        return bool(self.messages) and self.messages[-1].type == "tool"

    def varied(self, variation: Variation) -> Request:
        """The request of a call that is not the user's: a draft, a sample, a question about it."""
        messages = list(variation.messages or self.messages)
        if variation.style:
            messages[-1] = _with_words(messages[-1], variation.style)
        dropped = ("stream", *_SHAPES) if variation.bare else ("stream",)
        arguments = {**self.arguments, **variation.arguments}
        arguments = {name: value for name, value in arguments.items() if name not in dropped}
        tools, schema = (None, None) if variation.bare else (self.tools, self.schema)
        if schema is not None:
            schema = replace(schema, options={**schema.options, "include_raw": True})
        return replace(self, messages=messages, arguments=arguments, tools=tools, schema=schema)


#: Arguments that shape an answer, which a question about an answer must not have.
_SHAPES = (
    *("tools", "tool_choice", "parallel_tool_calls", "response_format"),
    *("functions", "function_call", "stop"),
)


def _with_words(message: BaseMessage, words: str) -> BaseMessage:
    """A message with a paragraph more."""
    content = message.content
    if isinstance(content, str):
        return message.model_copy(update={"content": f"{content}\n\n{words}"})
    return message.model_copy(update={"content": [*content, {"type": "text", "text": words}]})


def read_request(
    messages: Sequence[BaseMessage],
    arguments: Mapping[str, Any],
    schema: BoundSchema | None = None,
    config: RunnableConfig | None = None,
) -> Request:
    """Read a call's messages, arguments (`stop` and what was bound included) and config.

    Raises:
        ConfigurationError: An override that cannot be used.
    """
    passed = dict(arguments)
    tools: BoundTools | None = passed.pop(TOOLS_ARGUMENT, None)
    if tools is not None:
        tools, routing = tools.split()
        passed = {**routing, **passed}
    if schema is not None:
        schema, routing = schema.split()
        passed = {**routing, **passed}
    requested_model: str | None = passed.pop("model", None)
    own_overrides = {name: passed.pop(name) for name in list(passed) if name.startswith(PREFIX)}
    overrides = Overrides.of((config or {}).get("configurable", {}), own_overrides)
    given = passed.get("tools")
    extra = (tools.characters if tools else 0) + (schema.characters if schema else 0)
    extra += len(json.dumps(given, default=str)) if given else 0
    text = routing_text(messages, tools.names if tools else (), extra)
    asked = {**tools.options, **passed} if tools else passed
    shape = asked.get("response_format")
    needs = Needs(
        tools=bool(tools and tools.tools) or bool(given),
        json_schema=schema is not None or shape is not None,
        schema_format=_is_schema(shape)
        or (schema is not None and schema.options.get("method") == "json_schema"),
        vision=text.images > 0,
        audio=text.audio > 0,
        pdf=text.files > 0,
        logprobs=bool(asked.get("logprobs")),
        several=(asked.get("n") or 1) > 1,
    )
    return Request(list(messages), text, needs, passed, tools, schema, requested_model, overrides)


def _is_schema(shape: Any) -> bool:
    """Whether a response format asks for more than JSON of any shape."""
    plain = isinstance(shape, Mapping) and shape.get("type") in ("json_object", "text")
    return shape is not None and not plain


@dataclass(frozen=True)
class Variation:
    """How a call differs from the request as the user made it.

    Attributes:
        arguments: Arguments of the call beside the request's own, such as `logprobs`.
        style: What is written below the user's last words, to have the answer in another way.
        messages: A conversation in the request's place.
        bare: Neither tools nor a schema are bound: the call is a question about an answer.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    style: str = ""
    messages: tuple[BaseMessage, ...] | None = None
    bare: bool = False
