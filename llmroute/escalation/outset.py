"""The first move, before anything is heard, for many prompts at once.

`planning.next_step` looks one call ahead, which is enough once there is an answer to look at. Which
model to ask first also depends on what can be learned of its answer afterwards. So an opening is a
model together with the evidence that would be bought of its answer: what comes with it, more
samples of it, a verification, or a second model's answer. After it, either the best answer in hand
is returned or one more model is asked (cascade routing, arXiv 2410.10347). Only the first call of
the best opening is made; then the plan is made anew with what was heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.escalation.judge import GRID, Form, Judge

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

#: Outcomes of the evidence that has most: a confidence between three cuts.
_BINS = 4
_NO_EVIDENCE = (np.vstack([np.ones(len(GRID)), np.zeros((_BINS - 1, len(GRID)))]),) * 2


@dataclass(frozen=True)
class Costs:
    """What calls are expected to cost on N prompts.

    Attributes:
        ask: (N, M) USD of a call of each model.
        verify: (N, M) USD of a verification; NaN where none can be had.
        sample: (N, M) USD of the further samples of a vote; NaN where none can be had.
    """

    ask: Floats
    verify: Floats
    sample: Floats


@dataclass(frozen=True)
class Plan:
    """The best opening on each of N prompts.

    Attributes:
        first: (N,) column of the model to ask first.
        quality: (N,) probability that the answer returned in the end is good.
        cost: (N,) expected USD of all calls.
        checks: (N,) whether evidence is bought, or another model may be asked, after the first.
    """

    first: Ints
    quality: Floats
    cost: Floats
    checks: Bools


@dataclass(frozen=True)
class Table:
    """What may come of O openings on N prompts, in B outcomes each.

    Attributes:
        first: (O,) the model that is asked.
        buys: (O,) whether evidence is bought after it.
        ask: (N, M) USD of a call of each model.
        cost: (N, O) USD of the opening.
        chance: (N, O, B) probability of each outcome.
        held: (N, O, B) probability that it comes so and the best answer then in hand is good.
        able: (N, O, B, M) probability that it comes so and a call of each model would be good.
        later: (N, O, M) which models may be asked then.
        possible: (N, O) which openings can be made.
    """

    first: Ints
    buys: Bools
    ask: Floats
    cost: Floats
    chance: Floats
    held: Floats
    able: Floats
    later: Bools
    possible: Bools

    def plan(self, worth: float) -> Plan:
        """The opening that leaves most on each prompt.

        Args:
            worth: USD that a good answer is worth, above 0.
        """
        # What is left, in good answers, when one more model is asked after an outcome.
        replaced = self.able - self.chance[..., None] * (self.ask / worth)[:, None, None, :]
        replaced = np.where(self.later[:, :, None, :], replaced, -1.0)
        goes_on = replaced.max(axis=-1) > self.held
        value = np.maximum(self.held, replaced.max(axis=-1)).sum(axis=-1) - self.cost / worth
        return self._best(value, goes_on, replaced.argmax(axis=-1))

    def plan_above(self, share: float) -> Plan:
        """The opening that is expected to keep a promise at least cost; see `planning.Plan`.

        Args:
            share: Of the best model's quality, 0..1.
        """
        able = np.where(self.later[:, :, None, :], self.able, -1.0)
        best = np.maximum(able.max(axis=-1), self.held)
        price = np.where(able >= share * best[..., None], self.ask[:, None, None, :], np.inf)
        goes_on = self.held < share * best
        dues = np.where(goes_on, price.min(axis=-1), 0.0)
        value = -(self.cost + (self.chance * dues).sum(axis=-1))
        return self._best(value, goes_on, price.argmin(axis=-1))

    def _best(self, value: Floats, goes_on: Bools, by: Ints) -> Plan:
        """The plan of the opening of most value, and what comes of it.

        Args:
            value: (N, O) value of each opening.
            goes_on: (N, O, B) whether one more model is asked after an outcome.
            by: (N, O, B) which.
        """
        best = np.argmax(np.where(self.possible, value, -np.inf), axis=1)
        rows = np.arange(len(best))
        on, asked = goes_on[rows, best], by[rows, best]
        reached = np.take_along_axis(self.able[rows, best], asked[..., None], -1)[..., 0]
        price = np.take_along_axis(self.ask, asked, 1)
        further = np.where(on, self.chance[rows, best] * price, 0.0)
        return Plan(
            first=self.first[best],
            quality=np.where(on, reached, self.held[rows, best]).sum(axis=-1),
            cost=self.cost[rows, best] + further.sum(axis=-1),
            checks=self.buys[best] | on.any(axis=-1),
        )


class Openings:
    """The O ways to begin, for one judge and one form of answer. Thread-safe: nothing changes.

    Args:
        judge: The judge of the pool's M models.
        confident: Whether each model's confidence comes with its answer.
        form: How answers coincide.
        typical: (M,) logits of the prior at which confidences are imagined.
    """

    def __init__(
        self, judge: Judge, confident: Sequence[bool], form: Form, typical: Floats
    ) -> None:
        self._judge, self._form = judge, form
        models = range(len(judge.members))
        # (model, extra cost, kind of evidence): as it comes, with a verification, with samples.
        single = [(m, 0, "token" if sure else "") for m, sure in enumerate(confident)]
        single += [(m, 1, "verified") for m in models] + [(m, 2, "share") for m in models]
        # Two models are compared where a third may follow.
        pairs = [(i, j) for i in models for j in models if i != j] if len(models) > 2 else []
        self._first = np.array([m for m, *_ in single] + [i for i, _ in pairs], dtype=np.intp)
        self._second = np.array([-1] * len(single) + [j for _, j in pairs], dtype=np.intp)
        self._extra = np.array([extra for _, extra, _ in single], dtype=np.intp)
        self._buys = np.array([extra > 0 for _, extra, _ in single] + [True] * len(pairs))
        # (single, B, D) chance of each outcome if the answer is good, and if it is bad.
        evidence = [
            judge.imagined(kind, m, float(typical[m])) if kind else _NO_EVIDENCE
            for m, _, kind in single
        ]
        self._good = np.stack([good for good, _ in evidence])
        self._bad = np.stack([bad for _, bad in evidence])
        # (O, M) the models that may be asked after an opening.
        self._later = np.ones((len(self._first), len(models)), np.bool_)
        self._later[np.arange(len(self._first)), self._first] = False
        rows = np.flatnonzero(self._second >= 0)
        self._later[rows, self._second[rows]] = False

    def table(
        self,
        prior: Floats,
        costs: Costs,
        *,
        allowed: Bools | None = None,
        limit: float = float("inf"),
    ) -> Table:
        """What may come of each opening on each prompt.

        Args:
            prior: (N, M) success probabilities of the scorer, 0..1.
            costs: What calls cost.
            allowed: (N, M) which models may be asked; None for all.
            limit: USD that may be spent on a prompt.
        """
        chance, held, able = self._outcomes(self._success(prior))
        cost = self._cost(costs)
        return Table(
            first=self._first,
            buys=self._buys,
            ask=costs.ask,
            cost=cost,
            chance=chance,
            held=held,
            able=able,
            later=self._may_follow(cost, costs.ask, allowed, limit),
            possible=self._possible(cost, allowed, limit),
        )

    def single_quality(self, prior: Floats) -> Floats:
        """(N, M) probability that each model's answer is good, before anything is heard.

        Args:
            prior: (N, M) success probabilities of the scorer.
        """
        quality: Floats = self._success(prior) @ self._judge.weights
        return quality

    def _success(self, prior: Floats) -> Floats:
        """(N, M, D)."""
        inside = np.clip(prior, 1e-4, 1 - 1e-4)
        return self._judge.success(np.log(inside / (1 - inside)))

    def _outcomes(self, success: Floats) -> tuple[Floats, Floats, Floats]:
        """(N, O, B) chance, (N, O, B) best answer in hand good, (N, O, B, M) each model good."""
        weights, singles = self._judge.weights, len(self._extra)
        as_good = weights * success[:, self._first[:singles]]
        mass_good = as_good[:, :, None] * self._good
        mass = mass_good + (weights - as_good)[:, :, None] * self._bad
        held = mass_good.sum(axis=-1)
        if singles < len(self._first):
            compared = self._compared(success)
            mass = np.concatenate([mass, compared[0]], axis=1)
            held = np.concatenate([held, compared[1]], axis=1)
        return mass.sum(axis=-1), held, mass @ np.swapaxes(success, 1, 2)[:, None]

    def _compared(self, success: Floats) -> tuple[Floats, Floats]:
        """Two models' answers: they agree, or they differ."""
        weights, form, singles = self._judge.weights, self._form, len(self._extra)
        one, two = success[:, self._first[singles:]], success[:, self._second[singles:]]
        agree_good = weights * one * two / (1 + form.right)
        agree = agree_good + weights * (1 - one) * (1 - two) / (1 + form.wrong)
        mass = np.zeros((*one.shape[:2], _BINS, one.shape[2]))
        mass[:, :, 0], mass[:, :, 1] = agree, weights - agree
        held = np.zeros(mass.shape[:3])
        held[:, :, 0] = agree_good.sum(axis=-1)
        held[:, :, 1] = np.maximum(one @ weights, two @ weights) - held[:, :, 0]
        return mass, held

    def _cost(self, costs: Costs) -> Floats:
        """(N, O) USD of each opening; infinite where it cannot be had."""
        singles = len(self._extra)
        first = costs.ask[:, self._first]
        extra = np.stack([np.zeros_like(costs.ask), costs.verify, costs.sample])
        first[:, :singles] += extra[self._extra, :, self._first[:singles]].T
        first[:, singles:] += costs.ask[:, self._second[singles:]]
        return np.where(np.isnan(first), np.inf, first)

    def _may_follow(self, cost: Floats, ask: Floats, allowed: Bools | None, limit: float) -> Bools:
        """(N, O, M) which models may be asked after each opening."""
        later = self._later[None]
        if allowed is not None:
            later = later & allowed[:, None]
        if limit < np.inf:
            later = later & (cost[..., None] + ask[:, None] <= limit)
        return np.broadcast_to(later, (*cost.shape, later.shape[-1]))

    def _possible(self, cost: Floats, allowed: Bools | None, limit: float) -> Bools:
        """(N, O) which openings can be made. One call is, whatever the limit."""
        possible = cost <= limit
        if allowed is not None:
            possible &= allowed[:, self._first] & (allowed[:, self._second] | (self._second < 0))
        return possible
