"""The routing algorithm, once: which model to ask next, given what came of the last one.

`answer()` is a generator without any I/O. It yields what is to be done, an `Ask`, several of them
`Together`, or a `Wait`, and is sent what came of it; the thin drivers in `drivers.py` do the doing,
sync and async, whole and streamed. (The manner of httpx's auth flows.)

What is asked to look at an answer before the user sees it (`escalation/`) is a generator too, and
speaks through the same `Talk`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from llmroute.backends.provider_errors import status_of
from llmroute.engine.retry import Retry
from llmroute.errors import AllModelsFailed, ContentRefused, ContextWindowExceeded, ProviderError
from llmroute.pool import ModelPool
from llmroute.records import CallRecord, CheckRecord, Decision, Purpose
from llmroute.request.request import Variation

UNVARIED = Variation()


@dataclass(frozen=True)
class Ask:
    """Call this model with the request.

    Attributes:
        model: The pool member.
        purpose: Why it is asked.
        attempt: How often it has been asked for this before.
        hidden: Its answer is not the user's, or not yet: nothing of it may be streamed.
        variation: How the call differs from the request.
    """

    model: str
    purpose: Purpose
    attempt: int = 0
    hidden: bool = False
    variation: Variation = UNVARIED


@dataclass(frozen=True)
class Together:
    """Make these calls at once. What is sent back are their results, in order."""

    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Wait:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Usage:
    """Tokens of one call as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    #: LangChain marks an answer from its own cache with a total cost of 0.
    from_cache: bool = False


@dataclass(frozen=True)
class CallResult:
    """What came of an `Ask`: a value, or the error the call ended with."""

    latency_s: float
    value: Any = None
    usage: Usage | None = None
    answered_by: str | None = None
    error: ProviderError | None = None


@dataclass(frozen=True)
class Answered:
    """The end of the flow: the accepted result, and every attempt up to it.

    Attributes:
        ask: What was asked.
        result: What came of it.
        calls: Every call that has ended. A visible result's own is not among them yet: of a stream
            only its beginning is known.
        accepted: The call of a hidden result, which has ended.
        checks: What the answers had to pass.
        unchecked: The answer failed its check, and no stronger model could be had.
        escalated: An answer was rejected, and this is another model's.
    """

    ask: Ask
    result: CallResult
    calls: list[CallRecord] = field(default_factory=list)
    accepted: CallRecord | None = None
    checks: tuple[CheckRecord, ...] = ()
    unchecked: bool = False
    escalated: bool = False


Step = Ask | Together | Wait
Flow = Generator[Step, Any, Answered]


class Checking(Protocol):
    """What looks at answers before the user sees them; see `llmroute.escalation`."""

    def run(self, talk: Talk) -> Flow:
        """Ask through `talk` until an answer is accepted."""
        ...


class Talk:
    """The calls made for one request: asking, asking again, and the record of it.

    Args:
        decision: The choice, with the order of fallbacks.
        pool: For prices.
        retry: When to try a model again.

    Attributes:
        calls: Those that have ended.
        checks: What was found out about answers.
        elapsed_s: Seconds the calls and the waits between them have taken.
    """

    def __init__(self, decision: Decision, pool: ModelPool, retry: Retry) -> None:
        self.decision = decision
        self.pool = pool
        self.calls: list[CallRecord] = []
        self.checks: list[CheckRecord] = []
        self.elapsed_s = 0.0
        self._retry = retry

    def ask(self, ask: Ask, *, lenient: bool = False) -> Generator[Step, Any, Answered]:
        """One model, until it answers or is given up; then the result holds its error.

        Args:
            ask: The call.
            lenient: No error is raised: there may be an answer in hand that this call was to help
                with.

        Raises:
            ProviderError: An error that another model would not cure (see docs/fallback.md).
        """
        while True:
            result = yield ask
            assert isinstance(result, CallResult), "the driver must send a CallResult to an Ask"
            self.elapsed_s += result.latency_s
            error = result.error
            if error is None:
                return self._succeeded(ask, result)
            self.calls.append(call_record(ask, result, self.decision, self.pool))
            if not lenient and not self._may_be_cured(error, ask.model):
                error.calls = tuple(self.calls)
                raise error
            wait = self._retry.wait(ask.attempt, error)
            if wait is None:
                return Answered(ask, result, self.calls)
            yield Wait(wait)
            self.elapsed_s += wait
            ask = replace(ask, attempt=ask.attempt + 1)

    def together(self, asks: Sequence[Ask]) -> Generator[Step, Any, list[Answered]]:
        """Several calls at once, each tried once; those that failed are in the record only."""
        results = yield Together(tuple(asks))
        self.elapsed_s += max(result.latency_s for result in results)
        answered = []
        for ask, result in zip(asks, results, strict=True):
            if result.error is None:
                answered.append(self._succeeded(ask, result))
            else:
                self.calls.append(call_record(ask, result, self.decision, self.pool))
        return answered

    def until_answered(
        self, models: Sequence[str], purpose: Purpose = "answer"
    ) -> Generator[Step, Any, Answered]:
        """The models in order, until one gives the user's answer.

        Args:
            models: At least one.
            purpose: Why the first is asked; the others are its fallbacks.

        Raises:
            ProviderError: An error that another model would not cure; or, where only one model is
                eligible, its own. With every attempt in its `calls`.
            AllModelsFailed: Several models were asked and none answered.
        """
        queue, first = list(models), True
        while True:
            ask = Ask(queue.pop(0), purpose if first else "fallback")
            answered = yield from self.ask(ask)
            error = answered.result.error
            if error is None:
                return answered
            queue, first = self._next_after(error, ask.model, queue), False
            if not queue:
                break
        if len({call.model for call in self.calls}) == 1:
            error.calls = tuple(self.calls)
            raise error
        raise AllModelsFailed(self.calls, error) from error

    def fall_back(self, failed: Answered) -> Generator[Step, Any, Answered]:
        """The models that come after the chosen one, which failed.

        Raises:
            ProviderError: There is none, or an error that another model would not cure.
            AllModelsFailed: They were asked in vain.
        """
        error = failed.result.error
        assert error is not None, "it failed"
        others = self._next_after(error, failed.ask.model, self.decision.ranking[1:])
        if not others:
            error.calls = tuple(self.calls)
            raise error
        return (yield from self.until_answered(others, "fallback"))

    def _may_be_cured(self, error: ProviderError, model: str) -> bool:
        """Whether another model, or another try, may do better."""
        if isinstance(error, ContentRefused):
            other = self._retry.when_refused
            return other != model and other in self.decision.ranking
        return error.falls_back

    def _next_after(self, error: ProviderError, model: str, others: Sequence[str]) -> list[str]:
        """The models that may do better than one that failed, of those that were to follow it."""
        if not self._may_be_cured(error, model):
            return []
        if isinstance(error, ContentRefused):
            asked = {call.model for call in self.calls}
            return [name for name in (self._retry.when_refused,) if name and name not in asked]
        window = self.pool[model].context_window
        if isinstance(error, ContextWindowExceeded) and window is not None:
            return [name for name in others if self._takes_more_than(name, window)]
        return list(others)

    def _takes_more_than(self, model: str, window: int) -> bool:
        own = self.pool[model].context_window
        return own is None or own > window

    def _succeeded(self, ask: Ask, result: CallResult) -> Answered:
        if not ask.hidden:
            return Answered(ask, result, self.calls)
        record = call_record(ask, result, self.decision, self.pool)
        self.calls.append(record)
        return Answered(ask, result, self.calls, record)


