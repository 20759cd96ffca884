"""Policies: from estimates to a choice. Each is a frozen value that can be written to a file.

A policy answers two questions for a whole table of prompts at once: which models it admits, and
which of those that are left it takes. The same code serves one prompt at run time and a replay of
recorded outcomes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from llmroute._imports import take_old_members
from llmroute.errors import ConfigurationError
from llmroute.numerics import Bools, Floats
from llmroute.records import Estimates
from llmroute.records import comparable_cost as comparable_cost  # for policies of your own, too
from llmroute.records import win_probability as win_probability
from llmroute.state.router_state import RouterState
from llmroute.validation import readable_errors

Choice = npt.NDArray[np.intp]

#: Qualities that differ by no more are equal, and costs that differ by no more than this part of
#: them. Estimates are sums and products, whose last digits differ with the machine and with the
#: prompts they are worked out with; which of two equal models is taken shall not.
_EQUAL = 1e-12
#: Old names of what a policy of your own may define, for one release.
_RENAMED = {"knob": "parameter", "settings": "sweep_values", "turned_to": "with_parameter"}
#: The steps in which a parameter is swept.
_HUNDREDTHS = np.linspace(0.0, 1.0, 101)
#: How far a willingness to pay is swept to either side of the one at which the greatest difference
#: in quality is worth the greatest difference in cost, and the least such differences.
_WIDTH, _LEAST_USD, _LEAST_QUALITY = 1e4, 1e-12, 1e-6


def _cheapest(cost: Floats, quality: Floats, allowed: Bools) -> Choice:
    """Per row the cheapest allowed model; of equals, the better one."""
    cost = np.where(allowed, cost, np.inf)
    lowest = cost.min(axis=1, keepdims=True)
    return _best(quality, allowed & (cost <= lowest * (1 + _EQUAL)), _EQUAL)


def _best(values: Floats, allowed: Bools, slack: float) -> Choice:
    """Per row the first allowed model whose value is the greatest, give or take a slack."""
    values = np.where(allowed, values, -np.inf)
    best: Choice = np.argmax(values >= values.max(axis=1, keepdims=True) - slack, axis=1)
    return best


class Policy(BaseModel, ABC):
    """How a model is chosen from estimates. Subclass it for a rule of your own.

    Attributes:
        parameter: The setting that trades cost for quality, which an evaluation sweeps; None where
            there is none.
    """

    parameter: ClassVar[str | None] = None

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __init__(self, **settings: Any) -> None:
        with readable_errors(type(self).__name__):
            super().__init__(**settings)

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        take_old_members(cls, _RENAMED)

    def admits(self, estimates: Estimates) -> Bools:
        """Which models the policy allows at all, (P, M). By default, all."""
        return np.ones(estimates.quality.shape, dtype=np.bool_)

    def why_not(self, estimates: Estimates, row: int, model: int) -> str:
        """Why a model that `admits` turned down was turned down, for the record."""
        return "not admitted by the policy"

    @abstractmethod
    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The chosen model of each prompt, as (P,) indices into `estimates.models`.

        Args:
            estimates: P prompts, M models.
            allowed: (P, M); each row allows at least one model.
        """

    def choose_next(self, estimates: Estimates, allowed: Bools, state: RouterState) -> Choice:
        """`choose`, by what the router has seen so far: for a policy that goes by the past."""
        return self.choose(estimates, allowed)

    @abstractmethod
    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """Why the chosen model was chosen, in one sentence."""

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when the policy cannot work with these models."""

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Values of the parameter from one end of what it can do to the other, rising.

        Args:
            estimates: Prompts that are like those to come.

        Returns:
            (N,) values; none without a parameter.
        """
        return np.zeros(0)

    def with_parameter(self, value: float) -> Self:
        """This policy with its parameter at another value.

        Args:
            value: One of `sweep_values`, or between them.

        Raises:
            ConfigurationError: It has no parameter.
        """
        if self.parameter is None:
            raise ConfigurationError(f"{type(self).__name__} has no parameter to sweep.")
        return self.model_copy(update={self.parameter: float(value)})

    def to_record(self) -> dict[str, Any]:
        """The policy's name and numbers, as they stand in a Decision."""
        return {"name": type(self).__name__, **self.model_dump(mode="json", exclude_none=True)}


