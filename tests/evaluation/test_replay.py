"""Replaying a router: its own code runs, and the records answer."""

from dataclasses import replace

import numpy as np
import pytest

from llmroute import BestWithin, CheapestAbove, ModelPool, RouterChain, Threshold, WillingnessToPay
from llmroute.errors import ConfigurationError
from llmroute.evaluation import replay
from llmroute.evaluation.replayer import router_run
from llmroute.evaluation.run import spend_of
from llmroute.numerics import Bools
from llmroute.policies import Choice, Policy
from llmroute.records import Estimates
from tests.evaluation.made_up import Told, made_up, pool_of

OUTCOMES = made_up(prompts=60)
SCORER = Told(OUTCOMES, 0.2 + 0.6 * OUTCOMES.score)


def router(policy: Policy) -> RouterChain:
    return RouterChain(pool=pool_of(OUTCOMES), scorer=SCORER, policy=policy)


POLICIES = [
    CheapestAbove(quality=0.9),
    WillingnessToPay(usd=1e-5),
    Threshold(threshold=0.3, weak="m0", strong="m2"),
    BestWithin(cost=2.5e-6),
    BestWithin(latency=10),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_the_record_is_what_the_router_itself_decides(policy: Policy) -> None:
    chain = router(policy)
    for prompt, decision in zip(OUTCOMES.prompts, replay(chain, OUTCOMES), strict=True):
        assert decision.chosen == chain.decide(prompt).chosen
        assert decision.answered_by == decision.chosen
        (call,) = decision.calls
        assert (call.model, call.purpose, call.status) == (decision.chosen, "answer", "ok")


def test_calls_are_billed_at_the_recorded_tokens() -> None:
    chain = router(CheapestAbove())
    decision = next(replay(chain, OUTCOMES))
    (call,) = decision.calls
    assert (call.prompt_tokens, call.completion_tokens) == (20, 50)
    assert decision.cost_usd == pytest.approx(chain.pool[decision.chosen].price(20, 50))


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_the_sweep_and_the_router_agree_where_they_meet(policy: Policy) -> None:
    chain = router(policy)
    run = router_run(chain, OUTCOMES)
    assert run.setting is not None
    chosen = [OUTCOMES.models.index(d.chosen) for d in replay(chain, OUTCOMES)]
    rows = np.arange(len(OUTCOMES))
    assert run.score[run.setting].tolist() == OUTCOMES.score[rows, chosen].tolist()
    assert run.cost[run.setting].tolist() == spend_of(OUTCOMES)[rows, chosen].tolist()
    assert run.strong[run.setting].tolist() == [float(m == 2) for m in chosen]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_the_knob_goes_from_one_end_to_the_other(policy: Policy) -> None:
    run = router_run(router(policy), OUTCOMES)
    assert (np.diff(run.parameter) > 0).all()
    assert run.parameter[run.setting] == pytest.approx(
        getattr(policy, policy.parameter or "") or np.inf
    )
    spend = run.cost.mean(axis=1)
    ends = spend[-1] - spend[0]
    assert ends < 0 if isinstance(policy, Threshold) else ends > 0


def test_a_policy_of_ones_own_is_one_point() -> None:
    class Last(Policy):
        def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
            return np.full(len(estimates), 2)

        def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
            return "it is the last"

    run = router_run(router(Last()), OUTCOMES)
    assert len(run) == 1
    assert (run.score[0] == OUTCOMES.score[:, 2]).all()


def test_the_pool_may_have_another_order() -> None:
    turned = RouterChain(pool=ModelPool(list(pool_of(OUTCOMES))[::-1]), scorer=SCORER)
    straight = router_run(router(CheapestAbove()), OUTCOMES)
    other = router_run(turned, OUTCOMES)
    np.testing.assert_array_equal(straight.score, other.score)
    np.testing.assert_array_equal(straight.quality, other.quality)


def test_a_model_that_cannot_take_a_prompt_is_not_asked_at_any_setting() -> None:
    small = [
        m.model_copy(update={"context_window": 5}) if m.name == "m0" else m
        for m in pool_of(OUTCOMES)
    ]
    chain = RouterChain(pool=ModelPool(small), scorer=SCORER)
    run = router_run(chain, OUTCOMES)
    cheapest = run.cost[0]
    assert (cheapest == spend_of(OUTCOMES)[:, 1]).all()


def test_a_model_without_outcomes_is_refused() -> None:
    chain = RouterChain(pool=ModelPool(["m0", "other"]), scorer=SCORER)
    with pytest.raises(
        ConfigurationError, match=r"no outcomes of 'other'; it has 'm0', 'm1', 'm2'"
    ):
        next(replay(chain, OUTCOMES))


def test_without_recorded_tokens_the_cost_is_the_estimate() -> None:
    bare = replace(OUTCOMES, prompt_tokens=None, completion_tokens=None)
    decision = next(replay(router(CheapestAbove()), bare))
    assert decision.calls[0].cost_is_estimated
