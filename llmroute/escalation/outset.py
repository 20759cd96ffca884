"""The first move, before anything is heard.

`planning.Plan` looks one call ahead, which is enough once there is an answer to look at. Which
model to ask first also depends on what can be learned of its answer afterwards. So an opening is a
model together with the evidence that would be bought of its answer: what comes with it, more
samples of it, a verification, or a second model's answer. After it, either the best answer in hand
is returned or one more model is asked (cascade routing, arXiv 2410.10347). Only the first call of
the best opening is made; then the plan is made anew with what was heard.

This runs for every decision, so it is one pass over small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import add

import numpy as np
import numpy.typing as npt

from llmroute.escalation.difficulty import GRID, LEAST, WEIGHTS, logit
from llmroute.escalation.judge import Judge
from llmroute.escalation.planning import Prices
from llmroute.escalation.traits import Form

Floats = npt.NDArray[np.float64]

#: Outcomes of the evidence that has most: a confidence between three cuts.
_BINS = 4
#: Kinds of evidence of one answer: what comes with it, a verification, more samples.
_KINDS = ("", "verified", "share")
_NO_EVIDENCE = (np.vstack([np.ones(len(GRID)), np.zeros((_BINS - 1, len(GRID)))]),) * 2
#: The search for a worth: how far below the dearest call it begins, and how often it halves.
_RANGE, _HALVINGS = 1e4, 24


@dataclass(frozen=True)
class Opening:
    """The best opening.

    Attributes:
        first: Column of the model to ask first.
        quality: Probability that the answer returned in the end is good.
        cost: Expected USD of all calls.
        checks: Whether evidence is bought, or another model may be asked, after the first.
    """

    first: int
    quality: float
    cost: float
    checks: bool


@dataclass(frozen=True)
class Table:
    """What may come of O openings, in B outcomes each.

    Attributes:
        first: By opening, the model that is asked.
        buys: By opening, whether evidence is bought after it.
        cost: By opening, USD; infinite where it cannot be had.
        ask: By model, USD of a call.
        success: (M, D) success probability of each model at each d.
        mass: (O, B, D) probability that it comes so and d is so.
        held: (O, B) probability that it comes so and the best answer then in hand is good.
        closed: (O, M) minus infinity where a model cannot be asked after an opening, else 0.
    """

    first: Sequence[int]
    buys: Sequence[bool]
    cost: Sequence[float]
    ask: Sequence[float]
    success: Floats
    mass: Floats
    held: Floats
    closed: Floats

    def most_left(self, worth: float) -> Opening:
        """The opening that leaves most.

        Args:
            worth: USD that a good answer is worth, above 0.
        """
        # What is left, in good answers, when one more model is asked after an outcome: (M, O, B).
        gain = self.success - [[usd / worth] for usd in self.ask]
        replaced = (gain @ self.mass.reshape(-1, len(GRID)).T).reshape(-1, *self.held.shape)
        replaced += self.closed.T[:, :, None]
        most = replaced.max(axis=0)
        value = np.maximum(self.held, most).sum(axis=1) - [usd / worth for usd in self.cost]
        best = int(value.argmax())
        return self._opening(best, most[best].tolist(), replaced[:, best].argmax(axis=0).tolist())

    def _opening(self, best: int, most: list[float], by: list[int]) -> Opening:
        """What comes of an opening.

        Args:
            best: Which.
            most: By outcome, what is left when one more model is asked.
            by: By outcome, which one leaves that.
        """
        mass = self.mass[best]
        chance, able = mass.sum(axis=1).tolist(), (mass @ self.success.T).tolist()
        quality, cost, goes_on = 0.0, self.cost[best], False
        for outcome, held in enumerate(self.held[best].tolist()):
            if most[outcome] > held:
                quality += able[outcome][by[outcome]]
                cost += chance[outcome] * self.ask[by[outcome]]
                goes_on = True
            else:
                quality += held
        return Opening(self.first[best], quality, cost, self.buys[best] or goes_on)


class Openings:
    """The O ways to begin, for one judge and one form of answer. Thread-safe: nothing changes.

    Args:
        judge: The judge of the pool's M models.
        confident: Whether each model's confidence comes with its answer.
        form: How answers coincide.
        typical: (M,) prior at which confidences are imagined, 0..1.
    """

    def __init__(
        self, judge: Judge, confident: Sequence[bool], form: Form, typical: Floats
    ) -> None:
        self._judge, self._weights = judge, judge.weights
        # Times the chance that two good answers, or two bad ones, agree.
        self._right = judge.weights / (1 + form.right)
        self._wrong = judge.weights / (1 + form.wrong)
        self._alike = self._right + self._wrong
        models = range(len(judge.members))
        # Two models are compared where a third may follow. Which of the two is asked first makes no
        # difference to the plan; it is the earlier one in the pool.
        self._pairs = tuple(combinations(models, 2)) if len(models) > 2 else ()
        self._compared = np.array(self._pairs, dtype=np.intp).reshape(-1, 2).T
        self._first = [*models] * len(_KINDS) + [one for one, _ in self._pairs]
        self._buys = [bool(kind) for kind in _KINDS for _ in models] + [True] * len(self._pairs)
        asked = np.eye(len(models), dtype=np.bool_)[self._first]
        asked[np.arange(-len(self._pairs), 0), self._compared[1]] = True
        self._closed = np.where(asked, -np.inf, 0.0)
        # (3, M, B, D) chance of each outcome of one model's answer, if it is good and if it is bad.
        imagined = _imagined(judge, confident, logit(typical).tolist())
        good, bad = (judge.weights * imagined[:, :, is_bad] for is_bad in (0, 1))
        self._good, self._bad, self._rise = good, bad, good - bad

    def table(
        self, prior: Floats, prices: Prices, allowed: Sequence[bool], limit: float = math.inf
    ) -> Table:
        """What may come of each opening.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            prices: What the steps cost.
            allowed: Which models may be asked.
            limit: USD that may be spent.
        """
        success = self._judge.success(prior)
        mass = np.zeros((len(self._first), _BINS, len(GRID)))
        held = np.zeros((len(self._first), _BINS))
        alone = len(_KINDS) * len(success)
        single = np.multiply(
            self._rise, success[:, None], out=mass[:alone].reshape(self._rise.shape)
        )
        single += self._bad
        held[:alone] = (self._good @ success[..., None]).reshape(alone, _BINS)
        if self._pairs:
            self._compare(success, mass[alone:], held[alone:])
        cost = self._cost(prices, allowed, limit)
        return Table(
            first=self._first,
            buys=self._buys,
            cost=cost,
            ask=prices.ask,
            success=success,
            mass=mass,
            held=held,
            closed=self._closed_by(cost, prices.ask, allowed, limit),
        )

    def _compare(self, success: Floats, mass: Floats, held: Floats) -> None:
        """Writes what comes of two models' answers: they agree, or they differ."""
        one, two = success.take(self._compared, axis=0)
        both = one * two
        # right · both + wrong · (1 − one) · (1 − two)
        agree = np.add(self._alike * both, self._wrong * (1 - (one + two)), out=mass[:, 0])
        np.subtract(self._weights, agree, out=mass[:, 1])
        held[:, 0] = both @ self._right
        held[:, 1] = (success @ self._weights).take(self._compared).max(axis=0) - held[:, 0]

    def _cost(self, prices: Prices, allowed: Sequence[bool], limit: float) -> list[float]:
        """USD of each opening; infinite where it cannot be had."""
        ask = [usd if may else math.inf for usd, may in zip(prices.ask, allowed, strict=True)]
        costs = [
            *ask,
            *map(add, ask, prices.verify),
            *map(add, ask, prices.sample),
            *(ask[one] + ask[two] for one, two in self._pairs),
        ]
        return [cost if cost <= limit else math.inf for cost in costs]  # NaN is not

    def _closed_by(
        self, cost: Sequence[float], ask: Sequence[float], allowed: Sequence[bool], limit: float
    ) -> Floats:
        """(O, M) minus infinity where a model cannot be asked after an opening, else 0."""
        closed = self._closed
        if not all(allowed):
            closed = np.where(allowed, closed, -np.inf)
        if limit < math.inf:
            closed = np.where(np.array(cost)[:, None] + ask > limit, -np.inf, closed)
        return closed


