"""A pool member made ready for one call: what the router passes on, and what is bound, on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableConfig,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.runnables.config import merge_configs
from pydantic import SecretStr

from llmroute.pool import Model
from llmroute.records import Purpose
from llmroute.request.history.cache_control import unmarked_arguments, unmarked_tools
from llmroute.request.history.sanitize import made_safe
from llmroute.request.history.target import Reader
from llmroute.request.history.thinking import (
    Thinking,
    goes_on_without_thought,
    without_asking,
    without_thinking,
)
from llmroute.request.request import BoundSchema, BoundTools, Request


@dataclass(frozen=True)
class Inherited:
    """What is set on the router, and applies to members that set nothing themselves."""

    timeout: float
    api_key: SecretStr | None = None
    cache: BaseCache | bool | None = None
    rate_limiter: BaseRateLimiter | None = None
    output_version: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A call that has only to be made.

    Attributes:
        model: A chat model, or its structured output.
        messages: The conversation as it is sent to this model.
        config: The call's config.
        arguments: Its further arguments.
    """

    model: Any
    messages: list[BaseMessage]
    config: RunnableConfig
    arguments: dict[str, Any]

    def call(self, method: str) -> Any:
        """Make the call by one of the chat model's methods: `"invoke"` or `"astream"`."""
        return getattr(self.model, method)(self.messages, self.config, **self.arguments)


def warm_up(member: Model) -> None:
    """Import what the member's call needs, so that it is not counted as the call's latency."""
    if member.chat_model is None:
        from llmroute.backends.litellm import import_litellm  # noqa: PLC0415  # a decision needs none of it

        import_litellm()


def is_warm(member: Model) -> bool:
    """Whether `warm_up` has nothing left to do."""
    from llmroute.backends.litellm import litellm_is_imported  # noqa: PLC0415  # a decision needs none of it

    return member.chat_model is not None or litellm_is_imported()


def prepare(
    member: Model,
    request: Request,
    config: RunnableConfig,
    inherited: Inherited,
    *,
    hidden: bool = False,
    purpose: Purpose = "answer",
) -> Prepared:
    """The member with everything bound on it, and what its method is to be called with.

    Args:
        member: The model that is asked.
        request: What is asked of it.
        config: The call's config.
        inherited: The router's settings.
        hidden: Nobody may see the answer as it comes, so the member must not stream.
        purpose: Why it is asked. A sample is a new answer, never one from a cache.
    """
    call = _Call(
        _chat_model(member, inherited, hidden, purpose),
        {**_own_arguments(member, inherited), **request.arguments},
        request.tools,
    )
    call, messages = _made_safe(call, request.messages, Reader.of(member))
    model, config, arguments = _bound(call, request.schema, config)
    return Prepared(model, messages, config, arguments)


@dataclass(frozen=True)
class _Call:
    """A call on its way to a member: the chat model, the arguments, and the tools to bind."""

    model: BaseChatModel
    arguments: dict[str, Any]
    tools: BoundTools | None

    def changed(self, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> _Call:
        """The call with its arguments, and those its tools are bound with, changed alike."""
        tools = self.tools and replace(self.tools, options=change(self.tools.options))
        return replace(self, arguments=change(self.arguments), tools=tools)


def _made_safe(
    call: _Call, messages: list[BaseMessage], reader: Reader
) -> tuple[_Call, list[BaseMessage]]:
    """A call that holds nothing of another provider's, and its conversation."""
    if not reader.takes_markers:
        call = call.changed(unmarked_arguments)
        if call.tools is not None:
            tools = tuple(unmarked_tools(call.tools.tools))
            call = replace(call, tools=replace(call.tools, tools=tools))
    if not (reader.is_anthropics and any(isinstance(m, AIMessage) for m in messages)):
        return call, made_safe(messages, reader)
    options = call.tools.options if call.tools is not None else {}
    thinking = Thinking.asked_of(call.model, call.arguments, options)
    if thinking.must_begin_turn and goes_on_without_thought(messages, reader):
        call = replace(call.changed(without_asking), model=without_thinking(call.model))
        thinking = Thinking("disabled")
    return call, made_safe(messages, reader, thoughts=not thinking.is_off)


def _bound(
    call: _Call, schema: BoundSchema | None, config: RunnableConfig
) -> tuple[Any, RunnableConfig, dict[str, Any]]:
    """The chat model with its tools or a schema bound on it."""
    arguments = call.arguments
    if schema is not None:
        structured = call.model.with_structured_output(schema.schema, **schema.options)
        return _structured(structured, config, arguments)
    if call.tools is None:
        return call.model, config, arguments
    bound: Any = call.model.bind_tools(call.tools.tools, **call.tools.options)
    # Unwrapped, because `generate` and v3 streaming are a chat model's own methods.
    while isinstance(bound, RunnableBinding):
        arguments = {**bound.kwargs, **arguments}
        config = merge_configs(bound.config, config)
        bound = bound.bound
    return bound, config, arguments


def _chat_model(
    member: Model, inherited: Inherited, hidden: bool, purpose: Purpose
) -> BaseChatModel:
    model = member.runnable
    names = ("cache", "rate_limiter", "output_version")
    update: dict[str, Any] = {
        name: value
        for name in names
        if (value := getattr(inherited, name)) is not None and getattr(model, name, None) is None
    }
    if hidden:
        update["disable_streaming"] = True
        if "streaming" in type(model).model_fields:
            update["streaming"] = False
        if purpose == "sample":
            update["cache"] = False  # None would mean the cache of `set_llm_cache`
    return model.model_copy(update=update) if update else model


def _own_arguments(member: Model, inherited: Inherited) -> dict[str, Any]:
    # Only our own backend is sure to take these as arguments of a call.
    if member.chat_model is not None:
        return {}
    arguments: dict[str, Any] = {}
    if "timeout" not in member.params:
        arguments["timeout"] = member.timeout or inherited.timeout
    if member.api_key is None and inherited.api_key is not None:
        arguments["api_key"] = inherited.api_key
    return arguments


def _structured(
    structured: Runnable[Any, Any], config: RunnableConfig, arguments: dict[str, Any]
) -> tuple[Runnable[Any, Any], RunnableConfig, dict[str, Any]]:
    # A sequence hands arguments to its first step. With `include_raw` that step is a map, which
    # drops them, so there they are bound on the model inside it.
    if isinstance(structured, RunnableSequence) and isinstance(structured.first, RunnableParallel):
        raw = structured.first.steps__["raw"].bind(**arguments)
        structured = RunnableSequence(RunnableParallel(raw=raw), *structured.steps[1:])
        return structured, config, {}
    return structured, config, arguments
