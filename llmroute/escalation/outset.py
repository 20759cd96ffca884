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

import numpy as np
import numpy.typing as npt

from llmroute.escalation.judge import GRID, Form, Judge
from llmroute.escalation.planning import Prices

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

#: Outcomes of the evidence that has most: a confidence between three cuts.
_BINS = 4
_NO_EVIDENCE = (np.vstack([np.ones(len(GRID)), np.zeros((_BINS - 1, len(GRID)))]),) * 2
#: The search for a worth: how far below the dearest call it begins, and how often it halves.
_RANGE, _HALVINGS = 1e4, 24
_CENT = 1e-12
#: Priors nearer to 0 or 1 than this say no more.
_LEAST = 1e-4


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
        first: (O,) the model that is asked.
        buys: (O,) whether evidence is bought after it.
        ask: (M,) USD of a call of each model.
        cost: (O,) USD of the opening; NaN where it cannot be had.
        chance: (O, B) probability of each outcome.
        held: (O, B) probability that it comes so and the best answer then in hand is good.
        able: (O, B, M) probability that it comes so and a call of each model would be good; below 0
            where that model cannot be asked then.
        possible: (O,) which openings can be made.
        able_alone: (M,) probability that each model's answer is good, before anything is heard.
    """

    first: Ints
    buys: Bools
    ask: Floats
    cost: Floats
    chance: Floats
    held: Floats
    able: Floats
    possible: Bools
    able_alone: Floats

    def most_left(self, worth: float) -> Opening:
        """The opening that leaves most.

        Args:
            worth: USD that a good answer is worth, above 0.
        """
        # What is left, in good answers, when one more model is asked after an outcome.
        replaced = self.able - self.chance[..., None] * (self.ask / worth)
        replaced = np.where(self.able < 0, -1.0, replaced)
        most = replaced.max(axis=-1)
        value = np.maximum(self.held, most).sum(axis=-1) - self.cost / worth
        return self._opening(value, most > self.held, replaced)

    def _opening(self, value: Floats, goes_on: Bools, preference: Floats) -> Opening:
        """The possible opening of most value, and what comes of it.

        Args:
            value: (O,) value of each.
            goes_on: (O, B) whether one more model is asked after an outcome.
            preference: (O, B, M) which: the one of most.
        """
        best = int(np.argmax(np.where(self.possible, value, -np.inf)))
        quality, cost = 0.0, float(self.cost[best])
        for outcome, on in enumerate(goes_on[best].tolist()):
            if on:
                by = int(preference[best, outcome].argmax())
                quality += float(self.able[best, outcome, by])
                cost += float(self.chance[best, outcome] * self.ask[by])
            else:
                quality += float(self.held[best, outcome])
        checks = bool(self.buys[best] or goes_on[best].any())
        return Opening(int(self.first[best]), quality, cost, checks)


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
        self._judge, self._form = judge, form
        models = range(len(judge.members))
        # (model, kind of evidence): as it comes, with a verification, with samples.
        single = [(m, "token" if sure else "") for m, sure in enumerate(confident)]
        single += [(m, "verified") for m in models] + [(m, "share") for m in models]
        # Two models are compared where a third may follow.
        pairs = [(i, j) for i in models for j in models if i != j] if len(models) > 2 else []
        self._singles = len(single)
        self._first = np.array([m for m, _ in single] + [i for i, _ in pairs], dtype=np.intp)
        self._second = np.array([j for _, j in pairs], dtype=np.intp)
        self._buys = np.array(
            [kind in ("verified", "share") for _, kind in single] + [True] * len(pairs)
        )
        # (single, B, D) chance of each outcome if the answer is good, and if it is bad.
        logits = _logits(typical)
        evidence = [
            judge.imagined(kind, m, float(logits[m])) if kind else _NO_EVIDENCE
            for m, kind in single
        ]
        self._good = np.stack([good for good, _ in evidence])
        self._bad = np.stack([bad for _, bad in evidence])
        # (O, M) the models that may not be asked after an opening: those that were.
        self._asked = np.zeros((len(self._first), len(models)), np.bool_)
        self._asked[np.arange(len(self._first)), self._first] = True
        self._asked[np.arange(self._singles, len(self._first)), self._second] = True

    def table(
        self, prior: Floats, prices: Prices, allowed: Bools, limit: float = float("inf")
    ) -> Table:
        """What may come of each opening.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            prices: What the steps cost.
            allowed: (M,) which models may be asked.
            limit: USD that may be spent.
        """
        weights, success = self._judge.weights, self._judge.success(_logits(prior))
        as_good = weights * success[self._first[: self._singles]]
        mass_good = as_good[:, None] * self._good
        mass = mass_good + (weights - as_good)[:, None] * self._bad
        held = mass_good.sum(axis=-1)
        ask = prices.ask
        cost = ask[self._first]
        cost[len(ask) : self._singles] += np.concatenate([prices.verify, prices.sample])
        possible = allowed[self._first]
        if len(self._second):
            compared, in_hand = self._compared(success)
            mass, held = np.concatenate([mass, compared]), np.concatenate([held, in_hand])
            cost[self._singles :] += ask[self._second]
            possible[self._singles :] &= allowed[self._second]
        closed = self._asked | ~allowed
        if limit < np.inf:
            closed = closed | (cost[:, None] + ask > limit)
        return Table(
            first=self._first,
            buys=self._buys,
            ask=ask,
            cost=cost,
            chance=mass.sum(axis=-1),
            held=held,
            able=np.where(closed[:, None], -1.0, mass @ success.T),
            possible=possible & (cost <= limit),  # NaN is not
            able_alone=success @ weights,
        )

    def _compared(self, success: Floats) -> tuple[Floats, Floats]:
        """Two models' answers, (pairs, B, D) and (pairs, B): they agree, or they differ."""
        weights, form = self._judge.weights, self._form
        one, two = success[self._first[self._singles :]], success[self._second]
        agree_good = weights * one * two / (1 + form.right)
        agree = agree_good + weights * (1 - one) * (1 - two) / (1 + form.wrong)
        mass = np.zeros((len(one), _BINS, len(GRID)))
        mass[:, 0], mass[:, 1] = agree, weights - agree
        held = np.zeros((len(one), _BINS))
        held[:, 0] = agree_good.sum(axis=-1)
        held[:, 1] = np.maximum(one @ weights, two @ weights) - held[:, 0]
        return mass, held


