"""The planner: no step that is not worth its cost; the more an answer is worth, the more steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute.answers.votes import Vote
from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.next_call import Prices, next_step

MODELS = 4
JUDGE = BeliefModel.unfitted(MODELS)
middling = st.lists(st.floats(0.3, 0.95), min_size=MODELS, max_size=MODELS).map(np.array)
usd = st.lists(st.floats(1e-5, 1e-2), min_size=MODELS, max_size=MODELS)
worths = st.floats(1e-5, 10.0)
votes = st.lists(
    st.builds(Vote, st.integers(0, 2), st.integers(0, 2), confidence=st.floats(0, 1)),
    max_size=4,
)


def prices_of(ask: list[float]) -> Prices:
    """Verification and samples for the price of a call and of three."""
    return Prices(ask, verify=ask, sample=[3 * one for one in ask], confident=[True] * len(ask))


@given(middling, usd, votes, worths)
@settings(deadline=None)
def test_no_step_is_taken_that_costs_more_than_it_gains(
    prior: np.ndarray, ask: list[float], observed: list[Vote], value_per_answer: float
) -> None:
    step = next_step(JUDGE.belief(prior, observed), prices_of(ask), value_per_answer)
    if observed and step.kind != "stop":
        assert step.gain * value_per_answer > step.cost
    if not observed:
        assert step.kind == "ask"


@given(middling, usd, votes, worths, st.floats(1.0, 100.0))
@settings(deadline=None)
def test_what_stops_at_a_worth_stops_at_any_lower_one(
    prior: np.ndarray,
    ask: list[float],
    observed: list[Vote],
    value_per_answer: float,
    factor: float,
) -> None:
    belief, prices = JUDGE.belief(prior, [*observed, Vote(0, 0)]), prices_of(ask)
    if next_step(belief, prices, value_per_answer * factor).kind == "stop":
        assert next_step(belief, prices, value_per_answer).kind == "stop"


@given(middling, usd, votes, worths)
@settings(deadline=None)
def test_what_is_not_allowed_or_over_the_limit_is_not_done(
    prior: np.ndarray, ask: list[float], observed: list[Vote], value_per_answer: float
) -> None:
    belief = JUDGE.belief(prior, [*observed, Vote(0, 0)])
    assert next_step(belief, prices_of(ask), value_per_answer, models=()).kind == "stop"
    assert next_step(belief, prices_of(ask), value_per_answer, limit=0.0).kind == "stop"
    step = next_step(belief, prices_of(ask), value_per_answer, models=(1, 3))
    assert step.kind == "stop" or step.model in (1, 3)


@given(middling, usd, worths)
@settings(deadline=None)
def test_the_loop_ends(prior: np.ndarray, ask: list[float], value_per_answer: float) -> None:
    observed: list[Vote] = []
    verified: set[int] = set()
    for _ in range(3 * MODELS + 1):
        belief = JUDGE.belief(prior, observed)
        step = next_step(belief, prices_of(ask), value_per_answer)
        if step.kind == "stop":
            break
        if step.kind == "verify":
            verified.add(step.model)
            observed = [
                Vote(v.model, v.answer, v.confidence, 0.5 if v.model in verified else np.nan)
                for v in observed
            ]
        else:  # every model says something else
            observed.append(Vote(step.model, len(observed), 0.5))
    assert step.kind == "stop"


def test_a_worthless_answer_is_the_cheapest_one_and_a_priceless_one_the_best() -> None:
    prior, ask = np.array([0.5, 0.6, 0.7, 0.9]), np.array([1e-4, 2e-4, 5e-4, 1e-3])
    belief = JUDGE.belief(prior, [])
    assert next_step(belief, Prices(ask), 1e-9).model == 0
    assert next_step(belief, Prices(ask), 1e3).model == 3


def test_an_unsure_weak_answer_is_escalated_and_a_sure_one_returned() -> None:
    prior, ask = np.array([0.6, 0.6, 0.6, 0.9]), np.array([1e-5, 1e-3, 1e-3, 1e-3])
    kinds = [
        next_step(JUDGE.belief(prior, [Vote(0, 0, sure)]), Prices(ask), 4e-3).kind
        for sure in (0.3, 0.9999)
    ]
    assert kinds == ["ask", "stop"]


def test_a_verification_is_bought_where_it_may_spare_a_dear_call() -> None:
    prior, ask = np.array([0.7, 0.7, 0.7, 0.95]), np.array([1e-5, 1e-2, 1e-2, 1e-2])
    prices = Prices(ask, verify=[1e-6] * MODELS)
    assert next_step(JUDGE.belief(prior, [Vote(0, 0)]), prices, 5e-2).kind == "verify"


def test_nonsense_is_refused() -> None:
    belief = JUDGE.belief(np.full(MODELS, 0.5), [])
    with pytest.raises(ConfigurationError, match="more than 0 USD"):
        next_step(belief, Prices([1.0] * MODELS), 0.0)
    with pytest.raises(ConfigurationError, match="none may be"):
        next_step(belief, Prices([1.0] * MODELS), 1.0, models=())
