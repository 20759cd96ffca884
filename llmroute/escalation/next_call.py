"""What to do next: stop, ask a model, have an answer verified, or sample a model again.

One rule for routing and cascading together (cascade routing, arXiv 2410.10347): with v, what a good
answer is worth in USD, go on as long as v times what is gained is more than what it costs. A step
is worth what it would make possible: after each of its outcomes, either stop with the best answer
then in hand or ask one more model and return its answer, whichever leaves more. Then the step is
taken, and the plan is made anew with what was heard.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import Belief, Prospects

#: A step must gain this much more than it costs: of many steps the one that looks best is on
#: average not as good as it looks.
_CAUTION = 0.01
#: Calls that cost nothing are counted as costing this, USD.
_LEAST_USD = 1e-12


@dataclass(frozen=True)
class Prices:
    """What the steps of one prompt are expected to cost.

    One number a model, in the pool's order.

    Attributes:
        ask: USD of a call.
        verify: USD of a verification call by the model that answered; NaN where none can be had.
        sample: USD of the further samples that a vote needs; NaN where none can be.
        confident: Whether a model's confidence comes with its answer.
    """

    ask: Sequence[float]
    verify: Sequence[float]
    sample: Sequence[float]
    confident: Sequence[bool]

    @classmethod
    def of(
        cls,
        ask: Sequence[float],
        *,
        verify: Sequence[float] | None = None,
        sample: Sequence[float] | None = None,
        confident: Sequence[bool] | None = None,
    ) -> Prices:
        """Prices, where all that is not given cannot be had.

        Args:
            ask: USD.
            verify: USD.
            sample: USD.
            confident: Whether it comes with the answer.
        """
        none = [math.nan] * len(ask)
        return cls(
            ask=ask,
            verify=none if verify is None else verify,
            sample=none if sample is None else sample,
            confident=[False] * len(ask) if confident is None else confident,
        )

    def dearest(self, allowed: Sequence[bool]) -> float:
        """USD of the dearest call, above 0.

        Args:
            allowed: Which models may be asked; at least one.
        """
        return max(_LEAST_USD, *itertools.compress(self.ask, allowed))


@dataclass(frozen=True)
class Step:
    """What to do next, and why.

    Attributes:
        kind: `"stop"`, `"ask"`, `"verify"` or `"sample"`.
        model: The model to call; at `"stop"`, the one whose answer is returned.
        good: Probability that the best answer now in hand is good.
        gain: By how much the step and what may follow raise the probability of a good answer,
            less what follows costs in units of a good answer's worth; 0 at `"stop"`.
        cost: What the step is expected to cost, USD.
    """

    kind: str
    model: int
    good: float
    gain: float = 0.0
    cost: float = 0.0


def next_step(
    belief: Belief,
    prices: Prices,
    worth: float,
    *,
    models: Collection[int] | None = None,
    limit: float = float("inf"),
) -> Step:
    """The step that leaves most, or stop when none leaves more than stopping.

    The first call is always made, whatever a good answer is worth.

    Args:
        belief: What the judge makes of the generations heard.
        prices: What the steps cost.
        worth: v, USD that a good answer is worth, above 0.
        models: The models that may still be called; None for all. Those heard are not asked again.
        limit: USD that may still be spent: no step that costs more is taken.

    Raises:
        ConfigurationError: A worth of 0 or less, or no model was heard and none may be asked.
    """
    return Plan(belief, prices, models=models, limit=limit).step(worth)


class Plan:
    """All that can be done next, worked out once; `step` chooses for what a good answer is worth.

    Args:
        belief: What the judge makes of the generations heard.
        prices: What the steps cost.
        models: The models that may still be called; None for all. Those heard are not asked again.
        limit: USD that may still be spent: no step that costs more is taken.
    """

    def __init__(
        self,
        belief: Belief,
        prices: Prices,
        *,
        models: Collection[int] | None = None,
        limit: float = float("inf"),
    ) -> None:
        self._belief, self._ask = belief, prices.ask
        allowed = range(len(prices.ask)) if models is None else models
        fresh = [m for m in allowed if m not in belief.asked and prices.ask[m] <= limit]
        self._options = [
            (step, prospects, self._later(step, fresh, limit))
            for step, prospects in _steps(belief, prices, allowed, fresh, limit)
        ]

    def step(self, worth: float) -> Step:
        """The step that leaves most, or stop when none leaves more than stopping.

        Args:
            worth: v, USD that a good answer is worth, above 0.

        Raises:
            ConfigurationError: A worth of 0 or less, or no model was heard and none may be asked.
        """
        if not worth > 0:
            raise ConfigurationError(f"a good answer must be worth more than 0 USD; got {worth}.")
        held = self._belief.held
        steps = [
            replace(step, gain=_value(prospects, later, self._ask, worth) - held)
            for step, prospects, later in self._options
        ]
        best = max(steps, key=lambda step: step.gain - step.cost / worth, default=None)
        if self._belief.best < 0:
            if best is None:
                raise ConfigurationError("no model was asked, and none may be: widen the limits.")
            return best
        if best is None or best.gain <= best.cost / worth + _CAUTION:
            return Step("stop", self._belief.speaker, held)
        return best

    def _later(self, step: Step, fresh: Collection[int], limit: float) -> list[int]:
        """The models that may be asked after a step."""
        return [m for m in fresh if m != step.model and step.cost + self._ask[m] <= limit]


def _steps(
    belief: Belief, prices: Prices, allowed: Collection[int], fresh: Collection[int], limit: float
) -> Iterator[tuple[Step, Prospects]]:
    """Each step that can be taken, with what may come of it."""
    for model in fresh:
        prospects = belief.after_asking(model, confident=prices.confident[model])
        yield Step("ask", model, belief.held, cost=prices.ask[model]), prospects
    for kind, source, price, done in (
        ("verify", "verified", prices.verify, belief.verified),
        ("sample", "share", prices.sample, belief.sampled),
    ):
        for model in belief.asked.intersection(allowed) - done:
            if price[model] <= limit:  # NaN is not
                prospects = belief.after_checking(model, source)
                yield Step(kind, model, belief.held, cost=price[model]), prospects


def _value(prospects: Prospects, later: list[int], ask: Sequence[float], worth: float) -> float:
    """Good answers to be expected if, after each outcome, one more model may be asked.

    Args:
        prospects: The outcomes.
        later: The models that may be asked then.
        ask: USD of a call of each model.
        worth: USD that a good answer is worth.
    """
    if not later:
        return float(prospects.held.sum())
    cost = np.array([ask[m] / worth for m in later])
    replaced = prospects.able[:, later] - prospects.chance[:, None] * cost
    return float(np.maximum(prospects.held, replaced.max(axis=1)).sum())