def _imagined(judge: Judge, confident: Sequence[bool], logits: Sequence[float]) -> Floats:
    """(3, M, 2, B, D) chance of each outcome of each kind of evidence; answer good, and bad."""
    return np.array(
        [
            [
                judge.imagined(kind or "token", model, logits[model])
                if kind or sure
                else _NO_EVIDENCE
                for model, sure in enumerate(confident)
            ]
            for kind in _KINDS
        ]
    )


def worth_of_share(
    openings: Openings, priors: Floats, prices: Prices, share: float, allowed: Sequence[bool]
) -> float:
    """The least worth of a good answer at which mean quality reaches a share of the strongest's.

    Args:
        openings: The ways to begin.
        priors: (N, M) success probabilities on typical prompts.
        prices: What the steps cost on them.
        share: Of the mean quality of the model that is best on them, 0..1.
        allowed: Which models may be asked.

    Returns:
        USD; at most that at which the last missing part of the share is worth the dearest call.
    """
    tables = [openings.table(prior, prices, allowed) for prior in priors]
    alone = np.mean([table.success for table in tables], axis=0) @ WEIGHTS
    best = max(one for one, may in zip(alone.tolist(), allowed, strict=True) if may)
    dearest = prices.dearest(allowed)
    most = dearest / max((1 - share) * best, LEAST)
    low, high = math.log(dearest / _RANGE), math.log(most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        worth = math.exp(middle)
        quality = sum(table.most_left(worth).quality for table in tables) / len(tables)
        low, high = (low, middle) if quality >= share * best else (middle, high)
    return math.exp(high)