class Threshold(Policy):
    """Two models: the strong one where it is likely enough to win (RouteLLM, arXiv 2406.18665).

    Args:
        threshold: The win probability from which the strong model is asked, 0..1. Lower means
            more strong calls.
        strong: The strong model's name; by default the one with the better standing.
        weak: The weak model's name; by default the other one of a pool of two.
    """

    parameter: ClassVar[str | None] = "threshold"

    threshold: float = Field(ge=0, le=1)
    strong: str | None = None
    weak: str | None = None

    @model_validator(mode="after")
    def _two_different_models(self) -> Threshold:
        if self.strong is not None and self.strong == self.weak:
            raise ConfigurationError(f"strong and weak are both {self.strong!r}.")
        return self

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError unless the two models are known."""
        for name in (self.strong, self.weak):
            if name is not None and name not in models:
                raise ConfigurationError(f"Threshold names {name!r}, which is not in the pool.")
        if len(models) != 2 and (self.strong is None or self.weak is None):
            raise ConfigurationError(
                f"Threshold chooses between two models and the pool has {len(models)}. Name them: "
                "Threshold(threshold=0.3, strong=..., weak=...). For a larger pool: CheapestAbove."
            )

    def _pair(self, estimates: Estimates) -> tuple[int, int]:
        names = estimates.models
        if self.strong is not None:
            strong = names.index(self.strong)
        elif self.weak is not None:
            strong = 1 - names.index(self.weak)
        else:
            strong = estimates.strongest
        weak = names.index(self.weak) if self.weak is not None else 1 - strong
        return weak, strong

    def admits(self, estimates: Estimates) -> Bools:
        """Only the two models."""
        admitted = np.zeros(estimates.quality.shape, dtype=np.bool_)
        admitted[:, list(self._pair(estimates))] = True
        return admitted

    def why_not(self, estimates: Estimates, row: int, model: int) -> str:
        """The model is not of the pair."""
        return "neither the strong nor the weak model of the threshold"

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Thresholds that send more and more prompts to the weak model, in steps of 1 %."""
        scores = win_probability(estimates, *self._pair(estimates))
        return np.unique(np.concatenate([[0.0], np.quantile(scores, _HUNDREDTHS), [1.0]]))

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The strong model from the threshold on; the other one where one is ruled out."""
        weak, strong = self._pair(estimates)
        wants_strong = win_probability(estimates, weak, strong) >= self.threshold
        take_strong = (wants_strong & allowed[:, strong]) | ~allowed[:, weak]
        return np.where(take_strong, strong, weak)

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The score against the threshold."""
        weak, strong = self._pair(estimates)
        score = win_probability(estimates, weak, strong)[row]
        other = weak if chosen == strong else strong
        if not allowed[row, other]:
            return f"{estimates.models[other]} is ruled out, so the other model is asked."
        relation = "reaches" if chosen == strong else "is below"
        return (
            f"{estimates.models[strong]} wins with probability {score:.3f}, "
            f"which {relation} the threshold {self.threshold:g}."
        )


