"""The router as a middleware of LangChain's agents: every step's model call is routed by itself.

    from langchain.agents import create_agent
    from llmroute.middleware import RouterMiddleware

    agent = create_agent(model, tools, middleware=[RouterMiddleware(pool=[...])])

The agent's own model is replaced by a whole `RouterChain`, not by the member that is chosen. So
tools and response format are bound by LangChain on the router, which binds them again on whichever
member it asks, and retries, fallback, drafts and streaming are the router's, as everywhere.
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

#: Steps whose first model is remembered; of those the agents of one process are in the midst of.
_STEPS = 4096


class RouterState(AgentState[Any]):
    """The agent's state with the record of every step.

    Attributes:
        llmroute_decisions: One record a model call that returned, oldest first, as in
            `response_metadata["llmroute"]` of its answer. `chosen` is None where the answer is
            another middleware's.
    """

    # LangGraph takes an annotation's last entry for the reducer.
    llmroute_decisions: NotRequired[Annotated[list[dict[str, Any]], OmitFromInput, operator.add]]


class RouterMiddleware(AgentMiddleware[RouterState, Any, Any]):
    """Routes every model call of an agent made by `langchain.agents.create_agent`.

    Each step is decided by its own messages, tools and response format. What was decided, asked and
    paid stands in the answer's `response_metadata["llmroute"]` and, step by step, in the state's
    `llmroute_decisions`, which is part of the agent's result.

    A middleware further out that asks again with another model, such as `ModelFallbackMiddleware`
    before this one in the list, has its way: that model is asked, and the record says so. The model
    of a step's first call is always replaced; see docs/agents.md for the order of middleware.

    Args:
        pool: The models, as `RouterChain` takes them.
        router: A `RouterChain` instead.
        settings: `RouterChain`'s other settings, with `pool`.

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
        """Have the router asked in the place of the agent's model.

        Args:
            request: The step's call.
            handler: Makes it.

        Returns:
            What the handler returned, and the record for the state.
        """
        return _recorded(handler(self._routed(request)))

    async def awrap_model_call(
        self, request: _Request, handler: Callable[[_Request], Awaitable[_Response]]
    ) -> ExtendedModelResponse[Any]:
        """`wrap_model_call` on an event loop.

        Args:
            request: The step's call.
            handler: Makes it.

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
