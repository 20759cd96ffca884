"""The first move: what is planned before anything is heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.first_call import FirstCallOptions, OptionTable, lambda_for_quality
from llmroute.escalation.next_call import Prices
from llmroute.escalation.priors import FORMS

SHARES = st.floats(0.05, 0.95)


def table(
    prior: list[float],
    ask: list[float],
    *,
    limit: float = np.inf,
    confident: bool = True,
    bought: bool = True,
    allowed: list[bool] | None = None,
) -> OptionTable:
    models = len(prior)
    layout = FirstCallOptions(
        BeliefModel.unfitted(models), [confident] * models, FORMS["number"], np.full(models, 0.5)
    )
    prices = Prices(
        ask,
        verify=[0.6 * usd for usd in ask] if bought else (),
        sample=[3 * usd for usd in ask] if bought else (),
    )
    return layout.table(np.array(prior), prices, allowed or [True] * models, limit)


@given(st.lists(SHARES, min_size=2, max_size=4), st.floats(1e-3, 1e3))
def test_outcomes_are_probabilities(prior: list[float], value_per_answer: float) -> None:
    ask = [0.1 * (m + 1) for m in range(len(prior))]
    found = table(prior, ask)
    assert (found.mass >= -1e-12).all()
    chance = found.mass.sum(axis=-1)
    of_opening = np.add.reduceat(chance, found.options.starts)
    assert of_opening == pytest.approx(np.ones(len(found.cost)))
    assert (found.held <= chance + 1e-9).all()
    plan = found.best_option(value_per_answer)
    # No better than the best of all answers can be, no worse than what is asked first alone is.
    able = BeliefModel.unfitted(len(prior)).belief(np.array(prior), []).able
    assert able[plan.first] - 1e-9 <= plan.quality <= 1
    assert ask[plan.first] - 1e-9 <= plan.cost
    if not plan.checks:
        assert (plan.quality, plan.cost) == pytest.approx((able[plan.first], ask[plan.first]))


@given(st.lists(SHARES, min_size=3, max_size=3))
def test_the_more_an_answer_is_worth_the_better_and_dearer_it_gets(prior: list[float]) -> None:
    found = table(sorted(prior), [0.01, 0.1, 1.0])
    plans = [
        found.best_option(value_per_answer) for value_per_answer in (0.001, 0.1, 1.0, 10.0, 1000.0)
    ]
    quality = [plan.quality for plan in plans]
    cost = [plan.cost for plan in plans]
    assert (np.diff(quality) >= -1e-9).all()
    assert (np.diff(cost) >= -1e-9).all()


@given(SHARES, SHARES)
def test_asking_one_model_for_nothing_more_is_always_possible(weak: float, strong: float) -> None:
    """So no plan is worse than the best single call."""
    ask, value_per_answer = np.array([0.05, 1.0]), 2.0
    plan = table([weak, strong], ask.tolist()).best_option(value_per_answer)
    alone = BeliefModel.unfitted(2).belief(np.array([weak, strong]), []).able
    assert (
        plan.quality - plan.cost / value_per_answer >= (alone - ask / value_per_answer).max() - 1e-9
    )


def test_a_weak_model_that_can_be_checked_goes_first() -> None:
    plan = table([0.6, 0.9], [0.02, 1.0]).best_option(5.0)
    assert (plan.first, plan.checks) == (0, True)
    assert (plan.quality, plan.cost) == pytest.approx((0.82879, 0.54043), abs=1e-4)


def test_one_that_cannot_be_checked_does_not() -> None:
    found = table([0.6, 0.9], [0.02, 1.0], confident=False, bought=False)
    assert found.best_option(50.0).first == 1
    assert not found.best_option(50.0).checks


def test_two_cheap_models_may_check_each_other() -> None:
    """Both are asked, and the strong one where they differ."""
    found = table([0.6, 0.65, 0.9], [0.01, 0.02, 1.0], confident=False, bought=False)
    plan = found.best_option(4.0)
    assert (plan.first, plan.checks) == (0, True)
    assert (plan.quality, plan.cost) == pytest.approx((0.87306, 0.51712), abs=1e-4)


def test_of_two_that_check_each_other_the_earlier_in_the_pool_is_asked_first() -> None:
    """The plan is the same either way, so the order is not left to how sums are rounded."""
    for one, two in ((0.6, 0.65), (0.65, 0.6), (0.6, 0.6)):
        found = table([one, two, 0.9], [0.01, 0.02, 1.0], confident=False, bought=False)
        assert found.best_option(4.0).first == 0


def test_a_limit_rules_out_what_would_pass_it() -> None:
    found = table([0.6, 0.9], [0.05, 1.0], limit=0.5)
    plan = found.best_option(1e6)
    assert plan.first == 0
    assert plan.cost == pytest.approx(0.05)  # nothing is left for the strong model after it


def test_models_that_are_not_allowed_are_not_planned_with() -> None:
    plan = table([0.6, 0.9], [0.05, 1.0], allowed=[True, False]).best_option(1e6)
    assert plan.first == 0
    assert plan.quality == pytest.approx(0.6, abs=1e-4)


def promised(share: float, prior: list[float], ask: list[float]) -> tuple[float, float]:
    """The worth of a promise, and the mean quality with it, over three prompts."""
    models = len(prior)
    layout = FirstCallOptions(
        BeliefModel.unfitted(models), [True] * models, FORMS["number"], np.array(prior)
    )
    priors = np.clip(np.array(prior) + np.array([[-0.2], [0.0], [0.2]]), 0.05, 0.95)
    prices, may = Prices(ask, verify=[0.6 * usd for usd in ask]), [True] * models
    value_per_answer = lambda_for_quality(layout, priors, prices, share, may)
    tables = [layout.table(row, prices, may) for row in priors]
    return value_per_answer, float(
        np.mean([one.best_option(value_per_answer).quality for one in tables])
    )


@given(st.floats(0.1, 0.97))
def test_the_worth_of_a_promise_keeps_it(share: float) -> None:
    prior, ask = [0.5, 0.6, 0.8], [0.02, 0.1, 1.0]
    _, quality = promised(share, prior, ask)
    best = BeliefModel.unfitted(3).belief(np.array(prior), []).able.max()
    assert quality >= share * best - 0.02


def test_a_higher_promise_is_worth_more_and_never_endlessly() -> None:
    prior, ask = [0.5, 0.6, 0.8], [0.02, 0.1, 1.0]
    worths = [promised(share, prior, ask)[0] for share in (0.3, 0.8, 0.95, 1.0)]
    assert worths == pytest.approx([1e-4, 2.957, 3.888, 44.19], rel=1e-3)
