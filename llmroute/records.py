"""The records that travel: estimates, calls and decisions. They are the product's memory."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from llmroute.numerics import Bools, Floats


@dataclass(frozen=True)
class Estimates:
    """What each model of a pool is expected to do with each of P prompts.

    Unknown numbers (a model without a price, a model whose speed nobody measured) are NaN.

    Attributes:
        models: The M names, in the pool's order.
        quality: (P, M) probability that the model's answer is good, 0..1.
        cost: (P, M) expected cost of one call, USD.
        tokens: (P, M) expected output tokens.
        latency: (P, M) expected seconds to the complete answer.
        prompt_tokens: (P,) estimated tokens of the whole request.
        unfamiliar: (P,) True where the prompt is unlike what the scorer was trained on; quality is
            then the prior for every model.
        prior_quality: (M,) quality expected on an average prompt: the model's standing in the pool.
        scorer: Name and version of the scorer that made them.
        output_cost: (P, M) the part of the cost that output tokens make, USD; None where the scorer
            tells no interval.
        output_range: (2,) what the expected output tokens are multiplied by at both ends of the
            interval that holds 80 % of the counts; None likewise.
    """

    models: tuple[str, ...]
    quality: Floats
    cost: Floats
    tokens: Floats
    latency: Floats
    prompt_tokens: Floats
    unfamiliar: Bools
    prior_quality: Floats
    scorer: str
    output_cost: Floats | None = None
    output_range: Floats | None = None

    @property
    def cost_low(self) -> Floats:
        """(P, M) lower end of the cost's 80 % interval, USD; NaN where it is unknown."""
        return self._cost_at(0)

    @property
    def cost_high(self) -> Floats:
        """(P, M) upper end of the cost's 80 % interval, USD; NaN where it is unknown."""
        return self._cost_at(1)

    def _cost_at(self, end: int) -> Floats:
        # When somebody asks, not before: a decision has no time for it.
        if self.output_cost is None or self.output_range is None:
            return np.full(self.cost.shape, np.nan)
        ends: Floats = self.cost + (self.output_range[end] - 1.0) * self.output_cost
        return ends

    def __len__(self) -> int:
        return len(self.unfamiliar)

    @property
    def prior(self) -> Floats:
        """The old name of `prior_quality`."""
        _warn_of_prior()
        return self.prior_quality

    @property
    def strongest(self) -> int:
        """Index of the model with the best prior; of equals, the later one in the pool."""
        return int(len(self.prior_quality) - 1 - np.argmax(self.prior_quality[::-1]))

    def row(self, index: int) -> Estimates:
        """The estimates of one prompt, as a table of one row."""
        return self.rows(slice(index, index + 1))

    def rows(self, some: slice) -> Estimates:
        """The estimates of some prompts."""
        return Estimates(
            models=self.models,
            quality=self.quality[some],
            cost=self.cost[some],
            tokens=self.tokens[some],
            latency=self.latency[some],
            prompt_tokens=self.prompt_tokens[some],
            unfamiliar=self.unfamiliar[some],
            prior_quality=self.prior_quality,
            scorer=self.scorer,
            output_cost=None if self.output_cost is None else self.output_cost[some],
            output_range=self.output_range,
        )


def _warn_of_prior() -> None:
    warnings.warn(
        "Estimates.prior is now prior_quality; the old name goes with the next release.",
        DeprecationWarning,
        stacklevel=3,
    )


def _taking_prior(init: Callable[..., None]) -> Callable[..., None]:
    """`Estimates.__init__` for scorers that still give `prior=`."""

    @wraps(init)
    def initialise(self: Estimates, *args: Any, **fields: Any) -> None:
        if "prior" in fields:
            _warn_of_prior()
            fields["prior_quality"] = fields.pop("prior")
        init(self, *args, **fields)

    return initialise


Estimates.__init__ = _taking_prior(Estimates.__init__)  # type: ignore[method-assign]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ModelEstimate(_Record):
    """What one model was expected to do with one prompt. `None` means unknown."""

    quality: float = Field(description="Probability of a good answer, 0..1.")
    cost: float | None = Field(description="Expected cost of one call, USD.")
    tokens: float | None = Field(description="Expected output tokens.")
    latency: float | None = Field(default=None, description="Expected seconds to the full answer.")
    cost_low: float | None = Field(
        default=None, description="Lower end of the cost's 80 % interval, USD."
    )
    cost_high: float | None = Field(default=None, description="Upper end of it.")


Purpose = Literal["answer", "draft", "sample", "verify", "refine", "fallback"]
Status = Literal[
    "ok",
    "rate_limited",
    "unavailable",
    "timeout",
    "malformed",
    "empty",
    "interrupted",
    "authentication",
    "not_found",
    "invalid_request",
    "context_window",
    "unsupported_parameter",
    "content_refused",
    "failed",
]


class CallRecord(_Record):
    """One attempt on one model, whether it answered or not."""

    model: str = Field(description="The pool member that was asked.")
    purpose: Purpose = Field(description="Why it was asked.")
    status: Status = Field(description="How it ended.")
    http_status: int | None = Field(
        default=None, description="The provider's HTTP status, when the call failed with one."
    )
    answered_by: str | None = Field(
        default=None, description="The model name the provider returned, when it returned one."
    )
    prompt_tokens: int | None = Field(default=None, description="As the provider counted them.")
    completion_tokens: int | None = Field(default=None, description="Likewise.")
    cached_tokens: int | None = Field(
        default=None, description="Those of prompt_tokens that the provider had in its cache."
    )
    cost_usd: float | None = Field(
        default=None, description="USD at the pool's prices; None when the price is unknown."
    )
    cost_is_estimated: bool = Field(
        default=False,
        description="True when the provider reported no usage and the cost is the scorer's guess.",
    )
    latency_s: float = Field(description="Seconds from the request to its end.")
    error: str | None = Field(default=None, description="The provider's message, without keys.")
    accepted: bool = Field(default=False, description="Its answer is the one that was returned.")


