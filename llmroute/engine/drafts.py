"""Drafts that nobody sees: calls kept out of token streams, until one is accepted.

A draft is a provider's call like any other: it is traced, its usage is counted. But its words are
not the user's unless it is accepted. So it is asked without the handlers that carry tokens to
`astream_events`, LangGraph's messages mode and the like; and when it is accepted, those handlers
alone are notified of it, as of an answer that has just been given.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManager,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManager,
)
from langchain_core.language_models._compat_bridge import message_to_events
from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers._streaming import _StreamingCallbackHandler, _V2StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from llmroute.engine.prepare import Prepared
from llmroute.request.request import Request

_Manager = TypeVar("_Manager", CallbackManager, AsyncCallbackManager)

#: LangGraph's mark on a call whose tokens are not streamed.
NO_STREAM = "nostream"


def without_streaming(config: RunnableConfig) -> RunnableConfig:
    """The config of a call whose words nobody may see: no handler that carries tokens on.

    Args:
        config: The config the call would have if it were the user's.
    """
    callbacks: Any = config.get("callbacks")
    carriers: list[BaseCallbackHandler] = []
    if isinstance(callbacks, list):
        carriers = [h for h in callbacks if _carries_tokens(h)]
        callbacks = [h for h in callbacks if h not in carriers]
    elif isinstance(callbacks, BaseCallbackManager):
        handlers = [*callbacks.handlers, *callbacks.inheritable_handlers]
        carriers = [h for h in handlers if _carries_tokens(h)]
        callbacks = callbacks.copy()
        for handler in carriers:
            callbacks.remove_handler(handler)
    quieted: RunnableConfig = {
        **config,
        "callbacks": callbacks,
        "tags": [*(config.get("tags") or []), NO_STREAM],
    }
    if (
        carriers
    ):  # they know the caller's run by its id, which is left to a call they are notified of
        quieted.pop("run_id", None)
    return quieted


def invoke_hidden(request: Request) -> Callable[[Prepared], Any]:
    """How a draft is asked: whole; of several answers in one call, all.

    Args:
        request: What is asked, as the draft's call has it.

    Returns:
        A way to make a prepared call: what comes is a message, raw and parsed, or messages.
    """
    if not _is_several(request):
        return lambda p: p.call("invoke")
    return lambda p: _messages(
        p.model.generate([p.messages], **config_kwargs(p.config), **p.arguments)
    )


def ainvoke_hidden(request: Request) -> Callable[[Prepared], Awaitable[Any]]:
    """`invoke_hidden` on an event loop.

    Args:
        request: What is asked, as the draft's call has it.
    """
    if not _is_several(request):
        return lambda p: p.call("ainvoke")

    async def several(p: Prepared) -> list[Any]:
        return _messages(
            await p.model.agenerate([p.messages], **config_kwargs(p.config), **p.arguments)
        )

    return several


def _is_several(request: Request) -> bool:
    # Structured output has no `generate`: of several answers it parses the first.
    return (request.arguments.get("n") or 1) > 1 and request.schema is None


def _messages(result: LLMResult) -> list[Any]:
    return [generation.message for generation in result.generations[0]]  # type: ignore[union-attr]


def config_kwargs(config: RunnableConfig) -> dict[str, Any]:
    """A config as `generate`'s separate arguments."""
    names = ("callbacks", "tags", "metadata", "run_name", "run_id")
    return {name: config.get(name) for name in names}


def _carries_tokens(handler: BaseCallbackHandler) -> bool:
    return isinstance(handler, (_StreamingCallbackHandler, _V2StreamingCallbackHandler))


