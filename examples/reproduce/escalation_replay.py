"""Escalation replayed on recorded answers: the product's judge and planner, calls from the records.

Each call's recorded cost counts, of verification calls too. What is fitted is fitted on the train
split: the router whose estimates are the prior, and the judge, on estimates of folds that took no
part in them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmroute.answers.answer_type import expected
from llmroute.answers.equivalence import groups
from llmroute.answers.extract import answer_of
from llmroute.answers.votes import Vote
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_fit import Recorded
from llmroute.escalation.first_call import FirstCallOptions, OptionTable
from llmroute.escalation.next_call import NextCallPlan, Prices
from llmroute.escalation.priors import FORMS
from llmroute.evaluation.run import Run, strongest
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import folds
from llmroute.pool import ModelPool
from llmroute.state.confidence_ranks import ConfidenceRanks

Texts = npt.NDArray[np.str_]

#: The router whose estimates are the prior, as `llmroute train` makes it of the train split.
ROUTER, FEATURES = "ensemble", "both"
#: Fields of a case with a column for each model.
_TABLES = ("quality", "ask", "verify", "groups", "forms", "token", "verified")


@dataclass(frozen=True)
class DraftContext:
    """P prompts with all that a replay needs.

    Attributes:
        outcomes: The recorded answers of M models.
        quality: (P, M) the prior: what the router estimates.
        ask: (P, M) expected USD of a call.
        verify: (P, M) expected USD of a verification call; NaN where the confidence is free.
        groups: (P, M) which answers agree.
        asked: (P,) form of answer the prompt asks for; `"text"` where it does not tell.
        forms: (P, M) form of each answer.
        token: (P, M) confidence that came with the answer; NaN where none did.
        verified: (P, M) confidence of a verification call; NaN where the other is known.
    """

    outcomes: Outcomes
    quality: Floats
    ask: Floats
    verify: Floats
    groups: Ints
    asked: Texts
    forms: Texts
    token: Floats
    verified: Floats

    def select(self, rows: npt.NDArray[np.bool_]) -> DraftContext:
        """Some of the prompts.

        Args:
            rows: (P,) which.
        """
        arrays = {name: getattr(self, name)[rows] for name in (*_TABLES, "asked")}
        return replace(self, outcomes=self.outcomes.select(rows), **arrays)

    def only(self, models: Sequence[int]) -> DraftContext:
        """Some of the models, in that order.

        Args:
            models: Their columns.
        """
        arrays = {name: getattr(self, name)[:, models] for name in _TABLES}
        names = [self.outcomes.models[m] for m in models]
        return replace(self, outcomes=self.outcomes.only(names), **arrays)

    def recorded(self) -> Recorded:
        """The same as a judge is fitted on it."""
        return Recorded(
            quality=self.quality,
            score=self.outcomes.score,
            groups=self.groups,
            forms=self.forms[:, 0],
            token=self.token,
            verified=self.verified,
        )


def cases(train: Outcomes, test: Outcomes) -> tuple[DraftContext, DraftContext]:
    """The train split with estimates of held-out folds, and the test split.

    Args:
        train: Outcomes with responses, confidences and costs, that every model answered.
        test: The same of other prompts.
    """
    fold = folds(train.prompts)
    quality, ask = np.empty((2, *train.score.shape))
    for number in np.unique(fold):
        held = fold == number
        quality[held], ask[held] = _estimates(train.select(~held), train.select(held))
    ratio = _verification_ratio(train)
    return (
        _case(train, quality, ask, ratio),
        _case(test, *_estimates(train, test), ratio),
    )


def _estimates(train: Outcomes, asked: Outcomes) -> tuple[Floats, Floats]:
    """(P, M) quality and cost that a router trained on other prompts expects."""
    from llmroute.routers.trainer import train as train_router

    with tempfile.TemporaryDirectory() as folder:
        scorer = train_router(ROUTER, [train], str(Path(folder) / "router"), features=FEATURES)
        found = scorer.estimate(asked.prompts, ModelPool(list(train.models)))
    return found.quality, found.cost


def _verification_ratio(train: Outcomes) -> Floats:
    """(M,) what a verification call costs, in answers of the same model."""
    assert train.cost is not None
    assert train.confidence_cost is not None
    paid = train.confidence_cost > 0
    ratio: Floats = (train.confidence_cost * paid).sum(axis=0) / (train.cost * paid).sum(axis=0)
    return ratio


def _case(outcomes: Outcomes, quality: Floats, ask: Floats, ratio: Floats) -> DraftContext:
    responses, confidence, extra = (
        outcomes.responses,
        outcomes.confidence,
        outcomes.confidence_cost,
    )
    assert responses is not None
    assert confidence is not None
    assert extra is not None
    paid = extra > 0
    agree = np.empty(outcomes.score.shape, dtype=np.int64)
    forms = np.empty(outcomes.score.shape, dtype="<U8")
    wanted = []
    for row, (prompt, said) in enumerate(zip(outcomes.prompts, responses.tolist(), strict=True)):
        asked = expected(prompt)
        texts = [text or "" for text in said]
        agree[row] = groups(texts, asked)
        read = [answer_of(text, asked) for text in texts]
        forms[row] = [asked.kind or (one.kind if one else "text") for one in read]
        wanted.append(asked.kind or "text")
    return DraftContext(
        outcomes=outcomes,
        quality=quality,
        ask=ask,
        verify=np.where(paid, ask * ratio, np.nan),
        groups=agree,
        asked=np.array(wanted),
        forms=forms,
        token=np.where(paid, np.nan, confidence),
        verified=np.where(paid, confidence, np.nan),
    )


def replay(name: str, belief_model: BeliefModel, context: DraftContext, worths: Floats) -> Run:
    """Judge and planner on recorded answers, at each worth of a good answer.

    Args:
        name: What it is called in a report.
        belief_model: The judge of the M models.
        context: P prompts.
        worths: (N,) USD.
    """
    score, cost, strong = np.zeros((3, len(worths), len(context.outcomes)))
    best, beginnings = strongest(context.outcomes), _Beginnings(belief_model, context)
    for row in range(len(context.outcomes)):
        prompt = _Prompt(belief_model, context, row, beginnings)
        for number, value_per_answer in enumerate(worths.tolist()):
            evidence = prompt.answered(value_per_answer)
            score[number, row], cost[number, row] = evidence.score, evidence.cost
            strong[number, row] = best in evidence.asked
    return Run(name=name, score=score, cost=cost, strong=strong, parameter=worths)


class _Beginnings:
    """The product's tables of openings for the prompts of a case."""

    def __init__(self, belief_model: BeliefModel, context: DraftContext) -> None:
        self.ranks = ConfidenceRanks()
        self._belief_model, self._case = belief_model, context
        self._typical = context.quality.mean(axis=0)
        self._confident = ~np.isnan(context.token)
        self._all = [True] * context.quality.shape[1]
        self._openings: dict[tuple[str, tuple[bool, ...]], FirstCallOptions] = {}

    def table(self, row: int, prices: Prices) -> OptionTable:
        """What may come of each opening on a prompt."""
        form = str(self._case.asked[row])
        key = form, tuple(self._confident[row].tolist())
        if key not in self._openings:
            known = self._belief_model.forms.get(form, FORMS["text"])
            self._openings[key] = FirstCallOptions(self._belief_model, key[1], known, self._typical)
        return self._openings[key].table(self._case.quality[row], prices, self._all)


