"""The first move, before anything is heard.

`planning.Plan` looks one call ahead, which is enough once there is an answer to look at. Which
model to ask first also depends on what can be learned of its answer afterwards. So an opening is a
model together with the evidence that would be bought of its answer: what comes with it, more
samples of it, a verification, or a second model's answer. After it, either the best answer in hand
is returned or one more model is asked (cascade routing, arXiv 2410.10347). Only the first call of
the best opening is made; then the plan is made again with what was observed.

This runs for every decision, so it is one pass over small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from operator import add

import numpy as np
import numpy.typing as npt

from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.latent_difficulty import GRID, LEAST, WEIGHTS
from llmroute.escalation.next_call import Prices
from llmroute.escalation.priors import AnswerForm
from llmroute.numerics import Floats, logit

#: Kinds of evidence of one answer: what comes with it, a verification, more samples.
_KINDS = ("", "verified", "share")
_ONES = np.ones(len(GRID))  # the product with it is a cheaper sum
_NO_EVIDENCE = (_ONES[None], _ONES[None])
#: The search for a worth: how far below the dearest call it begins, and how often it halves.
_RANGE, _HALVINGS = 1e4, 24


@dataclass(frozen=True)
class FirstCallOption:
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
class OptionLayout:
    """The O ways to begin, and the R outcomes of all of them: those of the first, and so on.

    Attributes:
        first: By opening, the model that is asked.
        buys: By opening, whether evidence is bought after it.
        starts: (O,) where each opening's outcomes begin.
        outcomes: By opening, its part of all outcomes.
    """

    first: Sequence[int]
    buys: Sequence[bool]
    starts: npt.NDArray[np.intp]
    outcomes: Sequence[slice]


@dataclass(frozen=True)
class OptionTable:
    """What may come of the openings, for one prompt.

    Attributes:
        layout: The openings.
        cost: By opening, USD; infinite where it cannot be had.
        ask: By model, USD of a call.
        success: (M, D) success probability of each model at each d.
        mass: (R, D) probability that it comes so and d is so.
        held: (R,) probability that it comes so and the best answer then in hand is good.
        closed: (M, R) minus infinity where a model cannot be asked after an outcome, else 0.
    """

    layout: OptionLayout
    cost: Sequence[float]
    ask: Sequence[float]
    success: Floats
    mass: Floats
    held: Floats
    closed: Floats

    def best_option(self, value_per_answer: float) -> FirstCallOption:
        """The opening that leaves most.

        Args:
            value_per_answer: USD that a good answer is worth, above 0.
        """
        # What is left, in good answers, when one more model is asked after an outcome: (M, R).
        gain = self.success - (np.array(self.ask) / value_per_answer)[:, None]
        replaced = gain @ self.mass.T
        replaced += self.closed
        most = np.maximum(self.held, replaced.max(axis=0))
        reached = np.add.reduceat(most, self.layout.starts).tolist()
        values = [
            value - usd / value_per_answer for value, usd in zip(reached, self.cost, strict=True)
        ]
        return self._option(values.index(max(values)), replaced, value_per_answer)

    def _option(self, best: int, replaced: Floats, value_per_answer: float) -> FirstCallOption:
        """What comes of an opening.

        Args:
            best: Which.
            replaced: (M, R) what is left when one more model is asked.
            value_per_answer: USD that a good answer is worth.
        """
        layout = self.layout
        its = layout.outcomes[best]
        chances = (self.mass[its] @ _ONES).tolist()
        quality, cost, goes_on = 0.0, self.cost[best], False
        outcomes = zip(chances, self.held[its].tolist(), replaced[:, its].T.tolist(), strict=True)
        for chance, held, left in outcomes:
            most = max(left)
            if most > held:
                usd = chance * self.ask[left.index(most)]
                quality += most + usd / value_per_answer
                cost += usd
                goes_on = True
            else:
                quality += held
        return FirstCallOption(layout.first[best], quality, cost, layout.buys[best] or goes_on)


class FirstCallOptions:
    """The ways to begin, for one judge and one form of answer. Thread-safe: nothing changes.

    Args:
        belief_model: The judge of the pool's M models.
        confident: Whether each model's confidence comes with its answer.
        form: How answers coincide.
        typical: (M,) prior at which confidences are imagined, 0..1.
    """

    def __init__(
        self,
        belief_model: BeliefModel,
        confident: Sequence[bool],
        form: AnswerForm,
        typical: Floats,
    ) -> None:
        self._belief_model, self._weights = belief_model, belief_model.weights
        models = range(len(belief_model.members))
        # Two models are compared where a third may follow. Which of the two is asked first makes no
        # difference to the plan; it is the earlier one in the pool.
        self._pairs = tuple(combinations(models, 2)) if len(models) > 2 else ()
        self._compared = tuple(np.array(self._pairs, dtype=np.intp).reshape(-1, 2).T)
        first = [*models] * len(_KINDS) + [one for one, _ in self._pairs]
        buys = [bool(kind) for kind in _KINDS for _ in models] + [True] * len(self._pairs)
        alone = _alone(belief_model, confident, logit(typical, LEAST).tolist())
        chances = alone + [_compared(form)] * len(self._pairs)
        counts = [len(right) for right, _ in chances]
        edges = [0, *accumulate(counts)]
        outcomes = [slice(start, end) for start, end in pairwise(edges)]
        self._layout = OptionLayout(first, buys, np.array(edges[:-1]), outcomes)
        # (2, R, D) chances of the outcomes if what was told is right, and if it is wrong, times
        # that of d; and whose answer is told, or which pair's: numbers of the rows of `evidence`.
        self._chances = belief_model.weights * np.concatenate(chances, axis=1)
        evidence = [*models] * len(_KINDS) + [
            len(models) + pair for pair in range(len(self._pairs))
        ]
        self._told = np.repeat(evidence, counts)
        self._differ = slice(edges[len(alone)] + 1, None, 2)
        asked = np.eye(len(models), dtype=np.bool_)[first]
        asked[np.arange(-len(self._pairs), 0), self._compared[1]] = True
        self._closed = np.where(asked.T.repeat(counts, axis=1), -np.inf, 0.0)

    def table(
        self, prior: Floats, prices: Prices, allowed: Sequence[bool], limit: float = math.inf
    ) -> OptionTable:
        """What may come of each opening.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            prices: What the steps cost.
            allowed: Which models may be asked.
            limit: USD that may be spent.
        """
        success = self._belief_model.success(prior)
        # (2, M + P, D): a model's answer is right, or wrong; both answers of a pair are.
        models = len(success)
        evidence = np.empty((2, models + len(self._pairs), len(GRID)))
        evidence[0, :models] = success
        np.subtract(1, success, out=evidence[1, :models])
        if self._pairs:
            one, two = (evidence.take(place, axis=1) for place in self._compared)
            np.multiply(one, two, out=evidence[:, models:])
        parts = evidence.take(self._told, axis=1)
        parts *= self._chances
        mass, held = parts[0] + parts[1], parts[0] @ _ONES
        if self._pairs:
            # The better one is in hand; it is good where both are, too.
            mass[self._differ] += self._weights
            able = success @ self._weights
            held[self._differ] += np.maximum(*(able.take(place) for place in self._compared))
        cost = self._cost(prices, allowed, limit)
        closed = self._closed_by(cost, prices.ask, allowed, limit)
        return OptionTable(self._layout, cost, prices.ask, success, mass, held, closed)

    def _cost(self, prices: Prices, allowed: Sequence[bool], limit: float) -> list[float]:
        """USD of each opening; infinite where it cannot be had."""
        ask = [usd if may else math.inf for usd, may in zip(prices.ask, allowed, strict=True)]
        costs = [
            *ask,
            *map(add, ask, prices.verify),
            *map(add, ask, prices.sample),
            *[ask[one] + ask[two] for one, two in self._pairs],
        ]
        return [cost if cost <= limit else math.inf for cost in costs]  # NaN is not

    def _closed_by(
        self, cost: Sequence[float], ask: Sequence[float], allowed: Sequence[bool], limit: float
    ) -> Floats:
        """(M, R) minus infinity where a model cannot be asked after an outcome, else 0."""
        closed = self._closed
        if not all(allowed):
            closed = np.where(np.array(allowed)[:, None], closed, -np.inf)
        if limit < math.inf:
            spent = np.repeat(cost, [its.stop - its.start for its in self._layout.outcomes])
            closed = np.where(spent + np.array(ask)[:, None] > limit, -np.inf, closed)
        return closed


def _alone(
    belief_model: BeliefModel, confident: Sequence[bool], logits: Sequence[float]
) -> list[tuple[Floats, Floats]]:
    """By kind of evidence and model, chances of its outcomes, (B, D); answer good, and bad."""
    return [
        belief_model.imagined(kind or "token", model, logits[model])
        if kind or sure
        else _NO_EVIDENCE
        for kind in _KINDS
        for model, sure in enumerate(confident)
    ]


def _compared(form: AnswerForm) -> tuple[Floats, Floats]:
    """The same of two answers, both good, and both bad: the chance that they agree, and less it.

    The second row is short of the chance that they differ by 1, whatever they are.
    """
    agree = np.outer((1, -1), _ONES)
    return agree / (1 + form.right), agree / (1 + form.wrong)


def lambda_for_quality(
    first_call_options: FirstCallOptions,
    priors: Floats,
    prices: Prices,
    share: float,
    allowed: Sequence[bool],
) -> float:
    """The least worth of a good answer at which mean quality reaches a share of the strongest's.

    Args:
        first_call_options: The ways to begin.
        priors: (N, M) success probabilities on typical prompts.
        prices: What the steps cost on them.
        share: Of the mean quality of the model that is best on them, 0..1.
        allowed: Which models may be asked.

    Returns:
        USD; at most that at which the last missing part of the share is worth the dearest call.
    """
    tables = [first_call_options.table(prior, prices, allowed) for prior in priors]
    alone = np.mean([table.success for table in tables], axis=0) @ WEIGHTS
    best = max(one for one, may in zip(alone.tolist(), allowed, strict=True) if may)
    dearest = prices.dearest(allowed)
    most = dearest / max((1 - share) * best, LEAST)
    low, high = math.log(dearest / _RANGE), math.log(most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        value_per_answer = math.exp(middle)
        quality = sum(table.best_option(value_per_answer).quality for table in tables) / len(tables)
        low, high = (low, middle) if quality >= share * best else (middle, high)
    return math.exp(high)