@dataclass(frozen=True)
class AcceptedDraft:
    """An accepted draft, called like the chat model it came from; no provider is asked again.

    Attributes:
        message: The message.
        value: What the caller's method gives: the message, or what was parsed from it.
    """

    message: AIMessage
    value: Any

    def invoke(self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The value; handlers that carry tokens are notified."""
        self._tell(messages, config)
        return self.value

    async def ainvoke(
        self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """`invoke` on an event loop."""
        await self._atell(messages, config)
        return self.value

    def stream(
        self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """The value as the one chunk of a stream."""
        self._tell(messages, config, tokens=True)
        yield self._chunk()

    async def astream(
        self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """`stream` on an event loop."""
        await self._atell(messages, config, tokens=True)
        yield self._chunk()

    def generate(self, messages: list[list[BaseMessage]], **config: Any) -> LLMResult:
        """The message as `generate` gives it."""
        self._tell(messages[0], config)
        return LLMResult(generations=[[ChatGeneration(message=self.message)]])

    async def agenerate(self, messages: list[list[BaseMessage]], **config: Any) -> LLMResult:
        """`generate` on an event loop."""
        await self._atell(messages[0], config)
        return LLMResult(generations=[[ChatGeneration(message=self.message)]])

    def _generate(self, messages: list[BaseMessage], **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message)])

    async def _agenerate(self, messages: list[BaseMessage], **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message)])

    def _chat_model_stream_v3(
        self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatModelStream:
        self._tell(messages, config)
        stream = ChatModelStream(message_id=self.message.id)
        for event in message_to_events(self.message):
            stream.dispatch(event)
        return stream

    async def _achat_model_stream_v3(
        self, messages: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncChatModelStream:
        await self._atell(messages, config)
        stream = AsyncChatModelStream(message_id=self.message.id)
        for event in message_to_events(self.message):
            stream.dispatch(event)
        return stream

    def _chunk(self) -> Any:
        return _as_chunk(self.value) if isinstance(self.value, AIMessage) else self.value

    def _tell(
        self, messages: Any, config: Mapping[str, Any] | None, *, tokens: bool = False
    ) -> None:
        listeners = _Listeners.of(config, tokens)
        if not listeners.any:
            return
        manager = listeners.manager(CallbackManager)
        (run,) = manager.on_chat_model_start(
            {}, [messages], run_id=uuid.uuid4(), name=listeners.name
        )
        for handlers, event, argument in self._events(listeners):
            run.handlers = handlers
            getattr(run, event)(**argument)

    async def _atell(
        self, messages: Any, config: Mapping[str, Any] | None, *, tokens: bool = False
    ) -> None:
        listeners = _Listeners.of(config, tokens)
        if not listeners.any:
            return
        manager = listeners.manager(AsyncCallbackManager)
        (run,) = await manager.on_chat_model_start(
            {}, [messages], run_id=uuid.uuid4(), name=listeners.name
        )
        for handlers, event, argument in self._events(listeners):
            run.handlers = handlers
            await getattr(run, event)(**argument)

    def _events(
        self, listeners: _Listeners
    ) -> Iterator[tuple[list[BaseCallbackHandler], str, dict[str, Any]]]:
        """What follows the start: for which handlers, by which method, with what."""
        chunk = ChatGenerationChunk(message=_as_chunk(self.message))
        token = {"token": chunk.text, "chunk": chunk}
        yield [*listeners.tokens, *listeners.printers], "on_llm_new_token", token
        for event in message_to_events(self.message):
            yield listeners.events, "on_stream_event", {"event": event}
        yield [*listeners.tokens, *listeners.events], "on_llm_end", {"response": self._result()}

    def _result(self) -> LLMResult:
        return LLMResult(generations=[[ChatGeneration(message=self.message)]])


@dataclass(frozen=True)
class _Listeners:
    """Who is notified of an accepted draft.

    Attributes:
        tokens: Handlers that did not see the draft's own run, and are notified of a whole run.
        events: Likewise, those that read content-block events in place of tokens.
        printers: Handlers that saw the draft's run, and are notified of the tokens only.
        name: The run's, by which listeners choose what they hear.
        settings: The run's parent, tags and metadata.
    """

    tokens: list[BaseCallbackHandler]
    events: list[BaseCallbackHandler]
    printers: list[BaseCallbackHandler]
    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, config: Mapping[str, Any] | None, streamed: bool) -> _Listeners:
        """The handlers of a call.

        Args:
            config: The call's config.
            streamed: Whether the caller asked for a stream, so that tokens are expected.
        """
        config = config or {}
        callbacks = config.get("callbacks")
        given: Sequence[BaseCallbackHandler] = (
            callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []
        )
        carriers = [h for h in given if _carries_tokens(h)]
        events: list[BaseCallbackHandler] = [
            h for h in carriers if isinstance(h, _V2StreamingCallbackHandler)
        ]
        return cls(
            tokens=[h for h in carriers if h not in events],
            events=events,
            printers=[
                h for h in given if streamed and not _carries_tokens(h) and not _is_tracer(h)
            ],
            name=config.get("run_name") or "RouterChain",
            settings={
                "parent_run_id": getattr(callbacks, "parent_run_id", None),
                "tags": [*getattr(callbacks, "tags", []), *(config.get("tags") or [])],
                "metadata": {
                    **getattr(callbacks, "metadata", {}),
                    **(config.get("metadata") or {}),
                },
            },
        )

    @property
    def any(self) -> bool:
        return bool(self.tokens or self.events or self.printers)

    def manager(self, kind: type[_Manager]) -> _Manager:
        """A manager of the handlers that are notified of a whole run."""
        return kind(handlers=[*self.tokens, *self.events], **self.settings)


def _is_tracer(handler: BaseCallbackHandler) -> bool:
    # A tracer keeps a tree of runs, and would miss the run a lone token belongs to.
    return isinstance(handler, (BaseTracer, AsyncBaseTracer))


def _as_chunk(message: AIMessage) -> AIMessageChunk:
    usage: UsageMetadata | None = message.usage_metadata
    calls = [
        tool_call_chunk(name=c["name"], args=_json(c["args"]), id=c["id"], index=i)
        for i, c in enumerate([*message.tool_calls, *message.invalid_tool_calls])
    ]
    return AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_call_chunks=calls,
        usage_metadata=usage,
        id=message.id,
        name=message.name,
        chunk_position="last",
    )


def _json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