class WillingnessToPay(Policy):
    """The model with the greatest value × quality − cost (RouterBench, arXiv 2403.12031).

    Args:
        usd: What one good answer is worth, USD. RouterBench's λ.
    """

    parameter: ClassVar[str | None] = "usd"

    usd: float = Field(gt=0)

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Values from "only cost counts" to "only quality counts", evenly on a log scale."""
        cost, quality = comparable_cost(estimates), estimates.quality
        dearest = max(float(np.ptp(cost, axis=1).max(initial=0.0)), _LEAST_USD)
        largest = max(float(np.ptp(quality, axis=1).max(initial=0.0)), _LEAST_QUALITY)
        middle = dearest / largest
        return np.geomspace(middle / _WIDTH, middle * _WIDTH, len(_HUNDREDTHS))

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The greatest net value."""
        net = self.usd * estimates.quality - comparable_cost(estimates)
        return _best(net, allowed, self.usd * _EQUAL)

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The net value that won."""
        return (
            f"At {self.usd:g} USD for a good answer, {estimates.models[chosen]} leaves most: "
            f"expected quality {estimates.quality[row, chosen]:.3f} "
            f"at {_usd(estimates.cost[row, chosen])}."
        )


class CheapestAbove(Policy):
    """The cheapest model whose expected quality is close enough to the best one's. The default.

    Args:
        quality: The share of the best eligible model's expected quality that is enough, 0..1.
    """

    parameter: ClassVar[str | None] = "quality"

    quality: float = Field(default=0.95, ge=0, le=1)

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Shares in steps of 1 %."""
        return _HUNDREDTHS

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The cheapest of those that are good enough."""
        best = np.where(allowed, estimates.quality, -np.inf).max(axis=1, keepdims=True)
        enough = allowed & (estimates.quality >= self.quality * best - _EQUAL)
        return _cheapest(comparable_cost(estimates), estimates.quality, enough)

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The expected quality against what was asked."""
        quality = estimates.quality[row].tolist()
        best = max(q for q, may in zip(quality, allowed[row].tolist(), strict=True) if may)
        return (
            f"{estimates.models[chosen]} is the cheapest with at least {self.quality:.0%} of the "
            f"best expected quality: {quality[chosen]:.3f} against {best:.3f}."
        )


class BestWithin(Policy):
    """The best model whose expected cost and latency stay within limits.

    A model whose price or speed is unknown is not ruled out by a limit on it.

    Args:
        cost: USD one call may be expected to cost.
        latency: Seconds to the full answer it may be expected to take.
    """

    parameter: ClassVar[str | None] = "cost"

    cost: float | None = Field(default=None, ge=0)
    latency: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _some_limit(self) -> BestWithin:
        if self.cost is None and self.latency is None:
            raise ConfigurationError(
                "BestWithin needs a limit: BestWithin(cost=0.002) or BestWithin(latency=3)."
            )
        return self

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Limits on the cost that let in one more hundredth of the expected costs at each step."""
        known = estimates.cost[~np.isnan(estimates.cost)]
        return np.unique(np.quantile(known, _HUNDREDTHS)) if len(known) else np.zeros(0)

    def admits(self, estimates: Estimates) -> Bools:
        """The models within the limits. Comparing with NaN is False, so unknown stays in."""
        over = np.zeros(estimates.quality.shape, dtype=np.bool_)
        if self.cost is not None:
            over |= estimates.cost > self.cost
        if self.latency is not None:
            over |= estimates.latency > self.latency
        return ~over

    def why_not(self, estimates: Estimates, row: int, model: int) -> str:
        """The limit that was passed."""
        cost, latency = estimates.cost[row, model], estimates.latency[row, model]
        faults = []
        if self.cost is not None and cost > self.cost:
            faults.append(f"expected cost {_usd(cost)} is over the limit of {_usd(self.cost)}")
        if self.latency is not None and latency > self.latency:
            faults.append(f"expected latency {latency:.2g} s is over {self.latency:g} s")
        return " and ".join(faults)

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The best; of equals, the cheapest."""
        quality = np.where(allowed, estimates.quality, -np.inf)
        best = quality >= quality.max(axis=1, keepdims=True) - _EQUAL
        return _cheapest(comparable_cost(estimates), estimates.quality, allowed & best)

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The quality and the limits it stayed within."""
        named = (self.cost, _usd(self.cost or 0)), (self.latency, f"{self.latency} s")
        limits = [text for limit, text in named if limit is not None]
        return (
            f"{estimates.models[chosen]} has the best expected quality, "
            f"{estimates.quality[row, chosen]:.3f}, within {' and '.join(limits)}."
        )


class StrongCalls(Policy):
    """A share of the prompts goes to the strongest model: those that gain most by it.

    What is compared is the win probability of the strongest model against the cheapest one that is
    eligible; the threshold is the running quantile of those that the router has seen
    (arXiv 2405.02134). The other prompts go to the cheapest model. No answer is looked at: for a
    share of escalated answers see the rule `StrongShare`.

    Args:
        share: Part of the prompts, 0..1.
    """

    parameter: ClassVar[str | None] = "share"

    share: float = Field(ge=0, le=1)

    def sweep_values(self, estimates: Estimates) -> Floats:
        """Shares in steps of 1 %."""
        return _HUNDREDTHS

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """The choice of a router that has seen nothing before these prompts."""
        return self.choose_next(estimates, allowed, RouterState())

    def choose_next(self, estimates: Estimates, allowed: Bools, state: RouterState) -> Choice:
        """The strongest for the prompts that gain most, the cheapest for the others."""
        quantile = state.quantile(type(self).__name__, self.share)
        weak = _cheapest(comparable_cost(estimates), estimates.quality, allowed)
        standing = np.where(allowed, estimates.prior_quality, -np.inf)
        strong = allowed.shape[1] - 1 - np.argmax(standing[:, ::-1], axis=1)
        rows = np.arange(len(estimates))
        gain = estimates.quality[rows, strong] * (1.0 - estimates.quality[rows, weak])
        takes_strong = [
            w != s and quantile.escalate(float(g))
            for w, s, g in zip(weak, strong, gain, strict=True)
        ]
        chosen: Choice = np.where(takes_strong, strong, weak)
        return chosen

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The share."""
        return (
            f"{estimates.models[chosen]} is asked so that {self.share:.0%} of the prompts, those "
            "that gain most, go to the strongest model."
        )


