from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.evaluation.simulated_cascade import ERROR_RATES, cascade, cascades
from llmroute.outcomes.outcomes import Outcomes


def table(score: np.ndarray, cost: np.ndarray | None) -> Outcomes:
    prompts, models = np.shape(score)
    names = tuple(f"question {i}" for i in range(prompts))
    priced = None if cost is None else np.array(cost, dtype=float)
    return Outcomes(
        names, names, names, tuple("abcdef"[:models]), np.array(score, dtype=float), priced
    )


@st.composite
def tables(draw: st.DrawFn, levels: int = 4) -> Outcomes:
    shape = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    grades = st.integers(0, levels).map(lambda i: i / levels)
    score = draw(hnp.arrays(float, shape, elements=grades))
    # Sixty-fourths, so that sums of costs are exact.
    cents = st.integers(1, 20).map(lambda i: i / 64)
    return table(score, draw(hnp.arrays(float, shape, elements=cents)))


RATES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
BUDGETS = [0.0, 0.2, 0.5, 100.0]


def told(outcomes: Outcomes, row: int, budget: float, threshold: float, wrong: tuple) -> tuple:
    """One prompt through the cascade as the paper tells it, with a judge that errs where told."""
    order = np.lexsort((outcomes.score.mean(axis=0), outcomes.cost.mean(axis=0)))
    # Of equally good models the cheapest.
    quality, cost = outcomes.score.mean(axis=0), outcomes.cost.mean(axis=0)
    strongest = min(range(len(cost)), key=lambda m: (quality[m] < quality.max() - 1e-9, cost[m], m))
    spent, called, answer = 0.0, False, 0.0
    for place, model in enumerate(order):
        price = outcomes.cost[row, model]
        if place > 0 and spent + price > budget:
            break
        spent += price
        answer = outcomes.score[row, model]
        called |= model == strongest
        if (answer >= threshold) != wrong[place]:
            break
    return answer, spent, float(called)


@given(tables(), st.sampled_from([0.25, 0.5, 1.0]))
def test_a_judge_without_error_is_the_plain_cascade(outcomes: Outcomes, threshold: float) -> None:
    run = cascade(outcomes, 0, threshold=threshold, budgets=BUDGETS)
    never = (False,) * len(outcomes.models)
    for row, budget in product(range(len(outcomes)), range(len(BUDGETS))):
        answer, spent, called = told(outcomes, row, BUDGETS[budget], threshold, never)
        assert run.score[budget, row] == answer
        assert run.cost[budget, row] == pytest.approx(spent)
        assert run.strong[budget, row] == called


@given(tables(), RATES)
def test_the_figures_are_the_mean_over_all_ways_to_err(outcomes: Outcomes, rate: float) -> None:
    run = cascade(outcomes, rate, threshold=1.0, budgets=BUDGETS)
    ways = list(product([False, True], repeat=len(outcomes.models)))
    odds = [np.prod([rate if wrong else 1 - rate for wrong in way]) for way in ways]
    for row, budget in product(range(len(outcomes)), range(len(BUDGETS))):
        each = [told(outcomes, row, BUDGETS[budget], 1.0, way) for way in ways]
        expected = np.average(each, axis=0, weights=odds)
        found = [table[budget, row] for table in (run.score, run.cost, run.strong)]
        assert found == pytest.approx(expected)


@given(tables(levels=1), st.floats(0, 1), st.floats(0, 1))
def test_a_judge_that_errs_more_never_helps(outcomes: Outcomes, one: float, other: float) -> None:
    careful, careless = (
        cascade(outcomes, rate, threshold=1.0, budgets=BUDGETS) for rate in sorted((one, other))
    )
    assert (careless.score <= careful.score + 1e-12).all()


@given(tables(), RATES)
def test_budgets_run_from_the_first_model_to_all_of_them(outcomes: Outcomes, rate: float) -> None:
    run = cascade(outcomes, rate)
    assert run.parameter[0] == 0
    assert (np.diff(run.parameter) > 0).all()
    first = np.lexsort((outcomes.score.mean(axis=0), outcomes.cost.mean(axis=0)))[0]
    assert (run.cost[0] == outcomes.cost[:, first]).all()
    assert (run.score[0] == outcomes.score[:, first]).all()
    assert (run.cost <= np.maximum(run.parameter[:, None], run.cost[0]) + 1e-12).all()
    unlimited = cascade(outcomes, rate, budgets=[1e9])
    assert run.score[-1] == pytest.approx(unlimited.score[0])
    assert run.cost[-1] == pytest.approx(unlimited.cost[0])


def test_order_of_the_prompts_is_no_matter() -> None:
    generator = np.random.default_rng(0)
    outcomes = table(generator.integers(0, 2, (40, 3)), generator.random((40, 3)))
    turned = np.arange(40)[::-1]
    run, other = cascade(outcomes, 0.2), cascade(outcomes.select(turned), 0.2)
    assert other.parameter == pytest.approx(run.parameter, abs=1e-12)
    assert other.score == pytest.approx(run.score[:, turned])


def test_by_default_an_answer_is_good_when_few_are_better() -> None:
    outcomes = table(np.linspace(0, 1, 42).reshape(21, 2), np.ones((21, 2)))
    quantile = float(np.quantile(outcomes.score, 0.95))
    assert (cascade(outcomes, 0.1).score == cascade(outcomes, 0.1, threshold=quantile).score).all()


def test_without_costs_calls_are_counted() -> None:
    run = cascade(table([[1, 0], [1, 1], [0, 0], [1, 0]], None), 0, threshold=1.0)
    assert run.parameter.tolist() == [0, 1]
    assert run.cost.tolist() == [[0, 0, 0, 0], [1, 0, 1, 1]]
    assert run.strong.tolist() == run.cost.tolist()
    assert run.score.tolist() == [[0, 1, 0, 0], [1, 1, 0, 1]]


def test_one_run_for_each_error_rate() -> None:
    outcomes = table([[1, 0], [1, 1]], [[2, 1], [2, 1]])
    names = [run.name for run in cascades(outcomes)]
    assert names == [f"cascade ε={rate:g}" for rate in ERROR_RATES]
    assert names[:2] == ["cascade ε=0", "cascade ε=0.1"]


def test_an_error_rate_is_a_probability() -> None:
    with pytest.raises(ConfigurationError, match=r"0\.\.1"):
        cascade(table([[1.0]], [[1.0]]), 1.5)
