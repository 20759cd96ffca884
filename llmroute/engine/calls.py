"""The calls of one request: each made ready, timed, and turned into what the flow is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from langchain_core.callbacks.base import Callbacks
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs

from llmroute.engine.call_results import failed, succeeded
from llmroute.engine.drafts import AcceptedDraft, without_streaming
from llmroute.engine.flow import Answered, Ask, CallResult
from llmroute.engine.prepare import Inherited, Prepared, prepare
from llmroute.pool import ModelPool
from llmroute.records import Decision
from llmroute.request.request import Request


@dataclass(frozen=True)
class OwnConfig:
    """The router's own part of a call's config."""

    tags: list[str] | None
    metadata: dict[str, object] | None
    callbacks: Callbacks

    def merged(self, given: RunnableConfig, ask: Ask, decision: Decision) -> RunnableConfig:
        """The config of one call: the router's, the caller's, and what traces are to say of it."""
        own = RunnableConfig(
            tags=self.tags or [],
            metadata=self.metadata or {},
            callbacks=_not_among(self.callbacks, given.get("callbacks")),
        )
        trace = RunnableConfig(
            tags=[f"route:{ask.model}"],
            metadata={
                "llmroute_model": ask.model,
                "llmroute_purpose": ask.purpose,
                "llmroute_attempt": ask.attempt,
                "llmroute_chosen": decision.chosen,
                "llmroute_policy": decision.policy["name"],
                "llmroute_router": decision.router,
            },
        )
        return merge_configs(own, given, trace)


@dataclass
class RequestCalls:
    """Makes one request's calls ready, and says what came of them. A driver makes them.

    Attributes:
        pool: The models.
        request: The request.
        decision: What was decided.
        given: The caller's config.
        config: The router's part of it.
        inherited: The router's settings, for members that set nothing themselves.
        empty_stream_fails: Whether a stream with nothing in it counts as failed.
        note: Told how each call ended.
        handling: The error the caller was handling when it called the router.
    """

    pool: ModelPool
    request: Request
    decision: Decision
    given: RunnableConfig
    config: OwnConfig
    inherited: Inherited
    empty_stream_fails: bool
    note: Callable[[Ask, CallResult], None]
    handling: BaseException | None
    _run_id_is_taken: bool = field(default=False, init=False)

    def begin(self, ask: Ask) -> Attempt:
        """Make a call ready. Its time begins to count."""
        request = self.request.varied(ask.variation) if ask.hidden else self.request
        settings = self.config.merged(self.given, ask, self.decision)
        if ask.hidden:
            settings = without_streaming(settings)
        # Two runs cannot have one id: the caller's is the first call's that can have it.
        if "run_id" in settings:
            if self._run_id_is_taken:
                settings.pop("run_id")
            self._run_id_is_taken = True
        prepared = prepare(
            self.pool[ask.model],
            request,
            settings,
            self.inherited,
            hidden=ask.hidden,
            purpose=ask.purpose,
        )
        return Attempt(self, ask, request, prepared, time.perf_counter())

    def accepted_draft(self, answered: Answered) -> Prepared:
        """An accepted draft in a chat model's place, for the caller's method to be called on.

        Args:
            answered: The end of the flow, whose answer nobody has seen.
        """
        value = answered.result.value
        message = value["raw"] if isinstance(value, dict) else value
        schema = self.request.schema
        if schema is not None and not schema.options.get("include_raw"):
            value = value["parsed"]
        settings = self.config.merged(self.given, answered.ask, self.decision)
        return Prepared(AcceptedDraft(message, value), self.request.messages, settings, {})


@dataclass(frozen=True)
class Attempt:
    """One call that is being made.

    Attributes:
        calls: The request's.
        ask: What is asked.
        request: The request, as this call has it.
        prepared: The call, which has only to be made.
        start: `time.perf_counter()` at its start.
    """

    calls: RequestCalls
    ask: Ask
    request: Request
    prepared: Prepared
    start: float

    def returned(self, value: object) -> CallResult:
        """What came of a call that returned."""
        fails = self.calls.empty_stream_fails
        result = succeeded(value, self.ask, self.start, self.request, empty_stream_fails=fails)
        return self._noted(result)

    def raised(self, error: Exception) -> CallResult:
        """What came of a call that raised. An error that is no provider's is raised on."""
        member = self.calls.pool[self.ask.model]
        return self._noted(failed(error, self.ask, self.start, member, self.calls.handling))

    def _noted(self, result: CallResult) -> CallResult:
        self.calls.note(self.ask, result)
        return result


def with_value(answered: Answered, value: object) -> Answered:
    """The end of a flow with what the caller's method made of its answer."""
    return replace(answered, result=replace(answered.result, value=value))


def _not_among(own: Callbacks, given: Callbacks) -> Callbacks:
    """The router's callbacks without those the call has too: they would be notified twice.

    Args:
        own: Handlers, or a manager of them, or None.
        given: Likewise.
    """
    if not isinstance(own, list):
        return own
    others = given if isinstance(given, list) else getattr(given, "handlers", [])
    return [handler for handler in own if handler not in others]