def answer(
    decision: Decision, pool: ModelPool, retry: Retry, checking: Checking | None = None
) -> Flow:
    """Ask until there is an answer for the user.

    Args:
        decision: The choice, with the order of fallbacks.
        pool: For prices.
        retry: When to try a model again.
        checking: What the chosen model's answer has to pass, where a check is due.

    Yields:
        `Ask`, to be sent a `CallResult`; `Together`, to be sent a list of them; or `Wait`, to be
        sent None.

    Returns:
        The accepted result.

    Raises:
        ProviderError: An error that another model would not cure (see docs/fallback.md), or the
            only eligible model's error; with every attempt in its `calls`.
        AllModelsFailed: Several models were asked and none answered.
    """
    talk = Talk(decision, pool, retry)
    if checking is None or decision.check is None:
        answered = yield from talk.until_answered(decision.ranking)
    else:
        answered = yield from checking.run(talk)
    return replace(answered, checks=tuple(talk.checks))


def call_record(ask: Ask, result: CallResult, decision: Decision, pool: ModelPool) -> CallRecord:
    """The record of one attempt, with its cost.

    Without usage from the provider the cost is estimated: a call that failed before anything was
    generated costs nothing; one that may have generated costs at least its prompt.
    """
    usage, error, estimated = result.usage, result.error, False
    if usage is None:
        estimated = error is None or error.may_be_billed
        expected = decision.estimates.get(ask.model)
        tokens = (expected.tokens if expected is not None else None) or 0.0
        usage = Usage(
            prompt_tokens=decision.prompt_tokens if estimated else 0,
            completion_tokens=round(tokens) if error is None else 0,
        )
    cost = (
        0.0
        if usage.from_cache
        else pool[ask.model].price(
            usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
        )
    )
    if error is not None and result.usage is None and not error.may_be_billed:
        cost = 0.0
    return CallRecord(
        model=ask.model,
        purpose=ask.purpose,
        status=status_of(error),
        http_status=error.status if error is not None else None,
        answered_by=result.answered_by,
        prompt_tokens=usage.prompt_tokens if result.usage else None,
        completion_tokens=usage.completion_tokens if result.usage else None,
        cached_tokens=usage.cached_tokens if result.usage else None,
        cost_usd=cost,
        cost_is_estimated=estimated,
        latency_s=round(result.latency_s, 6),
        error=error.message if error is not None else None,
    )


def complete(decision: Decision, answered: Answered, pool: ModelPool, last: CallRecord) -> Decision:
    """The decision with everything that came of it."""
    accepted = last.model_copy(update={"accepted": True})
    if answered.accepted is None:
        calls = [*answered.calls, accepted]
    else:
        calls = [accepted if call is last else call for call in answered.calls]
    costs = [c.cost_usd for c in calls]
    cost = None if None in costs else round(sum(c for c in costs if c is not None), 12)
    saved = None
    if cost is not None and last.prompt_tokens is not None and last.completion_tokens is not None:
        # Had the strongest model answered, it would have found as much of the prompt in its cache.
        strongest = (
            last.cost_usd
            if last.model == decision.strongest
            else pool[decision.strongest].price(
                last.prompt_tokens, last.completion_tokens, last.cached_tokens or 0
            )
        )
        saved = None if strongest is None else round(strongest - cost, 12)
    return decision.model_copy(
        update={
            "answered_by": last.model,
            "calls": tuple(calls),
            "checks": answered.checks,
            "escalated": answered.escalated,
            "unchecked": answered.unchecked,
            "total_prompt_tokens": _total(calls, "prompt_tokens"),
            "total_completion_tokens": _total(calls, "completion_tokens"),
            "cost_usd": cost,
            "saved_usd": saved,
        }
    )


def _total(calls: Sequence[CallRecord], name: str) -> int | None:
    counts = [getattr(call, name) for call in calls if call.status == "ok"]
    return None if None in counts else sum(counts)