def _logits(share: Floats) -> Floats:
    inside = np.minimum(np.maximum(share, _LEAST), 1 - _LEAST)
    result: Floats = np.log(inside / (1 - inside))
    return result


def worth_of_share(
    openings: Openings, priors: Floats, prices: Prices, share: float, allowed: Bools
) -> float:
    """The least worth of a good answer at which mean quality reaches a share of the strongest's.

    Args:
        openings: The ways to begin.
        priors: (N, M) success probabilities on typical prompts.
        prices: What the steps cost on them.
        share: Of the mean quality of the model that is best on them, 0..1.
        allowed: (M,) which models may be asked.

    Returns:
        USD; at most that at which the last missing part of the share is worth the dearest call.
    """
    tables = [openings.table(prior, prices, allowed) for prior in priors]
    alone = np.mean([table.able_alone for table in tables], axis=0)
    best = float(np.where(allowed, alone, 0.0).max())
    dearest = max(float(prices.ask[allowed].max()), _CENT)
    most = dearest / max((1 - share) * best, _LEAST)
    low, high = math.log(dearest / _RANGE), math.log(most)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        worth = math.exp(middle)
        quality = sum(table.most_left(worth).quality for table in tables) / len(tables)
        low, high = (low, middle) if quality >= share * best else (middle, high)
    return math.exp(high)
