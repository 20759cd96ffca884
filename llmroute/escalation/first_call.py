"""The first call, before there is an answer.

`next_call.next_step` looks one call ahead, which is enough once there is an answer. Which model to
ask first also depends on what can be learned of its answer afterwards. So an option is a model
together with the evidence that would be bought of its answer: what comes with it, more samples of
it, a verification, or a second model's answer. After it, either the best answer in hand is returned
or one more model is asked (cascade routing, arXiv 2410.10347). Only the first call of the best
option is made; then the plan is made again with what was observed.

This runs for every decision, so it is one pass over small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from operator import add
from typing import NamedTuple

import numpy as np

from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.latent_difficulty import GRID, LEAST, WEIGHTS
from llmroute.escalation.next_call import Prices
from llmroute.escalation.priors import AnswerForm
from llmroute.numerics import Floats, logit

#: Kinds of evidence of one answer: what comes with it, a verification, more samples.
_KINDS = ("", "verified", "share")
_ONES = np.ones(len(GRID))  # the product with it is a cheaper sum
#: The search for λ: how far below the dearest call it begins, and how often it halves.
_RANGE, _HALVINGS = 1e4, 24


class FirstCallPlan(NamedTuple):
    """The best option.

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
class OptionTable:
    """What may come of the O options for one prompt: R outcomes in all.

    Attributes:
        options: The options.
        cost: By option, USD; infinite where it cannot be had.
        ask: By model, USD of a call.
        success: (M, D) success probability of each model at each θ.
        mass: (R, D) probability that it comes so and θ is so.
        held: (R,) probability that it comes so and the best answer then in hand is good.
        closed: (M, R) minus infinity where a model cannot be asked after an outcome, else 0.
    """

    options: FirstCallOptions
    cost: Sequence[float]
    ask: Sequence[float]
    success: Floats
    mass: Floats
    held: Floats
    closed: Floats

    def best_option(self, value_per_answer: float) -> FirstCallPlan:
        """The option that leaves most.

        Args:
            value_per_answer: λ, USD that a good answer is worth, above 0.
        """
        # What is left, in good answers, when one more model is asked after an outcome: (M, R).
        gain = self.success - (np.array(self.ask) / value_per_answer)[:, None]
        replaced = gain @ self.mass.T
        replaced += self.closed
        most = np.maximum(self.held, replaced.max(axis=0))
        reached = np.add.reduceat(most, self.options.starts).tolist()
        values = [
            value - usd / value_per_answer for value, usd in zip(reached, self.cost, strict=True)
        ]
        best = values.index(max(values))
        outcomes = self.options.outcomes[best]
        quality, cost, checks = 0.0, self.cost[best], self.options.buys[best]
        for chance, held, left in zip(
            (self.mass[outcomes] @ _ONES).tolist(),
            self.held[outcomes].tolist(),
            replaced[:, outcomes].T.tolist(),
            strict=True,
        ):
            after = max(left)
            if after > held:
                usd = chance * self.ask[left.index(after)]
                quality += after + usd / value_per_answer
                cost += usd
                checks = True
            else:
                quality += held
        return FirstCallPlan(self.options.first[best], quality, cost, checks)


