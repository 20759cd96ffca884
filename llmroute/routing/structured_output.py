"""Structured output through the router: the chosen model parses by its own means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict

from llmroute.request.request import BoundSchema, Request
from llmroute.routing.router import Router


class StructuredRouter(RunnableSerializable[LanguageModelInput, Any]):
    """What `RouterChain.with_structured_output` returns.

    Args:
        router: The router.
        bound: The schema and options, asked of whichever model is chosen.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    router: Router
    bound: BoundSchema

    def _request(
        self, input: LanguageModelInput, kwargs: dict[str, Any], config: RunnableConfig
    ) -> Request:
        return self.router.prepare_request(input, kwargs, config, schema=self.bound)

    def invoke(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Route, and return the parsed answer, or raw and parsed."""
        config = ensure_config(config)
        request = self._request(input, kwargs, config)
        return self.router.answer(request, config, lambda p: p.call("invoke"))

    async def ainvoke(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """`invoke` on an event loop."""
        config = ensure_config(config)
        request = self._request(input, kwargs, config)
        return await self.router.aanswer(request, config, lambda p: p.call("ainvoke"))

    def stream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Route, and stream the answer as it is parsed."""
        config = ensure_config(config)
        yield from self.router.answer_stream(self._request(input, kwargs, config), config)

    async def astream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """`stream` on an event loop."""
        config = ensure_config(config)
        request = self._request(input, kwargs, config)
        async with aclosing(self.router.aanswer_stream(request, config)) as values:
            async for value in values:
                yield value
