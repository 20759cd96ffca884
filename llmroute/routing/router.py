"""What a router is before it is a chat model: its settings, how it decides, and how it asks."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, TypeAlias

from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from typing_extensions import Self

from llmroute.engine import flow
from llmroute.engine.calls import OwnConfig, RequestCalls, with_value
from llmroute.engine.drafts import ainvoke_hidden, invoke_hidden
from llmroute.engine.drivers import adrive, drive
from llmroute.engine.flow import Answered, Ask, CallResult, Flow, Retry
from llmroute.engine.messages import with_record
from llmroute.engine.prepare import Inherited, Prepared, is_warm, warm_up
from llmroute.engine.streaming import StreamRecord, aopen_stream, open_stream
from llmroute.errors import ConfigurationError
from llmroute.policies import CheapestAbove, Policy
from llmroute.pool import ModelPool
from llmroute.records import Decision
from llmroute.request.capabilities import count_tokens, must_count
from llmroute.request.conversation import DEFAULT, Conversation, last_turn
from llmroute.request.request import (
    TOOLS_ARGUMENT,
    BoundSchema,
    BoundTools,
    Request,
    Tool,
    read_request,
)
from llmroute.routing.decide import DecisionContext, decide, policy_of
from llmroute.scoring.registry import load_scorer
from llmroute.scoring.scorer import Scorer
from llmroute.state.cooldown import Cooldown
from llmroute.state.observers import Observer, Watching
from llmroute.state.router_state import RouterState
from llmroute.state.sessions import MemorySessions, Sessions, Turn, suppress_store_errors
from llmroute.state.tracing import atraced, traced
from llmroute.validation import readable_errors

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


class Router(BaseChatModel):
    """The settings of a router, deciding by them, and asking until a model answers.

    `RouterChain` adds the ways a chat model is called; its docstring says what the settings mean.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    pool: ModelPool
    policy: Policy = Field(default_factory=CheapestAbove)
    scorer: Any = "static"
    escalation: Any = Field(default="auto", validate_default=True)
    timeout: float = Field(default=120.0, gt=0)
    max_retries: int = Field(default=1, ge=0)
    max_retry_wait: float = Field(default=8.0, ge=0)
    cooldown: Cooldown | None = Cooldown()
    when_refused: str | None = None
    empty_stream_fails: bool = False
    conversation: Conversation = DEFAULT
    sessions: Sessions = Field(default_factory=MemorySessions, repr=False)
    observers: tuple[Observer, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    api_key: SecretStr | None = None

    # What `scorer` names, and the scorer itself once it is loaded.
    _loaded: tuple[Any, Any] = PrivateAttr(default=(None, None))
    _state: RouterState = PrivateAttr(default_factory=RouterState)

    def __init__(self, **settings: Any) -> None:
        with readable_errors(type(self).__name__):
            super().__init__(**settings)

    def __getstate__(self) -> dict[Any, Any]:
        # A loaded scorer holds an ONNX session, which stays in its process; the copy loads its own.
        state = super().__getstate__()
        private = {**(state.get("__pydantic_private__") or {}), "_loaded": (None, None)}
        return {**state, "__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        fresh = self.__copy__()
        fresh._loaded = (None, None)
        return BaseChatModel.__deepcopy__(fresh, memo)

    @field_validator("pool", mode="before")
    @classmethod
    def _pool_of_names(cls, pool: Any) -> Any:
        return ModelPool(pool) if isinstance(pool, (list, tuple, str)) else pool

    @field_validator("scorer")
    @classmethod
    def _is_a_scorer(cls, scorer: Any) -> Any:
        if isinstance(scorer, (str, PathLike, Scorer)):
            return scorer
        raise ConfigurationError(
            "scorer is a name, the folder of a trained router, or an object with `name`, "
            f"`version` and `estimate(prompts, pool)`; a {type(scorer).__name__} was given."
        )

    @field_validator("escalation")
    @classmethod
    def _escalation_of_a_rule(cls, escalation: Any) -> Any:
        if escalation is None:
            return None
        # Imported here, because a router without it needs none of its rules.
        from llmroute.escalation.escalation import escalation_of

        return escalation_of(escalation)

    @model_validator(mode="after")
    def _settings_fit_pool(self) -> Self:
        self.policy.check(self.pool.names)
        if self.when_refused is not None and self.when_refused not in self.pool:
            raise ConfigurationError(
                f"when_refused is {self.when_refused!r}, which is not in the pool; it has "
                f"{', '.join(map(repr, self.pool.names))}."
            )
        if self.escalation is not None:
            self.escalation.check(self.pool.names)
        return self

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
        """`decide` for requests that have been read; they are scored together.

        Args:
            requests: What was asked, by `prepare_request`.
        """
        return decide(requests, self.decision_context())

    def decision_context(self) -> DecisionContext:
        """What this router decides on now."""
        cooling = self._state.cooldowns.cooling_down() if self.cooldown is not None else {}
        return DecisionContext(
            self.pool, self.active_scorer(), self.policy, self.escalation, self._state, cooling
        )

    def fresh_copy(self, **settings: Any) -> Self:
        """A copy with other settings, which has seen nothing yet.

        Args:
            settings: By name, the fields that differ.
        """
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
        """Read a call once: messages, what they need of a model, settings, and who answered last.

        Args:
            input: A string, messages, or a prompt value.
            arguments: The call's keyword arguments.
            config: The call's config.
            stop: Where to stop.
            schema: Structured output that is asked for.
        """
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
        """The calls that a decision leads to, as a generator that makes none of them itself.

        Args:
            request: What was asked.
            decision: What was decided on it.
        """
        checking = None
        if decision.check is not None and self.escalation is not None:
            policy = policy_of(request, self.policy)
            checking = self.escalation.of(request, decision, policy, self.pool, self._state)
        return flow.answer(decision, self.pool, self._retry, checking)

    @property
    def _retry(self) -> Retry:
        return Retry(
            times=self.max_retries,
            max_wait_s=self.max_retry_wait,
            when_refused=self.when_refused,
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
        asked = self._ask(
            request,
            config,
            lambda p: open_stream(p.model.stream(p.messages, p.config, **p.arguments)),
        )
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
        asked = await self._aask(
            request,
            config,
            lambda p: aopen_stream(p.model.astream(p.messages, p.config, **p.arguments)),
        )
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

    # Callers that cut a conversation to a length count its tokens with the model it goes to.

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Tool] | None = None
    ) -> int:
        """Tokens of the messages, by the member that counts most; without a network.

        Args:
            messages: The messages.
            tools: Tools that are sent along, counted by the size of their schemas.
        """
        extra = BoundTools.of(tools).characters // 4 if tools else 0
        return max(count_tokens(member.litellm_name, messages) for member in self.pool) + extra

    def get_num_tokens(self, text: str) -> int:
        """Tokens of a text, by the member that counts most; without a network."""
        return self.get_num_tokens_from_messages([HumanMessage(text)])

    # A cached answer, a trace or a serialised chain names the router by these.

    @property
    def _llm_type(self) -> str:
        return "llmroute"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "pool": self.pool.names,
            "policy": self.policy.to_record(),
            "escalation": self.escalation and self.escalation.to_record(),
            "scorer": (
                str(self.scorer)
                if isinstance(self.scorer, (str, PathLike))
                else f"{self.scorer.name} {self.scorer.version}"
            ),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "llmroute"
        params.setdefault("ls_model_name", "router")
        if stop := (stop or self.stop):
            params["ls_stop"] = stop
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        """What every member can do: callers such as `create_agent` plan by it."""
        profiles = [m.profile for m in self.pool]
        shared = set(profiles[0]).intersection(*profiles[1:])
        profile: Any = {
            name: min(p[name] for p in profiles)
            for name in shared
            if all(isinstance(p[name], int) for p in profiles)  # limits, and capabilities as bools
        }
        return profile or None