class FirstCallOptions:
    """The O options of a first call, for one belief model and one form of answer. Thread-safe.

    Args:
        belief_model: Of the pool's M models.
        confident: Whether each model's confidence comes with its answer.
        form: How answers coincide.
        typical: (M,) prior at which confidences are expected, 0..1.

    Attributes:
        first: By option, the model that is asked.
        buys: By option, whether evidence is bought after it.
        outcomes: By option, its part of the R outcomes of all.
        starts: (O,) where each option's outcomes begin.
    """

    def __init__(
        self,
        belief_model: BeliefModel,
        confident: Sequence[bool],
        form: AnswerForm,
        typical: Floats,
    ) -> None:
        self._belief_model = belief_model
        models = range(len(belief_model.members))
        # Two models are compared where a third may follow. Which of the two is asked first makes no
        # difference to the plan; it is the earlier one in the pool.
        self._pairs = tuple(combinations(models, 2)) if len(models) > 2 else ()
        self._compared = tuple(np.array(self._pairs, dtype=np.intp).reshape(-1, 2).T)
        self.first = [*models] * len(_KINDS) + [first for first, _ in self._pairs]
        self.buys = [bool(kind) for kind in _KINDS for _ in models] + [True] * len(self._pairs)
        alone = _alone(belief_model, confident, logit(typical, LEAST).tolist())
        chances = alone + [_compared(form)] * len(self._pairs)
        counts = [len(right) for right, _ in chances]
        edges = [0, *accumulate(counts)]
        self.outcomes = [slice(start, end) for start, end in pairwise(edges)]
        self.starts = np.array(edges[:-1])
        # (2, R, D) chances of the outcomes if the answer is right, and if it is wrong, times that
        # of θ; and whose answer it is, or which pair's: numbers of the rows of `evidence`.
        self._chances = WEIGHTS * np.concatenate(chances, axis=1)
        pairs = range(len(models), len(models) + len(self._pairs))
        self._row = np.repeat([*models] * len(_KINDS) + [*pairs], counts)
        self._differ = slice(edges[len(alone)] + 1, None, 2)
        asked = np.eye(len(models), dtype=np.bool_)[self.first]
        asked[np.arange(-len(self._pairs), 0), self._compared[1]] = True
        self._closed = np.where(asked.T.repeat(counts, axis=1), -np.inf, 0.0)

    def table(
        self, prior: Floats, prices: Prices, allowed: Sequence[bool], limit: float = math.inf
    ) -> OptionTable:
        """What may come of each option.

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
            first, second = (evidence.take(columns, axis=1) for columns in self._compared)
            np.multiply(first, second, out=evidence[:, models:])
        parts = evidence.take(self._row, axis=1)
        parts *= self._chances
        mass, held = parts[0] + parts[1], parts[0] @ _ONES
        if self._pairs:
            # The better one is in hand; it is good where both are, too.
            mass[self._differ] += WEIGHTS
            able = success @ WEIGHTS
            held[self._differ] += np.maximum(*(able.take(columns) for columns in self._compared))
        cost = self._cost(prices, allowed, limit)
        closed = self._closed
        if not all(allowed):
            closed = np.where(np.array(allowed)[:, None], closed, -np.inf)
        if limit < math.inf:
            spent = np.repeat(cost, [part.stop - part.start for part in self.outcomes])
            closed = np.where(spent + np.array(prices.ask)[:, None] > limit, -np.inf, closed)
        return OptionTable(self, cost, prices.ask, success, mass, held, closed)

    def _cost(self, prices: Prices, allowed: Sequence[bool], limit: float) -> list[float]:
        """USD of each option; infinite where it cannot be had."""
        ask = [usd if may else math.inf for usd, may in zip(prices.ask, allowed, strict=True)]
        costs = [
            *ask,
            *map(add, ask, prices.verify),
            *map(add, ask, prices.sample),
            *[ask[first] + ask[second] for first, second in self._pairs],
        ]
        return [cost if cost <= limit else math.inf for cost in costs]  # NaN is not


def _alone(
    belief_model: BeliefModel, confident: Sequence[bool], logits: Sequence[float]
) -> list[tuple[Floats, Floats]]:
    """By kind of evidence and model, chances of its outcomes, (B, D); answer good, and bad."""
    chances = []
    for kind in _KINDS:
        for member, rate, is_confident, prior_logit in zip(
            belief_model.members,
            belief_model.shared_error_rate["text"].tolist(),
            confident,
            logits,
            strict=True,
        ):
            if kind or is_confident:
                confidences = member.confidence_model(kind or "token")
                good, shared_error, other = confidences.bins(prior_logit)
                chances.append((good, rate * shared_error + (1 - rate) * other))
            else:
                chances.append((_ONES[None], _ONES[None]))
    return chances


def _compared(form: AnswerForm) -> tuple[Floats, Floats]:
    """The same of two answers, both good, and both bad: the chance that they agree, and less it.

    The second row is short of the chance that they differ by 1, whatever they are.
    """
    agree = np.outer((1, -1), _ONES)
    return agree / (1 + form.right), agree / (1 + form.wrong)


def lambda_for_quality(
    options: FirstCallOptions, priors: Floats, prices: Prices, share: float, allowed: Sequence[bool]
) -> float:
    """The least value of a good answer at which mean quality reaches a share of the strongest's.

    Args:
        options: Of the first call.
        priors: (N, M) success probabilities on typical prompts.
        prices: What the steps cost on them.
        share: Of the mean quality of the model that is best on them, 0..1.
        allowed: Which models may be asked.

    Returns:
        λ in USD; at most that at which the last missing part of the share is worth the dearest
        call.
    """
    tables = [options.table(prior, prices, allowed) for prior in priors]
    alone = np.mean([table.success for table in tables], axis=0) @ WEIGHTS
    best = max(quality for quality, may in zip(alone.tolist(), allowed, strict=True) if may)
    dearest = prices.dearest(allowed)
    most = dearest / max((1 - share) * best, LEAST)
    low, high = math.log(dearest / _RANGE), math.log(most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        value_per_answer = math.exp(middle)
        quality = sum(table.best_option(value_per_answer).quality for table in tables) / len(tables)
        low, high = (low, middle) if quality >= share * best else (middle, high)
    return math.exp(high)