@dataclass(frozen=True)
class _Told:
    """What came of one prompt."""

    score: float
    cost: float
    asked: frozenset[int]


class _Prompt:
    """One recorded prompt; what was planned in a state is kept for other worths."""

    def __init__(
        self, belief_model: BeliefModel, context: DraftContext, row: int, beginnings: _Beginnings
    ) -> None:
        self._belief_model, self._case, self._row = belief_model, context, row
        self._plans: dict[tuple[tuple[int, ...], frozenset[int]], NextCallPlan] = {}
        self._noted: set[tuple[int, bool]] = set()
        self._ranks = beginnings.ranks
        self._prices = Prices.of(
            context.ask[row].tolist(),
            verify=context.verify[row].tolist(),
            confident=(~np.isnan(context.token[row])).tolist(),
        )
        self._table = beginnings.table(row, self._prices)

    def answered(self, value_per_answer: float) -> _Told:
        """The answer that is returned, and what it cost."""
        outcomes, row = self._case.outcomes, self._row
        spend, extra = outcomes.cost, outcomes.confidence_cost
        assert spend is not None
        assert extra is not None
        first = self._table.best_option(value_per_answer).first
        asked: tuple[int, ...] = (first,)
        verified: frozenset[int] = frozenset()
        cost = float(spend[row, first])
        while True:
            step = self._plan(asked, verified).step(value_per_answer)
            if step.kind == "stop":
                return _Told(float(outcomes.score[row, step.model]), cost, frozenset(asked))
            if step.kind == "ask":
                asked = (*asked, step.model)
                cost += float(spend[row, step.model])
            else:
                verified |= {step.model}
                cost += float(extra[row, step.model])

    def _plan(self, asked: tuple[int, ...], verified: frozenset[int]) -> NextCallPlan:
        key = asked[:1] + tuple(sorted(asked[1:])), verified
        if key not in self._plans:
            context, row = self._case, self._row
            votes = [
                Vote(
                    model=m,
                    answer=int(context.groups[row, m]),
                    confidence=float(context.token[row, m]),
                    verified=float(context.verified[row, m]) if m in verified else np.nan,
                )
                for m in asked
            ]
            form = str(context.forms[row, asked[0]])
            self._note(votes, form)
            belief = self._belief_model.belief(context.quality[row], votes, form, self._ranks)
            self._plans[key] = NextCallPlan(belief, self._prices)
        return self._plans[key]

    def _note(self, votes: Sequence[Vote], form: str) -> None:
        """What was heard at any worth is what a judge that was not fitted remembers."""
        for vote in votes:
            was_verified = not np.isnan(vote.verified)
            if (vote.model, was_verified) not in self._noted:
                self._noted.add((vote.model, was_verified))
                self._belief_model.note(vote, form, self._ranks)