class Pinned(Policy):
    """One model takes every request, as `router.invoke(..., model="name")`; nothing is estimated.

    Args:
        model: The model's name in the pool.
    """

    model: str

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError unless the model is in the pool."""
        if self.model not in models:
            raise ConfigurationError(
                f"no model {self.model!r} in the pool; it has {', '.join(map(repr, models))}."
            )

    def admits(self, estimates: Estimates) -> Bools:
        """Only that model: a caller who names one does not want another's answer."""
        return np.array([[m == self.model for m in estimates.models]] * len(estimates))

    def why_not(self, estimates: Estimates, row: int, model: int) -> str:
        """Another model was named."""
        return f"the caller asked for {self.model}"

    def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
        """That model."""
        return np.full(len(estimates), estimates.models.index(self.model))

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        """The caller's word."""
        return f"The caller asked for {self.model}."


def of_record(record: Mapping[str, Any]) -> Policy:
    """The policy that `to_record` wrote down, of those that come with llmroute.

    Args:
        record: Its name and numbers: `{"name": "CheapestAbove", "quality": 0.9}`.

    Raises:
        ConfigurationError: No such policy, or numbers it cannot take.
    """
    known = {p.__name__: p for p in BUILT_IN}
    settings = dict(record)
    name = settings.pop("name", None)
    if name not in known:
        raise ConfigurationError(f"no policy {name!r}; there are {', '.join(known)}.")
    policy: Policy = known[name](**settings)
    return policy


def _usd(amount: float) -> str:
    return "an unknown cost" if np.isnan(amount) else f"{amount:.2g} USD"


#: The policies that come with llmroute and can be written to a file.
BUILT_IN: tuple[type[Policy], ...] = (
    CheapestAbove,
    WillingnessToPay,
    BestWithin,
    Threshold,
    StrongCalls,
    Pinned,
)
