"""Policies: from a table of estimates to a choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llmroute import BestWithin, CheapestAbove, Estimates, Policy, Threshold, WillingnessToPay
from llmroute.errors import ConfigurationError
from llmroute.policies import Pinned, StrongCalls, of_record
from llmroute.records import comparable_cost, win_probability
from llmroute.routing.decide import fallback_order


def table(
    quality: Any, cost: Any, prior: Any = None, latency: Any = None, names: str = "abcdefgh"
) -> Estimates:
    quality = np.atleast_2d(np.asarray(quality, dtype=float))
    p, m = quality.shape
    unknown = np.full((p, m), np.nan)
    return Estimates(
        models=tuple(names[:m]),
        quality=quality,
        cost=np.broadcast_to(np.asarray(cost, dtype=float), (p, m)),
        tokens=unknown,
        latency=unknown if latency is None else np.broadcast_to(latency, (p, m)),
        prompt_tokens=np.zeros(p),
        unfamiliar=np.zeros(p, dtype=bool),
        prior_quality=np.asarray(prior if prior is not None else quality.mean(axis=0), dtype=float),
        scorer="test 1",
    )


def chosen(policy: Policy, estimates: Estimates, allowed: Any = None) -> list[str]:
    allowed = policy.admits(estimates) if allowed is None else np.atleast_2d(allowed)
    return [estimates.models[i] for i in policy.choose(estimates, allowed)]


class TestCheapestAbove:
    def test_takes_the_cheapest_that_is_close_enough(self) -> None:
        estimates = table([[0.5, 0.9, 0.93], [0.9, 0.91, 0.93]], [1, 2, 3])
        assert chosen(CheapestAbove(quality=0.95), estimates) == ["b", "a"]

    def test_full_quality_means_the_best(self) -> None:
        assert chosen(CheapestAbove(quality=1), table([0.5, 0.92, 0.93], [1, 2, 3])) == ["c"]

    def test_is_relative_to_the_best_that_is_eligible(self) -> None:
        estimates = table([0.5, 0.52, 0.93], [1, 2, 3])
        assert chosen(CheapestAbove(quality=0.95), estimates, [True, True, False]) == ["a"]

    def test_of_equal_costs_takes_the_better(self) -> None:
        assert chosen(CheapestAbove(quality=0.5), table([0.8, 0.9], [1, 1])) == ["b"]

    def test_an_unknown_cost_counts_as_just_below_the_next_stronger_models(self) -> None:
        prior = [0.3, 0.5, 0.8]
        policy = CheapestAbove(quality=0.5)
        assert chosen(policy, table([0.9] * 3, [np.nan, 1, 2], prior)) == ["a"]
        assert chosen(policy, table([0.9] * 3, [1, np.nan, 2], prior)) == ["a"]
        assert chosen(policy, table([0.9] * 3, [1, 2, np.nan], prior)) == ["a"]
        costs = comparable_cost(table([0.9] * 3, [1, 2, np.nan], prior))[0]
        assert costs[2] > 2

    def test_with_no_cost_known_the_weaker_counts_as_cheaper(self) -> None:
        estimates = table([0.9, 0.9], np.nan, prior=[0.8, 0.3])
        assert chosen(CheapestAbove(quality=0.5), estimates) == ["b"]


class TestThreshold:
    estimates = table([[0.9, 0.95], [0.3, 0.9]], [1, 10])

    def test_asks_the_strong_model_from_the_threshold_on(self) -> None:
        scores = win_probability(self.estimates, weak=0, strong=1)
        assert chosen(Threshold(threshold=float(scores[1])), self.estimates) == ["a", "b"]

    def test_zero_is_always_strong_and_one_always_weak(self) -> None:
        assert chosen(Threshold(threshold=0), self.estimates) == ["b", "b"]
        assert chosen(Threshold(threshold=1), self.estimates) == ["a", "a"]

    def test_a_model_that_is_ruled_out_is_not_asked(self) -> None:
        assert chosen(Threshold(threshold=0), self.estimates, [[True, False]] * 2) == ["a", "a"]
        assert chosen(Threshold(threshold=1), self.estimates, [[False, True]] * 2) == ["b", "b"]

    def test_the_pair_can_be_named_in_a_larger_pool(self) -> None:
        estimates = table([0.1, 0.9, 0.5], [1, 2, 3])
        policy = Threshold(threshold=0, weak="a", strong="c")
        assert policy.admits(estimates).tolist() == [[True, False, True]]
        assert chosen(policy, estimates) == ["c"]

    @pytest.mark.parametrize("settings", [{}, {"strong": "a"}, {"weak": "a"}])
    def test_a_larger_pool_needs_both_names(self, settings: dict[str, str]) -> None:
        with pytest.raises(ConfigurationError, match="Name them"):
            Threshold(threshold=0.5, **settings).check(("a", "b", "c"))

    def test_an_unknown_name(self) -> None:
        with pytest.raises(ConfigurationError, match="not in the pool"):
            Threshold(threshold=0.5, strong="x").check(("a", "b"))

    def test_a_threshold_is_a_probability(self) -> None:
        with pytest.raises(ConfigurationError, match=r"threshold: .*less than or equal to 1"):
            Threshold(threshold=1.5)


class TestWillingnessToPay:
    estimates = table([0.5, 0.9], [0.001, 0.011])

    def test_pays_for_quality_worth_its_cost(self) -> None:
        # The better answer is worth 0.4 × usd and costs 0.010 more.
        assert chosen(WillingnessToPay(usd=0.024), self.estimates) == ["a"]
        assert chosen(WillingnessToPay(usd=0.026), self.estimates) == ["b"]

    def test_a_value_must_be_positive(self) -> None:
        with pytest.raises(ValueError, match="greater than 0"):
            WillingnessToPay(usd=0)


class TestBestWithin:
    def test_takes_the_best_within_the_cost(self) -> None:
        assert chosen(BestWithin(cost=2), table([0.5, 0.8, 0.9], [1, 2, 3])) == ["b"]

    def test_takes_the_best_within_the_latency(self) -> None:
        estimates = table([0.5, 0.8, 0.9], [1, 2, 3], latency=[1, 2, 3])
        assert chosen(BestWithin(latency=1.5), estimates) == ["a"]

    def test_what_is_unknown_is_not_ruled_out(self) -> None:
        assert chosen(BestWithin(cost=2), table([0.5, 0.8, 0.9], [1, 2, np.nan])) == ["c"]

    def test_says_why_a_model_is_out(self) -> None:
        policy, estimates = BestWithin(cost=2, latency=2), table([0.5, 0.9], [1, 3], latency=[1, 9])
        assert policy.admits(estimates).tolist() == [[True, False]]
        why = policy.why_not(estimates, 0, 1)
        assert "expected cost 3 USD" in why
        assert "expected latency 9 s" in why

    def test_needs_a_limit(self) -> None:
        with pytest.raises(ValueError, match="BestWithin needs a limit"):
            BestWithin()


def test_a_pinned_model_is_the_only_one() -> None:
    estimates = table([0.5, 0.9], [1, 2])
    assert Pinned(model="a").admits(estimates).tolist() == [[True, False]]
    assert chosen(Pinned(model="a"), estimates) == ["a"]


def test_stand_ins_are_as_good_first_and_then_the_best_of_the_rest() -> None:
    estimates = table([0.5, 0.6, 0.9, 0.8, 0.4], [1, 2, 9, 4, 0])
    allowed = np.array([[True, True, True, True, True]])
    order = fallback_order(estimates, 0, allowed, chosen=1)
    assert [estimates.models[i] for i in order] == ["b", "d", "c", "a", "e"]
    allowed[0, 3] = False
    assert 3 not in fallback_order(estimates, 0, allowed, chosen=1)


def test_stand_ins_of_equal_quality_come_cheapest_first_and_before_a_better_dearer_one() -> None:
    """A model as good as the chosen one is no weaker one, whatever it costs."""
    estimates = table([0.7, 0.7, 0.9, 0.7, 0.6, 0.65], [3, 5, 9, 2, 1, 8])
    everyone = np.ones((1, 6), dtype=bool)
    order = fallback_order(estimates, 0, everyone, chosen=0)
    assert [estimates.models[i] for i in order] == ["a", "d", "b", "c", "f", "e"]


POLICIES = [
    Threshold(threshold=0.4, weak="a", strong="b"),
    WillingnessToPay(usd=0.01),
    CheapestAbove(quality=0.9),
    BestWithin(cost=0.5),
    Pinned(model="b"),
]
some_estimates = st.integers(1, 5).flatmap(
    lambda p: st.builds(
        table,
        quality=arrays(float, (p, 4), elements=st.floats(0, 1)),
        cost=arrays(float, (p, 4), elements=st.floats(0, 1) | st.just(np.nan)),
    )
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
@given(estimates=some_estimates)
def test_a_policy_chooses_only_among_what_is_allowed(policy: Policy, estimates: Estimates) -> None:
    allowed = policy.admits(estimates)
    rows = np.flatnonzero(allowed.any(axis=1))
    for row in rows:
        one = estimates.row(int(row))
        choice = int(policy.choose(one, allowed[row : row + 1])[0])
        assert allowed[row, choice]
        assert one.models[choice] in policy.why(one, 0, allowed[row : row + 1], choice)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
@given(estimates=some_estimates)
def test_a_batch_is_chosen_as_its_prompts_one_by_one(policy: Policy, estimates: Estimates) -> None:
    allowed = policy.admits(estimates)
    if not allowed.any(axis=1).all():
        return
    together = policy.choose(estimates, allowed).tolist()
    alone = [
        int(policy.choose(estimates.row(i), allowed[i : i + 1])[0]) for i in range(len(estimates))
    ]
    assert together == alone


@given(estimates=some_estimates, low=st.floats(0, 1), high=st.floats(0, 1))
def test_asking_for_more_quality_never_chooses_a_cheaper_model(
    estimates: Estimates, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    cost = comparable_cost(estimates)
    everything = np.ones(estimates.quality.shape, dtype=bool)
    less = CheapestAbove(quality=low).choose(estimates, everything)
    more = CheapestAbove(quality=high).choose(estimates, everything)
    rows = np.arange(len(estimates))
    # Of costs that are equal but for rounding either may be taken.
    assert (cost[rows, less] <= cost[rows, more] * (1 + 1e-9)).all()


class TestUnknownCosts:
    def test_count_as_a_hair_below_the_cheapest_that_stands_as_high(self) -> None:
        estimates = table([[0.5] * 4] * 2, [[1, np.nan, 4, 2], [1, 3, 4, 2]], [0.3, 0.5, 0.8, 0.5])
        assert comparable_cost(estimates).tolist() == [[1, 2 * (1 - 1e-6), 4, 2], [1, 3, 4, 2]]

    def test_count_as_a_hair_above_all_where_none_stands_as_high(self) -> None:
        estimates = table([0.5] * 3, [1, np.nan, 4], [0.3, 0.9, 0.8])
        assert comparable_cost(estimates).tolist() == [[1, 4 / (1 - 1e-6), 4]]

    def test_are_replaced_by_the_standing_where_no_cost_is_known(self) -> None:
        unknown = [np.nan] * 2
        estimates = table([[0.5, 0.6]] * 2, [unknown, [1, 2]], [0.3, 0.9])
        assert comparable_cost(estimates).tolist() == [[0.3, 0.9], [1, 2]]


class TestTheSweep:
    """From one end of what a policy can do to the other."""

    estimates = table([[0.5, 0.9], [0.6, 0.8]], [[1, 3], [2, 6]])
    everyone = np.ones((2, 2), dtype=bool)

    def ends(self, policy: Policy) -> list[list[str]]:
        values = policy.sweep_values(self.estimates)
        assert (np.diff(values) > 0).all()
        ends = [policy.with_parameter(values[end]) for end in (0, -1)]
        assert all(type(end) is type(policy) for end in ends)
        return [chosen(end, self.estimates) for end in ends]

    def test_of_a_threshold_goes_by_the_scores(self) -> None:
        policy = Threshold(threshold=0.4, weak="a", strong="b")
        values = policy.sweep_values(self.estimates)
        scores = win_probability(self.estimates, 0, 1)  # 0.45 and 0.32
        assert len(values) == 103
        assert values[[0, 1, 51, -2, -1]] == pytest.approx([0, 0.32, 0.385, 0.45, 1])
        assert scores == pytest.approx([0.45, 0.32])
        assert self.ends(policy) == [["b", "b"], ["a", "a"]]

    def test_of_a_willingness_to_pay_is_even_on_a_log_scale(self) -> None:
        values = WillingnessToPay(usd=1).sweep_values(self.estimates)
        # The greatest difference in cost, 4, for the greatest in quality, 0.4; and 10,000 each way.
        assert len(values) == 101
        assert values[[0, 50, 100]] == pytest.approx([1e-3, 10, 1e5])
        assert self.ends(WillingnessToPay(usd=1)) == [["a", "a"], ["b", "b"]]
        alike = table([0.5, 0.5], [1, 1])
        assert WillingnessToPay(usd=1).sweep_values(alike)[50] == pytest.approx(1e-12 / 1e-6)

    def test_of_shares_is_in_hundredths(self) -> None:
        hundredths = [k / 100 for k in range(101)]
        for policy in (CheapestAbove(), StrongCalls(share=0.5)):
            assert policy.sweep_values(self.estimates) == pytest.approx(hundredths)
        assert self.ends(CheapestAbove()) == [["a", "a"], ["b", "b"]]

    def test_of_a_limit_lets_in_one_cost_after_the_other(self) -> None:
        values = BestWithin(cost=1).sweep_values(self.estimates)
        assert values[[0, -1]].tolist() == [1, 6]
        unknown = table([0.5, 0.9], np.nan)
        assert BestWithin(cost=1).sweep_values(unknown).tolist() == []

    def test_takes_a_parameter(self) -> None:
        assert BestWithin(cost=1, latency=3).with_parameter(2) == BestWithin(cost=2, latency=3)
        assert Pinned(model="a").sweep_values(self.estimates).tolist() == []
        with pytest.raises(ConfigurationError, match="Pinned has no parameter"):
            Pinned(model="a").with_parameter(0.5)


class TestWhy:
    """What the record says of a choice."""

    estimates = table([0.5, 0.9, 0.95], [0.001, 0.01, np.nan], latency=[1, 9, 2])
    everyone = np.ones((1, 3), dtype=bool)

    @pytest.mark.parametrize(
        ("policy", "model", "why"),
        [
            (
                CheapestAbove(quality=0.5),
                1,
                "b is the cheapest with at least 50% of the best expected quality: "
                "0.900 against 0.950.",
            ),
            (
                WillingnessToPay(usd=0.1),
                1,
                "At 0.1 USD for a good answer, b leaves most: expected quality 0.900 at 0.01 USD.",
            ),
            (
                WillingnessToPay(usd=0.1),
                2,
                "At 0.1 USD for a good answer, c leaves most: expected quality 0.950 at an unknown "
                "cost.",
            ),
            (
                BestWithin(cost=0.5, latency=3),
                2,
                "c has the best expected quality, 0.950, within 0.5 USD and 3.0 s.",
            ),
            (
                Threshold(threshold=0.4, weak="a", strong="b"),
                1,
                "b wins with probability 0.450, which reaches the threshold 0.4.",
            ),
            (
                Threshold(threshold=0.5, weak="a", strong="b"),
                0,
                "b wins with probability 0.450, which is below the threshold 0.5.",
            ),
            (Pinned(model="b"), 1, "The caller asked for b."),
            (
                StrongCalls(share=0.25),
                1,
                "b is asked so that 25% of the prompts, those that gain most, go to the strongest "
                "model.",
            ),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Policy) else None,
    )
    def test_a_model_was_chosen(self, policy: Policy, model: int, why: str) -> None:
        assert policy.why(self.estimates, 0, self.everyone, model) == why

    def test_the_other_model_of_a_pair_is_ruled_out(self) -> None:
        pair = Threshold(threshold=0.5, weak="a", strong="b")
        for model, other in ((0, "b"), (1, "a")):
            allowed = self.everyone.copy()
            allowed[0, 1 - model] = False
            why = pair.why(self.estimates, 0, allowed, model)
            assert why == f"{other} is ruled out, so the other model is asked."

    def test_a_model_was_not_admitted(self) -> None:
        assert CheapestAbove().why_not(self.estimates, 0, 0) == "not admitted by the policy"
        assert Pinned(model="b").why_not(self.estimates, 0, 0) == "the caller asked for b"
        pair = Threshold(threshold=0.5, weak="a", strong="b")
        why = "neither the strong nor the weak model of the threshold"
        assert pair.why_not(self.estimates, 0, 2) == why
        both = BestWithin(cost=0.005, latency=8)
        assert both.why_not(self.estimates, 0, 1) == (
            "expected cost 0.01 USD is over the limit of 0.005 USD and expected latency 9 s is "
            "over 8 s"
        )
        assert both.admits(self.estimates).tolist() == [[True, False, True]]


def test_a_pair_is_completed_by_the_standing_or_by_the_one_that_is_named() -> None:
    estimates = table([0.9, 0.5], [1, 2], prior=[0.9, 0.5])
    for named in ({}, {"strong": "a"}, {"weak": "b"}):
        assert chosen(Threshold(threshold=0, **named), estimates) == ["a"]
        assert chosen(Threshold(threshold=1, **named), estimates) == ["b"]
    for named in ({"strong": "b"}, {"weak": "a"}):
        assert chosen(Threshold(threshold=0, **named), estimates) == ["b"]
    with pytest.raises(ConfigurationError, match="strong and weak are both 'a'"):
        Threshold(threshold=0.5, strong="a", weak="a")
    Threshold(threshold=0.5).check(("a", "b"))
    with pytest.raises(ConfigurationError, match=r"the pool has 1\. Name them"):
        Threshold(threshold=0.5, strong="a").check(("a",))


class TestStrongCalls:
    def test_the_half_that_gains_most_goes_to_the_strongest(self) -> None:
        """The later of equally strong ones; never where the strongest is the cheapest."""
        quality = [[weak, 0.5, 1.0, 1.0] for weak in (0.9, 0.1, 0.9, 0.1)]
        estimates = table(quality, [1, 2, 3, 4], prior=[0.5, 0.6, 0.9, 0.9])
        everyone = np.ones((4, 4), dtype=bool)
        assert chosen(StrongCalls(share=0.5), estimates, everyone) == ["a", "d", "a", "d"]
        without = everyone.copy()
        without[:, 3] = False
        assert chosen(StrongCalls(share=0.5), estimates, without) == ["a", "c", "a", "c"]
        alone = np.zeros((4, 4), dtype=bool)
        alone[:, 1] = True
        assert chosen(StrongCalls(share=1), estimates, alone) == ["b"] * 4


def test_a_policy_is_made_again_of_its_record() -> None:
    for policy in (*POLICIES, StrongCalls(share=0.2), BestWithin(latency=2)):
        assert of_record(policy.to_record()) == policy
    with pytest.raises(ConfigurationError, match="no policy 'Mine'; there are CheapestAbove, Wil"):
        of_record({"name": "Mine"})
    with pytest.raises(ConfigurationError, match="no policy None"):
        of_record({})
    with pytest.raises(ConfigurationError, match="CheapestAbove: quality"):
        of_record({"name": "CheapestAbove", "quality": 2})


def test_a_policy_names_a_model_that_is_in_the_pool() -> None:
    Pinned(model="a").check(("a", "b"))
    with pytest.raises(ConfigurationError, match="no model 'c' in the pool; it has 'a', 'b'"):
        Pinned(model="c").check(("a", "b"))
    Threshold(threshold=0.5, strong="a", weak="c").check(("a", "b", "c"))
    with pytest.raises(ConfigurationError, match="Threshold names 'd'"):
        Threshold(threshold=0.5, strong="a", weak="d").check(("a", "b", "c"))


@pytest.mark.parametrize("rounding", [-1e-15, 0.0, 1e-15])
def test_models_that_are_equal_but_for_rounding_are_equal(rounding: float) -> None:
    cost = np.array([2.0, 2.0, 1.0]) * (1 + rounding * np.array([1, 0, 0]))
    better = table([0.7, 0.9, 0.1], cost)
    assert chosen(CheapestAbove(quality=0.5), better) == ["b"]
    cheaper = table([0.9, 0.9 + rounding, 0.1], [2.0, 1.0, 0.5])
    assert chosen(CheapestAbove(quality=1), cheaper) == ["b"]
    assert chosen(BestWithin(cost=5), cheaper) == ["b"]
    alike = table([0.9, 0.9 + rounding, 0.1], [1.0, 1.0, 0.5])
    for policy in (CheapestAbove(quality=1), BestWithin(cost=5), WillingnessToPay(usd=10)):
        assert chosen(policy, alike) == ["a"]


def test_models_that_differ_by_a_thousandth_differ() -> None:
    assert chosen(CheapestAbove(quality=0.5), table([0.7, 0.9], [1.0, 1.001])) == ["a"]
    assert chosen(CheapestAbove(quality=1), table([0.9, 0.901], [1.0, 2.0])) == ["b"]
    assert chosen(BestWithin(cost=5), table([0.9, 0.901], [1.0, 2.0])) == ["b"]


def test_policies_are_frozen_and_name_their_numbers() -> None:
    policy = CheapestAbove(quality=0.9)
    assert policy.to_record() == {"name": "CheapestAbove", "quality": 0.9}
    with pytest.raises(ValueError, match="frozen"):
        policy.quality = 0.5  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        CheapestAbove(qualty=0.5)


def test_the_old_name_of_prior_quality_is_taken_with_a_warning() -> None:
    estimates = table([0.9, 0.8], [1.0, 2.0], prior=[0.7, 0.6])
    with pytest.warns(DeprecationWarning, match="prior is now prior_quality"):
        assert estimates.prior.tolist() == [0.7, 0.6]
    with pytest.warns(DeprecationWarning, match="prior is now prior_quality"):
        other = replace(estimates, prior=np.array([0.1, 0.2]))
    assert other.prior_quality.tolist() == [0.1, 0.2]


def test_a_policy_of_ones_own_by_the_old_names_is_still_swept() -> None:
    with pytest.warns(DeprecationWarning, match="is now") as warned:

        class Old(CheapestAbove):
            knob: ClassVar[str] = "quality"

            def settings(self, estimates: Estimates) -> np.ndarray:
                return np.array([0.5, 1.0])

    assert sorted(str(one.message).split(";")[0] for one in warned) == [
        "knob of Old is now parameter",
        "settings of Old is now sweep_values",
    ]
    assert Old(quality=0.9).sweep_values(table([0.9, 0.8], [1.0, 2.0])).tolist() == [0.5, 1.0]
