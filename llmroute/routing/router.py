"""The base of every router: how it decides, and how it asks until a model answers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Self, TypeAlias

from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from llmroute.engine import flow
from llmroute.engine.calls import OwnConfig, RequestCalls, with_value
from llmroute.engine.drafts import ainvoke_hidden, invoke_hidden
from llmroute.engine.drivers import adrive, drive
from llmroute.engine.flow import Answered, Ask, CallResult, Flow
from llmroute.engine.messages import with_record
from llmroute.engine.prepare import Inherited, Prepared, is_warm, warm_up
from llmroute.engine.retry import Retry
from llmroute.engine.streaming import StreamRecord, aopen_stream, open_stream
from llmroute.records import Decision
from llmroute.request.capabilities import must_count
from llmroute.request.conversation import DEFAULT, last_turn
from llmroute.request.request import (
    TOOLS_ARGUMENT,
    BoundSchema,
    BoundTools,
    Request,
    Tool,
    read_request,
)
from llmroute.routing.decide import DecisionContext, decide, policy_of
from llmroute.routing.router_settings import RouterSettings
from llmroute.scoring.registry import load_scorer
from llmroute.scoring.scorer import Scorer
from llmroute.state.observers import Watching
from llmroute.state.router_state import RouterState
from llmroute.state.sessions import Turn, suppress_store_errors
from llmroute.state.tracing import atraced, traced

#: One way to make a prepared call: what the model's method returns, or, on an event loop, an
#: awaitable of it.
Method: TypeAlias = Callable[[Prepared], Any]


@dataclass(frozen=True)
class RoutedRequest:
    """A request that a model has answered, or begun to.

    Attributes:
        answered: The end of the flow.
        decision: What was decided.
        watching: Who is told when the answer is whole.
    """

    answered: Answered
    decision: Decision
    watching: Watching


class Router(RouterSettings):
    """Decides by a router's settings, and asks until a model answers.

    `RouterChain` adds the ways a chat model is called.
    """

    def decide(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        tools: Sequence[Tool] = (),
        schema: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> Decision:
        """Which model would be asked, and why. No model is called.

        Args:
            input: A string, messages, or a prompt value.
            config: The config of the call, for its session and overrides.
            tools: Tools that would be bound.
            schema: A schema that would be asked for.
            kwargs: Further arguments of the call, such as `n` or `logprobs`.
        """
        return self.decide_batch([input], config, tools=tools, schema=schema, **kwargs)[0]

    def decide_batch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | None = None,
        *,
        tools: Sequence[Tool] = (),
        schema: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> list[Decision]:
        """`decide` for many inputs, which are scored together."""
        if tools:
            kwargs[TOOLS_ARGUMENT] = BoundTools.of(tools)
        bound = BoundSchema.of(schema) if schema is not None else None
        config = ensure_config(config)
        return self.decide_requests(
            [self.prepare_request(i, kwargs, config, schema=bound) for i in inputs]
        )

    async def adecide(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Decision:
        """`decide` without blocking the event loop while the scorer loads; arguments likewise."""
        await self._aload()
        return await asyncio.to_thread(self.decide, input, config, **kwargs)

    def decide_requests(self, requests: Sequence[Request]) -> list[Decision]:
        """`decide` for requests that have been read; they are scored together."""
        return decide(requests, self.decision_context())

    def decision_context(self) -> DecisionContext:
        """What this router decides on now."""
        cooling = self._state.cooldowns.cooling_down() if self.cooldown is not None else {}
        return DecisionContext(
            self.pool, self.active_scorer(), self.policy, self.escalation, self._state, cooling
        )

    def fresh_copy(self, **settings: Any) -> Self:
        """A copy with other settings, which has seen nothing yet."""
        copied = self.model_copy(update=settings)
        copied._state = RouterState()
        return copied

    async def _adecide(self, request: Request) -> Decision:
        await self._aload()
        if must_count(self.pool, request.text):
            # Counting tokens may import LiteLLM, which takes seconds.
            return (await asyncio.to_thread(self.decide_requests, [request]))[0]
        return self.decide_requests([request])[0]

    def active_scorer(self) -> Scorer:
        """The scorer that estimates; the first call loads it."""
        given, loaded = self._loaded
        if loaded is None or given is not self.scorer:
            given = self.scorer
            is_path = isinstance(given, (str, PathLike))
            loaded = load_scorer(os.fspath(given)) if is_path else given
            self._loaded = given, loaded
        scorer: Scorer = loaded
        return scorer

    async def _aload(self) -> None:
        if self._loaded[1] is None:
            await asyncio.to_thread(self.active_scorer)

    def prepare_request(
        self,
        input: LanguageModelInput,
        arguments: Mapping[str, Any],
        config: RunnableConfig,
        stop: list[str] | None = None,
        schema: BoundSchema | None = None,
    ) -> Request:
        """Read a call: messages, what they need of a model, settings, and who answered last."""
        own = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": stop or self.stop,
        }
        settings = {name: value for name, value in own.items() if value not in (None, [])}
        if self.streaming:
            settings["stream"] = True
        messages = self._convert_input(input).to_messages()
        request = read_request(messages, {**settings, **arguments}, schema, config)
        overrides = request.overrides
        turn = last_turn(messages, self.pool.names, self._remembered(overrides.session))
        if turn is None and self.conversation is DEFAULT:
            return request  # as most are
        return replace(request, conversation=self.conversation, turn=turn)

    def _remembered(self, session: str | None) -> Turn | None:
        if session is not None:
            with suppress_store_errors("tell"):
                return self.sessions.last(session)
        return None

    def _ask(self, request: Request, config: RunnableConfig, method: Method) -> RoutedRequest:
        handling = sys.exc_info()[1]
        decision = traced(config, lambda: self.decide_requests([request])[0])
        watching = Watching(self.observers, decision)
        calls = self._calls(request, decision, config, handling)

        def perform(ask: Ask) -> CallResult:
            warm_up(self.pool[ask.model])
            attempt = calls.begin(ask)
            make = invoke_hidden(attempt.request) if ask.hidden else method
            try:
                value = make(attempt.prepared)
            except Exception as error:
                return attempt.raised(error)
            return attempt.returned(value)

        with watching.active():
            answered = drive(self.flow_for(request, decision), perform)
            if answered.ask.hidden:
                answered = with_value(answered, method(calls.accepted_draft(answered)))
        return self._asked(answered, decision, watching, request)

    async def _aask(
        self, request: Request, config: RunnableConfig, method: Method
    ) -> RoutedRequest:
        handling = sys.exc_info()[1]
        decision = await atraced(config, lambda: self._adecide(request))
        watching = Watching(self.observers, decision)
        calls = self._calls(request, decision, config, handling)

        async def perform(ask: Ask) -> CallResult:
            member = self.pool[ask.model]
            if not is_warm(member):
                await asyncio.to_thread(warm_up, member)
            attempt = calls.begin(ask)
            make = ainvoke_hidden(attempt.request) if ask.hidden else method
            try:
                value = await make(attempt.prepared)
            except Exception as error:
                return attempt.raised(error)
            return attempt.returned(value)

        with watching.active():
            answered = await adrive(self.flow_for(request, decision), perform)
            if answered.ask.hidden:
                answered = with_value(answered, await method(calls.accepted_draft(answered)))
        return self._asked(answered, decision, watching, request)

    def _calls(
        self,
        request: Request,
        decision: Decision,
        config: RunnableConfig,
        handling: BaseException | None,
    ) -> RequestCalls:
        return RequestCalls(
            pool=self.pool,
            request=request,
            decision=decision,
            given=config,
            config=OwnConfig(self.tags, self.metadata, self.callbacks),
            inherited=Inherited(
                self.timeout, self.api_key, self.cache, self.rate_limiter, self.output_version
            ),
            empty_stream_fails=self.empty_stream_fails,
            note=self._note,
            handling=handling,
        )

    def _note(self, ask: Ask, result: CallResult) -> None:
        if self.cooldown is not None:
            self._state.cooldowns.note(ask.model, result.error, self.cooldown, self.max_retry_wait)

    def _asked(
        self, answered: Answered, decision: Decision, watching: Watching, request: Request
    ) -> RoutedRequest:
        session = request.overrides.session
        if session is not None:
            turn = Turn(answered.ask.model, decision.prompt_tokens, time.time())
            with suppress_store_errors("remember"):
                self.sessions.remember(session, turn)
        return RoutedRequest(answered, decision, watching)

    def flow_for(self, request: Request, decision: Decision) -> Flow:
        """The calls that a decision leads to, as a generator that makes none of them itself."""
        checking = None
        if decision.check is not None and self.escalation is not None:
            policy = policy_of(request, self.policy)
            checking = self.escalation.of(request, decision, policy, self.pool, self._state)
        return flow.answer(decision, self.pool, self._retry, checking)

    @property
    def _retry(self) -> Retry:
        return Retry(
            times=self.max_retries, max_wait_s=self.max_retry_wait, when_refused=self.when_refused
        )

    def answer(self, request: Request, config: RunnableConfig, method: Method) -> Any:
        """Ask until a model answers, and return what its method returned, with the record.

        Args:
            request: What was asked, by `prepare_request`.
            config: The call's config.
            method: Makes a prepared call, such as by the chat model's `invoke`.
        """
        return self._recorded(self._ask(request, config, method))

    async def aanswer(self, request: Request, config: RunnableConfig, method: Method) -> Any:
        """`answer` on an event loop; the method's value is awaited."""
        return self._recorded(await self._aask(request, config, method))

    def _recorded(self, asked: RoutedRequest) -> Any:
        answered, decision = asked.answered, asked.decision
        last = answered.accepted or flow.call_record(
            answered.ask, answered.result, decision, self.pool
        )
        completed = flow.complete(decision, answered, self.pool, last)
        asked.watching.ended(completed)
        return with_record(answered.result.value, completed.to_json())

    def answer_stream(self, request: Request, config: RunnableConfig) -> Iterator[Any]:
        """`answer` as a stream: the decision on the first chunk, the bill on the last."""
        asked = self._ask(request, config, lambda p: open_stream(p.call("stream")))
        record = self._record_of(asked)
        opened = asked.answered.result.value
        try:
            for chunk in opened:
                yield record.annotate(chunk)
        except Exception as error:
            raise record.interrupted(error) from None
        finally:
            opened.close()
            record.finish()
        if (final_chunk := record.final_chunk()) is not None:
            yield final_chunk

    async def aanswer_stream(
        self, request: Request, config: RunnableConfig
    ) -> AsyncGenerator[Any, None]:
        """`answer_stream` on an event loop."""
        asked = await self._aask(request, config, lambda p: aopen_stream(p.call("astream")))
        record = self._record_of(asked)
        opened = asked.answered.result.value
        try:
            async for chunk in opened:
                yield record.annotate(chunk)
        except Exception as error:
            raise record.interrupted(error) from None
        finally:
            await opened.aclose()
            record.finish()
        if (final_chunk := record.final_chunk()) is not None:
            yield final_chunk

    def _record_of(self, asked: RoutedRequest) -> StreamRecord:
        return StreamRecord(asked.answered, asked.decision, self.pool, asked.watching)
