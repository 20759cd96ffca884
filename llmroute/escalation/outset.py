"""The first move, before anything is heard, for many prompts at once.

`planning.next_step` looks one call ahead, which is enough once there is an answer to look at. Which
model to ask first also depends on what can be learned of its answer afterwards. So an opening is a
model together with the evidence that would be bought of its answer: what comes with it, more
samples of it, a verification, or a second model's answer. After it, either the best answer in hand
is returned or one more model is asked (cascade routing, arXiv 2410.10347). Only the first call of
the best opening is made; then the plan is made anew with what was heard.

The same table says what a policy's promise is worth: see `worth_of_share`.
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

#: Outcomes of the evidence that has most: a confidence between four cuts.
_BINS = 4
#: Steps of the search for a worth: each halves the interval on a log scale.
_HALVINGS = 40
#: How far the worth is searched to either side of the dearest call's cost.
_RANGE = 1e6


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


class Openings:
    """The O ways to begin, for one judge and one form of answer. Thread-safe: nothing changes.

    Args:
        judge: The judge of the pool's M models.
        confident: (M,) whether a model's confidence comes with its answer.
        form: How answers coincide.
        typical: (M,) logits of the prior at which confidences are imagined.
    """

    def __init__(
        self, judge: Judge, confident: Sequence[bool], form: Form, typical: Floats
    ) -> None:
        self._judge, self._form = judge, form
        count = len(judge.members)
        kinds: list[tuple[int, str]] = []
        for m in range(count):
            kinds.append((m, "token" if confident[m] else "none"))
            kinds += [(m, "verified"), (m, "share")]
        self._model = np.array([m for m, _ in kinds])
        self._kind = np.array([kind for _, kind in kinds])
        # (O, B, D) chance of each outcome if the answer is good, and if it is bad.
        self._good, self._bad = (np.zeros((len(kinds), _BINS, len(GRID))) for _ in range(2))
        for o, (m, kind) in enumerate(kinds):
            if kind == "none":
                self._good[o, 0] = self._bad[o, 0] = 1.0
            else:
                self._good[o], self._bad[o] = judge.imagined(kind, m, float(typical[m]))
        pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
        self._one = np.array([i for i, _ in pairs], dtype=np.intp)
        self._two = np.array([j for _, j in pairs], dtype=np.intp)

    def plan(
        self,
        prior: Floats,
        costs: Costs,
        worth: Floats | float,
        *,
        allowed: Bools | None = None,
        limit: float = float("inf"),
    ) -> Plan:
        """The opening that leaves most on each prompt.

        Args:
            prior: (N, M) success probabilities of the scorer, 0..1.
            costs: What calls cost.
            worth: USD that a good answer is worth, above 0; one number, or (N,).
            allowed: (N, M) which models may be asked; None for all.
            limit: USD that may be spent on a prompt.
        """
        worth = np.broadcast_to(np.asarray(worth, dtype=np.float64), (len(prior),))
        may = np.ones(prior.shape, np.bool_) if allowed is None else allowed
        success = self._success(prior)
        parts = [self._single(success, costs), self._double(success, costs)]
        first = np.concatenate([part[0] for part in parts])
        second = np.concatenate([np.full(len(self._model), -1), self._two])
        chance, held, able, cost = (
            np.concatenate([part[k] for part in parts], axis=1) for k in (1, 2, 3, 4)
        )
        # What may be asked after each opening, at what price in units of a good answer's worth.
        price = costs.ask / worth[:, None]
        later = np.broadcast_to(may[:, None, :], (*cost.shape, may.shape[1])).copy()
        openings = np.arange(len(first))
        later[:, openings, first] = False
        later[:, openings[second >= 0], second[second >= 0]] = False
        later &= cost[:, :, None] + costs.ask[:, None, :] <= limit
        replaced = able - chance[..., None] * price[:, None, None, :]
        replaced = np.where(later[:, :, None, :], replaced, -np.inf)
        best_later = replaced.max(axis=-1)
        goes_on = best_later > held
        value = np.where(goes_on, best_later, held).sum(axis=-1) - cost / worth[:, None]
        possible = may[:, first] & (cost <= limit)
        possible[:, second >= 0] &= may[:, second[second >= 0]]
        # Of two that leave as much, the one that can cost no more than was planned.
        best = np.argmax(np.where(possible, value, -np.inf), axis=1)
        return self._plan(best, first, second, chance, held, able, cost, replaced, goes_on, costs)

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

    def _plan(
        self,
        best: Ints,
        first: Ints,
        second: Ints,
        chance: Floats,
        held: Floats,
        able: Floats,
        cost: Floats,
        replaced: Floats,
        goes_on: Bools,
        costs: Costs,
    ) -> Plan:
        rows = np.arange(len(best))
        on, by = goes_on[rows, best], replaced[rows, best].argmax(axis=-1)
        reached = np.take_along_axis(able[rows, best], by[..., None], axis=-1)[..., 0]
        further = chance[rows, best] * np.take_along_axis(costs.ask, by, axis=1)
        bought = np.isin(best, np.flatnonzero(second >= 0))
        single = np.where(bought, 0, best)
        bought |= ~bought & np.isin(self._kind[single], ("verified", "share"))
        return Plan(
            first=first[best],
            quality=np.where(on, reached, held[rows, best]).sum(axis=-1),
            cost=cost[rows, best] + np.where(on, further, 0.0).sum(axis=-1),
            checks=bought | on.any(axis=-1),
        )

    def _single(self, success: Floats, costs: Costs) -> tuple[Ints, Floats, Floats, Floats, Floats]:
        """Openings that look at one model's answer only."""
        weights = self._judge.weights
        asked = success[:, self._model, None, :]
        mass_good = weights * asked * self._good
        mass = mass_good + weights * (1 - asked) * self._bad
        able = mass @ np.swapaxes(success, 1, 2)[:, None]
        cost = costs.ask[:, self._model].copy()
        for kind, extra in (("verified", costs.verify), ("share", costs.sample)):
            of_kind = self._kind == kind
            cost[:, of_kind] += extra[:, self._model[of_kind]]
        cost = np.where(np.isnan(cost), np.inf, cost)
        return self._model, mass.sum(axis=-1), mass_good.sum(axis=-1), able, cost

    def _double(self, success: Floats, costs: Costs) -> tuple[Ints, Floats, Floats, Floats, Floats]:
        """Openings that compare two models' answers: they agree, or they differ."""
        weights, form = self._judge.weights, self._form
        one, two = success[:, self._one], success[:, self._two]
        both_good = one * two
        agree_good = both_good / (1 + form.right)
        agree_bad = (1 - one) * (1 - two) / (1 + form.wrong)
        agree = weights * (agree_good + agree_bad)
        differ = weights - agree
        shape = (*one.shape[:2], _BINS, one.shape[2])
        mass = np.zeros(shape)
        mass[:, :, 0], mass[:, :, 1] = agree, differ
        held = np.zeros(shape[:3])
        held[:, :, 0] = (weights * agree_good).sum(axis=-1)
        held[:, :, 1] = np.maximum(
            (weights * (one - agree_good)).sum(axis=-1), (weights * (two - agree_good)).sum(axis=-1)
        )
        able = mass @ np.swapaxes(success, 1, 2)[:, None]
        cost = costs.ask[:, self._one] + costs.ask[:, self._two]
        return self._one, mass.sum(axis=-1), held, able, cost


def worth_of_share(
    openings: Openings, prior: Floats, costs: Costs, share: float, allowed: Bools | None = None
) -> float:
    """The least worth of a good answer at which quality reaches a share of the strongest model's.

    Args:
        openings: The ways to begin.
        prior: (N, M) success probabilities on typical prompts.
        costs: What calls cost on them.
        share: Of the mean quality of the model that is best on them, 0..1.
        allowed: (M,) which models may be asked; None for all.

    Returns:
        USD.
    """
    may = np.ones(prior.shape[1], np.bool_) if allowed is None else allowed
    single = openings.single_quality(prior)[:, may].mean(axis=0)
    target = share * float(single.max())
    dearest = max(float(costs.ask[:, may].max()), 1e-12)
    low, high = np.log(dearest / _RANGE), np.log(dearest * _RANGE)
    rows = np.broadcast_to(may, prior.shape)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        plan = openings.plan(prior, costs, float(np.exp(middle)), allowed=rows)
        if plan.quality.mean() >= target:
            high = middle
        else:
            low = middle
    return float(np.exp(high))
