"""The routing algorithm, once: which model to ask next, given what came of the last one.

`answer()` is a generator without any I/O. It yields what is to be done, an `Ask` or a `Wait`, and
is sent what came of it; the thin drivers in `drivers.py` do the doing, sync and async, whole and
streamed. (The manner of httpx's auth flows.)
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmroute.decision import CallRecord, Decision, Purpose
from llmroute.errors import AllModelsFailed, ProviderError
from llmroute.failures import status_of
from llmroute.pool import ModelPool


@dataclass(frozen=True)
class Ask:
    """Call this model with the request."""

    model: str
    purpose: Purpose
    attempt: int


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
class Reply:
    """What came of an `Ask`: a value, or the error the call ended with."""

    latency_s: float
    value: Any = None
    usage: Usage | None = None
    answered_by: str | None = None
    error: ProviderError | None = None


@dataclass(frozen=True)
class Retry:
    """When a call that failed is tried again on the same model.

    Args:
        times: Further tries after the first, for errors that may pass (429, 5xx, no connection).
        base_s: Seconds before the first further try; doubled for each one after, with jitter. A
            provider's `retry-after` replaces it.
        max_wait_s: The longest wait. When the provider asks for more, the next model is asked.
    """

    times: int = 1
    base_s: float = 0.5
    max_wait_s: float = 8.0

    def wait(self, attempt: int, error: ProviderError) -> float | None:
        """Seconds to wait before another try on the same model, or None for no further try."""
        if not error.retryable or attempt >= self.times:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.max_wait_s else None
        backoff = min(self.base_s * 2.0**attempt, self.max_wait_s)
        # Jitter, so that many clients that failed together do not come back together.
        return backoff * random.uniform(0.5, 1.0)


@dataclass(frozen=True)
class Answered:
    """The end of the flow: the accepted reply, and every attempt up to it.

    For a stream, the last attempt is still running; `calls` then holds those before it.
    """

    ask: Ask
    reply: Reply
    calls: list[CallRecord] = field(default_factory=list)


Flow = Generator[Ask | Wait, Reply | None, Answered]


def answer(decision: Decision, pool: ModelPool, retry: Retry) -> Flow:
    """Ask the models in the decision's ranking until one answers.

    Args:
        decision: The choice, with the order of stand-ins.
        pool: For prices.
        retry: When to try a model again.

    Yields:
        `Ask`, to be sent a `Reply`; or `Wait`, to be sent None.

    Returns:
        The accepted reply.

    Raises:
        ProviderError: An error that another model would not cure (see docs/fallback.md), or the
            only eligible model's error; with every attempt in its `calls`.
        AllModelsFailed: Several models were asked and none answered.
    """
    calls: list[CallRecord] = []
    error: ProviderError | None = None
    for position, name in enumerate(decision.ranking):
        purpose: Purpose = "fallback" if position else "answer"
        attempt = 0
        while True:
            ask = Ask(name, purpose, attempt)
            reply = yield ask
            assert reply is not None, "the driver must send a Reply to an Ask"
            if reply.error is None:
                return Answered(ask, reply, calls)
            error = reply.error
            calls.append(call_record(ask, reply, decision, pool))
            if not error.falls_back:
                error.calls = tuple(calls)
                raise error
            wait = retry.wait(attempt, error)
            if wait is None:
                break
            yield Wait(wait)
            attempt += 1
    assert error is not None, "a decision ranks at least one model"
    if len(decision.ranking) == 1:
        error.calls = tuple(calls)
        raise error
    raise AllModelsFailed(calls, error) from error


def call_record(ask: Ask, reply: Reply, decision: Decision, pool: ModelPool) -> CallRecord:
    """The record of one attempt, with its cost.

    Without usage from the provider the cost is estimated: a call that failed before anything was
    generated costs nothing; one that may have generated costs at least its prompt.
    """
    usage, error, estimated = reply.usage, reply.error, False
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
    if error is not None and reply.usage is None and not error.may_be_billed:
        cost = 0.0
    return CallRecord(
        model=ask.model,
        purpose=ask.purpose,
        status=status_of(error),
        http_status=error.status if error is not None else None,
        answered_by=reply.answered_by,
        prompt_tokens=usage.prompt_tokens if reply.usage else None,
        completion_tokens=usage.completion_tokens if reply.usage else None,
        cached_tokens=usage.cached_tokens if reply.usage else None,
        cost_usd=cost,
        cost_is_estimated=estimated,
        latency_s=round(reply.latency_s, 6),
        error=error.message if error is not None else None,
    )


def complete(decision: Decision, calls: Sequence[CallRecord], pool: ModelPool) -> Decision:
    """The decision with everything that came of it: the last call is the one that answered."""
    costs = [c.cost_usd for c in calls]
    cost = None if None in costs else round(sum(c for c in costs if c is not None), 12)
    last = calls[-1]
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
            "cost_usd": cost,
            "saved_usd": saved,
        }
    )
