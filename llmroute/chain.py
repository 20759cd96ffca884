"""RouterChain: the LangChain chat model that routes.

It is a transparent proxy. Its public methods decide first and then call the chosen member's own
public method with the caller's config, so that every provider call is one LLM run under the name of
the model that answered, usage is counted once, and nothing a member can do is lost. Which model to
ask next is `flow.py`'s; here are only the ways to ask.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from os import PathLike
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.callbacks.base import Callbacks
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool

from llmroute.engine.drafts import config_kwargs
from llmroute.engine.prepare import Prepared
from llmroute.request.request import TOOLS_ARGUMENT, BoundSchema, BoundTools, Request
from llmroute.routing.router import RoutedRequest, Router
from llmroute.routing.structured_output import StructuredRouter


class RouterChain(Router):
    """A chat model that sends each request to the cheapest model that will answer it well enough.

        router = RouterChain(pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"])
        chain = prompt | router | StrOutputParser()

    It goes wherever a chat model goes: chains, agents, `bind_tools`, `with_structured_output`,
    streams, batches, sync and async. Every answer carries the whole record in
    `response_metadata["llmroute"]`; see `llmroute.records.Decision`. In a stream the decision
    stands on the first chunk and the bill (calls, cost, saving) on the last; added up, the chunks
    have both.

    Args:
        pool: A `ModelPool`, or a list of models or of their names.
        policy: How to choose; by default `CheapestAbove(quality=0.95)`.
        scorer: `"static"` (bundled), the folder of a router made by `llmroute train`, or a
            `Scorer`.
        escalation: What looks at an answer before the user sees it, and asks a stronger model when
            it is not good enough. By default `"auto"`: every call, draft and check is planned by
            what it is expected to gain and cost. Or a rule (`Margin`, `Disagreement`, several
            joined by `|` and `&`), a function from the answer to whether to escalate, or None.
        timeout: Seconds to wait for the provider's next word in one attempt, for members that set
            none. A member that is a chat model of your own keeps its own timeout.
        max_retries: Further tries on the same model after 429, 5xx or a lost connection, before
            the next model is asked.
        max_retry_wait: Seconds; when a provider asks to wait longer, the next model is asked.
        cooldown: when a model that keeps failing is not asked for a while; None asks it every time.
        when_refused: The member to ask when a provider's content policy refused a request; by
            default the refusal is raised.
        empty_stream_fails: Ask the next model when a stream ends properly without any content.
            A whole answer with nothing in it always counts as failed, outside of a tool loop.
        conversation: How a conversation stays with its model.
        sessions: Where the last model of each conversation is remembered; by default in this
            process.
        observers: Who is told of every request from beginning to end, such as
            `llmroute.otel.Telemetry`.
        temperature: Passed on to the chosen model, when set.
        max_tokens: Likewise.
        stop: Likewise.
        streaming: Let members stream internally even when the whole answer is asked for.
        api_key: The key for members given by name that have none of their own.

    A call may override the router's settings: `config["configurable"]` or arguments of the call may
    have `llmroute_policy`, `llmroute_models`, `llmroute_cost`, `llmroute_latency`,
    `llmroute_strong_share`; see `llmroute.request.overrides.Overrides`. `model="name"` asks one
    member.

    Raises:
        ConfigurationError: At construction, when pool and policy cannot work together.
        NoEligibleModel: No model can take the request.
        ProviderError: The request itself failed, in a way another model would not cure.
        AllModelsFailed: Every eligible model was asked in vain.
    """

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], *, chat_models: Mapping[str, BaseChatModel] | None = None
    ) -> Self:
        """The router that a YAML or JSON file describes; see docs/configuration.md.

        Args:
            path: The file; `.json`, `.yaml` or `.yml`.
            chat_models: LangChain chat models for the members that the file leaves to them, by
                name.

        Raises:
            ConfigurationError: With file, line and column: what is wrong and what was expected.
        """
        from llmroute.config import read_router  # noqa: PLC0415  # needs YAML, and most do not

        return read_router(cls, path, chat_models=chat_models)

    def to_file(self, path: str | PathLike[str]) -> None:
        """Write the router to a YAML or JSON file, without keys.

        Args:
            path: The file, which is replaced; its suffix says in which format.

        Raises:
            ConfigurationError: Something of the router cannot be written, such as a function.
        """
        from llmroute.config import write_router  # noqa: PLC0415  # likewise

        write_router(self, path)

    # ---- a chat model's public methods

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Route, and return the answer with its record."""
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)
        answer: AIMessage = self.answer(request, config, lambda p: p.call("invoke"))
        return answer

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """`invoke` on an event loop."""
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)
        answer: AIMessage = await self.aanswer(request, config, lambda p: p.call("ainvoke"))
        return answer

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Route, and stream the answer: decision on the first chunk, bill on the last."""
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)
        if self._whole_only(request):
            yield self.invoke(input, config, stop=stop, **kwargs)  # type: ignore[misc]
            return
        yield from self.answer_stream(request, config)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """`stream` on an event loop."""
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)
        if self._whole_only(request):
            yield await self.ainvoke(input, config, stop=stop, **kwargs)  # type: ignore[misc]
            return
        async with aclosing(self.aanswer_stream(request, config)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _whole_only(self, request: Request) -> bool:
        return self.disable_streaming is True or (
            self.disable_streaming == "tool_calling" and request.needs.tools
        )

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: uuid.UUID | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Route each list of messages by itself, and return all generations."""
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        return _merged(
            [
                self._generated(one, stop, config, kwargs)
                for one, config in zip(messages, configs, strict=True)
            ]
        )

    def _generated(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        config: RunnableConfig,
        kwargs: dict[str, Any],
    ) -> LLMResult:
        request = self.prepare_request(messages, kwargs, config, stop)
        result: LLMResult = self.answer(
            request,
            config,
            lambda p: p.model.generate([p.messages], **config_kwargs(p.config), **p.arguments),
        )
        return result

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        *,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: uuid.UUID | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """`generate` on an event loop, all lists at once."""
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        results = [
            self._agenerated(one, stop, config, kwargs)
            for one, config in zip(messages, configs, strict=True)
        ]
        return _merged(await asyncio.gather(*results))

    async def _agenerated(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        config: RunnableConfig,
        kwargs: dict[str, Any],
    ) -> LLMResult:
        request = self.prepare_request(messages, kwargs, config, stop)
        result: LLMResult = await self.aanswer(
            request,
            config,
            lambda p: p.model.agenerate([p.messages], **config_kwargs(p.config), **p.arguments),
        )
        return result

    # `stream_events(version="v3")` and `astream_events(version="v3")` of a chat model end in these.
    # Another model can be asked until the first content; the stream's own record is the run's
    # metadata, because v3 assembles its message by itself.

    def _chat_model_stream_v3(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)

        def opened(p: Prepared) -> Any:
            stream = p.call("_chat_model_stream_v3")
            for event in stream:  # every iteration starts from the beginning, so nothing is lost
                if event["event"] != "message-start":
                    break
            return stream

        return self._handed_over(self._ask(request, config, opened))

    async def _achat_model_stream_v3(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        config = ensure_config(config)
        request = self.prepare_request(input, kwargs, config, stop)

        async def opened(p: Prepared) -> Any:
            stream = await p.call("_achat_model_stream_v3")
            async for event in stream:
                if event["event"] != "message-start":
                    break
            return stream

        return self._handed_over(await self._aask(request, config, opened))

    def _handed_over(self, routed: RoutedRequest) -> Any:
        # The caller reads the stream by itself, so that this is all that is known of it.
        self._record_of(routed).finish()
        return routed.answered.result.value

    # ---- what is bound is kept, and bound again on the model that is chosen

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; each request's model binds them in its own provider's format.

        Args:
            tools: Anything the members' `bind_tools` take.
            tool_choice: As the members' `bind_tools` take it.
            kwargs: Further arguments for the members' `bind_tools`.
        """
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(**{TOOLS_ARGUMENT: BoundTools.of(tools, **kwargs)})

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers parsed to a schema, by the chosen model's own means.

        Args:
            schema: A pydantic class, TypedDict, JSON schema or tool schema.
            include_raw: Return `{"raw", "parsed", "parsing_error"}`; the record is then in the
                raw message's metadata. A parsed value alone has no place for it.
            kwargs: `method`, `strict` and what else the members' own method takes.
        """
        options = {**kwargs, "include_raw": include_raw}
        return StructuredRouter(router=self, bound=BoundSchema.of(schema, **options))

    # ---- a chat model's private methods, for callers that use those

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        config = ensure_config()
        request = self.prepare_request(messages, kwargs, config, stop)
        result: ChatResult = self.answer(
            request,
            config,
            lambda p: p.model._generate(p.messages, run_manager=run_manager, **p.arguments),
        )
        return result

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        config = ensure_config()
        request = self.prepare_request(messages, kwargs, config, stop)
        result: ChatResult = await self.aanswer(
            request,
            config,
            lambda p: p.model._agenerate(p.messages, run_manager=run_manager, **p.arguments),
        )
        return result


def _configs(
    count: int,
    callbacks: Callbacks,
    tags: list[str] | None,
    metadata: dict[str, Any] | None,
    run_name: str | None,
    run_id: uuid.UUID | None,
) -> list[RunnableConfig]:
    """`generate`'s separate arguments as a config for each of its lists; one has the run id."""
    given = {"callbacks": callbacks, "tags": tags, "metadata": metadata, "run_name": run_name}
    shared: Any = {name: value for name, value in given.items() if value is not None}
    configs: list[Any] = [ensure_config(shared) for _ in range(count)]
    if configs and run_id is not None:
        configs[0]["run_id"] = run_id
    return configs


def _merged(results: Sequence[LLMResult]) -> LLMResult:
    return LLMResult(
        generations=[row for r in results for row in r.generations],
        run=[run for r in results for run in r.run or []] or None,
    )
