"""What to do next: stop, ask a model, have an answer verified, or sample a model again.

One rule for routing and cascading together (cascade routing, arXiv 2410.10347): with λ, the value
of a good answer in USD, go on as long as λ times the gain is more than the cost. A step opens what
may follow it: after each of its outcomes, either stop with the best answer then in hand or ask one
more model and return its answer, whichever leaves more. Then the step is taken, and the plan is
made again with what was observed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import Belief, Prospects

#: A step must gain this much more than it costs: of many steps the one that looks best is on
#: average not as good as it looks.
_CAUTION = 0.01
#: Calls that cost nothing are counted as costing this, USD.
_LEAST_USD = 1e-12


@dataclass
class Prices:
    """What the steps of one prompt are expected to cost: a number a model, in the pool's order.

    Attributes:
        ask: USD of a call.
        verify: USD of a verification call by the model that answered; NaN where none can be had,
            as by default.
        sample: USD of the further samples that a vote needs; likewise.
        confident: Whether a model's confidence comes with its answer; by default none does.
    """

    ask: Sequence[float]
    verify: Sequence[float] = ()
    sample: Sequence[float] = ()
    confident: Sequence[bool] = ()

    def __post_init__(self) -> None:
        none = [math.nan] * len(self.ask)
        self.verify, self.sample = self.verify or none, self.sample or none
        self.confident = self.confident or [False] * len(self.ask)

    def dearest(self, allowed: Sequence[bool]) -> float:
        """USD of the dearest call, above 0."""
        return max(_LEAST_USD, *itertools.compress(self.ask, allowed))


@dataclass(frozen=True)
class NextCall:
    """What to do next, and why.

    Attributes:
        kind: `"stop"`, `"ask"`, `"verify"` or `"sample"`.
        model: The model to call; at `"stop"`, the one whose answer is returned.
        gain: By how much the step and what may follow raise the probability of a good answer,
            less the cost of what follows in good answers; 0 at `"stop"`.
        cost: What the step is expected to cost, USD.
    """

    kind: str
    model: int
    gain: float = 0.0
    cost: float = 0.0


def next_step(
    belief: Belief,
    prices: Prices,
    value_per_answer: float,
    *,
    models: Collection[int] | None = None,
    limit: float = math.inf,
) -> NextCall:
    """The step that leaves most, or stop when none leaves more than stopping.

    The first call is always made, whatever the value of a good answer.

    Args:
        belief: What follows from the answers so far.
        prices: What the steps cost.
        value_per_answer: λ, USD that a good answer is worth, above 0.
        models: The models that may still be called; None for all. None is asked twice.
        limit: USD that may still be spent: no step that costs more is taken.

    Raises:
        ConfigurationError: λ is 0 or less, or no model was asked and none may be.
    """
    if not value_per_answer > 0:
        raise ConfigurationError(
            f"a good answer must be worth more than 0 USD; got {value_per_answer}."
        )
    allowed = range(len(prices.ask)) if models is None else models
    fresh = [m for m in allowed if m not in belief.asked and prices.ask[m] <= limit]
    steps = []
    for kind, model, cost, prospects in _steps(belief, prices, allowed, fresh, limit):
        later = [m for m in fresh if m != model and cost + prices.ask[m] <= limit]
        value = _value(prospects, later, prices.ask, value_per_answer)
        steps.append(NextCall(kind, model, value - belief.held, cost))
    best = max(steps, key=lambda step: step.gain - step.cost / value_per_answer, default=None)
    if belief.best < 0:
        if best is None:
            raise ConfigurationError("no model was asked, and none may be: widen the limits.")
        return best
    if best is None or best.gain <= best.cost / value_per_answer + _CAUTION:
        return NextCall("stop", belief.speaker)
    return best


def _steps(
    belief: Belief, prices: Prices, allowed: Collection[int], fresh: Collection[int], limit: float
) -> Iterator[tuple[str, int, float, Prospects]]:
    """Each step that can be taken: its kind, model and USD, and what may come of it."""
    for model in fresh:
        prospects = belief.after_asking(model, confident=prices.confident[model])
        yield "ask", model, prices.ask[model], prospects
    for kind, evidence, price in (
        ("verify", "verified", prices.verify),
        ("sample", "share", prices.sample),
    ):
        for model in belief.asked.intersection(allowed) - belief.checked(evidence):
            if price[model] <= limit:  # NaN is not
                yield kind, model, price[model], belief.after_checking(model, evidence)


def _value(
    prospects: Prospects, later: list[int], ask: Sequence[float], value_per_answer: float
) -> float:
    """Good answers to be expected if, after each outcome, one of the `later` may be asked."""
    if not later:
        return float(prospects.held.sum())
    cost = np.array([ask[m] / value_per_answer for m in later])
    replaced = prospects.able[:, later] - prospects.chance[:, None] * cost
    return float(np.maximum(prospects.held, replaced.max(axis=1)).sum())