class CheckRecord(_Record):
    """What one rule found out about an answer before the user saw it."""

    rule: str = Field(description="The rule's name.")
    model: str = Field(description="Whose answer was looked at.")
    passed: bool = Field(description="Whether the answer was good enough.")
    score: float | None = Field(
        default=None, description="What was compared with the limit, 0..1; None where unknown."
    )
    reason: str = Field(description="Why, in one sentence, without any of the answer's text.")


class Decision(_Record):
    """Which model was chosen for a request, on what grounds, and what came of it.

    `router.decide()` returns it before any call is made: `calls` is then empty and `cost_usd` None.
    After a call the completed record stands in `message.response_metadata["llmroute"]`.
    """

    chosen: str = Field(description="The model the policy chose.")
    answered_by: str | None = Field(
        default=None, description="The pool member whose answer was returned."
    )
    policy: dict[str, Any] = Field(description="The policy's name and numbers.")
    reason: str = Field(description="Why, in one sentence.")
    estimates: dict[str, ModelEstimate] = Field(description="By model, whole pool.")
    excluded: dict[str, str] = Field(description="Models ruled out, each with why.")
    unfamiliar: bool = Field(description="The prompt is unlike the scorer's training data.")
    strongest: str = Field(
        description="The eligible model of the best standing; `saved_usd` is measured against it."
    )
    ranking: tuple[str, ...] = Field(
        description="Eligible models in the order they are asked: the chosen one first, those that "
        "are left alone after failures last."
    )
    prompt_tokens: int = Field(description="Estimated tokens of the request.")
    decision_us: float = Field(description="Microseconds spent deciding.")
    router: str = Field(description="Scorer and version.")
    version: str = Field(description="llmroute's version.")
    session: str | None = Field(
        default=None, description="The conversation the request belongs to, where it was named."
    )
    check: dict[str, Any] | None = Field(
        default=None,
        description="What the chosen model's answer has to pass before the user sees it; None "
        "where it is taken as it comes.",
    )
    calls: tuple[CallRecord, ...] = Field(default=(), description="Every attempt, in order.")
    checks: tuple[CheckRecord, ...] = Field(
        default=(), description="What was found out about answers, in order."
    )
    escalated: bool = Field(
        default=False, description="An answer was rejected and another model's returned."
    )
    unchecked: bool = Field(
        default=False,
        description="The answer failed its check, and is returned because no stronger model could "
        "be had.",
    )
    total_prompt_tokens: int | None = Field(
        default=None, description="Of all calls that ended well; None if one was not counted."
    )
    total_completion_tokens: int | None = Field(default=None, description="Likewise.")
    cost_usd: float | None = Field(default=None, description="USD of all calls; None if unknown.")
    saved_usd: float | None = Field(
        default=None,
        description="USD the strongest model would have cost on the same tokens, less cost_usd.",
    )

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON types, as it stands in `response_metadata["llmroute"]`."""
        return self.model_dump(mode="json")


def known(value: float) -> float | None:
    """A float for a record: NaN, which JSON has not, becomes None."""
    return None if math.isnan(value) else value


def model_estimates(estimates: Estimates, row: int) -> dict[str, ModelEstimate]:
    """One prompt's estimates, by model, as they stand in a Decision."""
    columns = [estimates.quality, estimates.cost, estimates.tokens, estimates.latency]
    low = high = math.nan
    if estimates.output_cost is None or estimates.output_range is None:
        columns.append(estimates.cost)
    else:
        columns.append(estimates.output_cost)
        low, high = (estimates.output_range - 1.0).tolist()
    return {
        name: ModelEstimate(
            quality=round(quality, 6),
            cost=known(cost),
            tokens=known(tokens),
            latency=known(latency),
            cost_low=known(cost + low * output),
            cost_high=known(cost + high * output),
        )
        for name, quality, cost, tokens, latency, output in zip(
            estimates.models, *(column[row].tolist() for column in columns), strict=True
        )
    }


_SLIGHTLY_LESS = 1 - 1e-6


def comparable_cost(estimates: Estimates) -> Floats:
    """Costs that can be ordered, where some are unknown.

    A model of unknown cost counts as slightly cheaper than the cheapest one that stands at least as
    high, or slightly dearer than all when there is none. Where no cost is known at all, the prior
    quality itself serves: the weaker, the cheaper.

    Returns:
        (P, M), USD where known.
    """
    cost, prior = estimates.cost, estimates.prior_quality
    unknown = np.isnan(cost)
    if not unknown.any():
        return cost
    known = np.where(unknown, np.inf, cost)
    filled: Floats = cost.copy()
    for m in np.flatnonzero(unknown.any(axis=0)):
        above = known[:, prior >= prior[m]].min(axis=1)
        dearest = np.where(unknown, 0.0, cost).max(axis=1)
        guess = np.where(np.isfinite(above), above * _SLIGHTLY_LESS, dearest / _SLIGHTLY_LESS)
        filled[:, m] = np.where(unknown[:, m], guess, cost[:, m])
    filled[unknown.all(axis=1)] = prior
    return filled


def win_probability(estimates: Estimates, weak: int, strong: int) -> Floats:
    """Probability that the strong model's answer is good and the weak model's is not.

    The score a threshold is set on, after RouteLLM (arXiv 2406.18665), read off two success
    probabilities: q_strong × (1 − q_weak).

    Returns:
        (P,), 0..1.
    """
    score: Floats = estimates.quality[:, strong] * (1.0 - estimates.quality[:, weak])
    return score
