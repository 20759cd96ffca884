"""The decision as a span of its own in LangChain's traces, beside the calls it led to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackManager, CallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from llmroute.records import Decision

_Manager = TypeVar("_Manager", CallbackManager, AsyncCallbackManager)

#: The span's name.
NAME = "llmroute.decide"


def traced(config: RunnableConfig, decide: Callable[[], Decision]) -> Decision:
    """Decide, inside a span where a trace is being made.

    The span has neither the prompt nor anything else of the request, only the decision. It is made
    inside a trace and never begins one; and it is shown to tracers alone, because whoever follows
    the events of a chain waits for its answers.
    """
    manager = _inside(config, CallbackManager)
    if manager is None:
        return decide()
    span = manager.on_chain_start({}, {}, name=NAME)
    try:
        decision = decide()
    except BaseException as error:
        span.on_chain_error(error)
        raise
    span.on_chain_end(decision.to_json())
    return decision


async def atraced(config: RunnableConfig, decide: Callable[[], Any]) -> Decision:
    """`traced` on an event loop."""
    manager = _inside(config, AsyncCallbackManager)
    if manager is None:
        decision: Decision = await decide()
        return decision
    span = await manager.on_chain_start({}, {}, name=NAME)
    try:
        decision = await decide()
    except BaseException as error:
        await span.on_chain_error(error)
        raise
    await span.on_chain_end(decision.to_json())
    return decision


def _inside(config: RunnableConfig, kind: type[_Manager]) -> _Manager | None:
    """A manager of the tracers that follow the run the call is part of; None without any."""
    given = config.get("callbacks")
    if not isinstance(given, BaseCallbackManager) or given.parent_run_id is None:
        return None
    parent = str(given.parent_run_id)
    # A tracer that does not know the run above would take the span for the root of a trace; those
    # that carry a chain's events or tokens to somebody who waits for them are no tracers here.
    tracers: list[Any] = [
        handler
        for handler in given.handlers
        if isinstance(handler, (BaseTracer, AsyncBaseTracer))
        and not isinstance(handler, _StreamingCallbackHandler)
        and parent in handler.run_map
    ]
    if not tracers:
        return None
    return kind(
        handlers=tracers,
        parent_run_id=given.parent_run_id,
        tags=given.tags,
        metadata=given.metadata,
    )
