"""A middleware for LangChain's agents that routes each model call by itself.

    from langchain.agents import create_agent
    from llmroute.middleware import RouterMiddleware

    agent = create_agent(model, tools, middleware=[RouterMiddleware(pool=[...])])

The agent's own model is replaced by a whole `RouterChain`, not by the model that it chooses. So
LangChain binds tools and response format on the router, which binds them again on the model that it
calls, and the router does retries, fallback, drafts and streaming, as everywhere.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NotRequired

from langchain_core.messages import AIMessage

from llmroute.chain import RouterChain
from llmroute.errors import ConfigurationError, MissingExtra

try:
    from langchain.agents.middleware.types import (
        AgentMiddleware,
        AgentState,
        ExtendedModelResponse,
        ModelRequest,
        ModelResponse,
        OmitFromInput,
    )
    from langgraph.types import Command
except ImportError:
    raise MissingExtra("RouterMiddleware", "langchain") from None

__all__ = ["RouterMiddleware", "RouterState"]

_Request = ModelRequest[Any]
_Response = ModelResponse[Any]

#: Most steps whose first model is remembered; more are never under way in one process.
_STEPS = 4096


class RouterState(AgentState[Any]):
    """The agent's state with the record of every step.

    Attributes:
        llmroute_decisions: One record for each model call that returned, oldest first, as in
            `response_metadata["llmroute"]` of its answer. `chosen` is None where another
            middleware gave the answer.
    """

    # LangGraph takes an annotation's last entry for the reducer.
    llmroute_decisions: NotRequired[Annotated[list[dict[str, Any]], OmitFromInput, operator.add]]


class RouterMiddleware(AgentMiddleware[RouterState, Any, Any]):
    """Routes every model call of an agent made by `langchain.agents.create_agent`.

    The router decides each step from that step's messages, tools and response format. The record is
    in the answer's `response_metadata["llmroute"]`, and the records of all steps are in the state's
    `llmroute_decisions`, which is part of the agent's result.

    If a middleware further out repeats a step with another model, as `ModelFallbackMiddleware`
    does before this one in the list, that model is called, and the record says so. The model
    of a step's first call is always replaced; see docs/agents.md for the order of middleware.

    Args:
        pool: The models, as `RouterChain` takes them.
        router: A `RouterChain`, in place of `pool` and `settings`.
        settings: `RouterChain`'s other settings.

    Raises:
        ConfigurationError: Neither or both of `pool` and `router` are given, or settings that
            cannot work.
    """

    state_schema = RouterState

    def __init__(
        self, pool: Any = None, *, router: RouterChain | None = None, **settings: Any
    ) -> None:
        super().__init__()
        self.tools = []
        self.router = _router_of(pool, router, settings)
        self._first = _FirstModels()

    def wrap_model_call(
        self, request: _Request, handler: Callable[[_Request], _Response]
    ) -> ExtendedModelResponse[Any]:
        """Make the call with the router in place of the agent's model.

        Returns:
            What the handler returned, and the record for the state.
        """
        return _recorded(handler(self._routed(request)))

    async def awrap_model_call(
        self, request: _Request, handler: Callable[[_Request], Awaitable[_Response]]
    ) -> ExtendedModelResponse[Any]:
        """`wrap_model_call` on an event loop.

        Returns:
            What the handler returned, and the record for the state.
        """
        return _recorded(await handler(self._routed(request)))

    def _routed(self, request: _Request) -> _Request:
        """The request with the router for its model, unless somebody outside has replaced it."""
        step = request.runtime.execution_info if request.runtime else None
        if step is not None and self._first.of(step, request.model) != id(request.model):
            return request
        return request.override(model=self.router)


class _FirstModels:
    """The model each running step first came with, by which a replaced one is known.

    LangChain runs every middleware in a copy of the context, so that a context variable set in a
    step's first call is gone in its second. What both have is LangGraph's `ExecutionInfo`, which no
    two steps share. The agent holds on to its model while the step runs, so its id will do.
    """

    def __init__(self) -> None:
        self._ids: OrderedDict[Any, int] = OrderedDict()

    def of(self, step: Any, model: Any) -> int:
        """The id of the step's first model, which is the one given if none is known."""
        first = self._ids.setdefault(step, id(model))
        if len(self._ids) > _STEPS:
            self._ids.popitem(last=False)
        return first


def _router_of(pool: Any, router: RouterChain | None, settings: dict[str, Any]) -> RouterChain:
    if router is None and pool is not None:
        return RouterChain(pool=pool, **settings)
    if pool is not None or settings or not isinstance(router, RouterChain):
        raise ConfigurationError(
            "RouterMiddleware takes `pool=` with RouterChain's settings, or a whole RouterChain as "
            "`router=` and nothing else."
        )
    return router


def _recorded(response: _Response) -> ExtendedModelResponse[Any]:
    records = [_record_of(m) for m in response.result if isinstance(m, AIMessage)]
    return ExtendedModelResponse(response, Command(update={"llmroute_decisions": records}))


def _record_of(message: AIMessage) -> dict[str, Any]:
    metadata = message.response_metadata
    record: dict[str, Any] | None = metadata.get("llmroute")
    return record or {
        "chosen": None,
        "answered_by": metadata.get("model_name"),
        "reason": "The answer came from another middleware, not from the router.",
    }
