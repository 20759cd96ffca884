from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.metrics import (
    Resamples,
    apgr,
    apgr_interval,
    apgr_replicates,
    apgr_routellm,
    cpt,
    cpt_interval,
    cpt_replicates,
    cpt_routellm,
    interval,
    strong_call_curve,
)

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def routed(draw: st.DrawFn, most: int = 40, distinct: bool = False) -> Case:
    """Preferences, mostly with ties, and scores of two models that differ on average."""
    size = draw(st.integers(2, most))
    grid = st.integers(0, 4).map(lambda i: i / 4)
    weak = draw(hnp.arrays(np.float64, size, elements=grid))
    strong = draw(hnp.arrays(np.float64, size, elements=grid))
    strong[0], weak[0] = 1.0, 0.0
    assume(strong.mean() != weak.mean())
    if strong.mean() < weak.mean():
        weak, strong = strong, weak
    if distinct:
        preference = np.array(draw(st.permutations(range(size))), dtype=float)
    else:
        preference = draw(hnp.arrays(np.float64, size, elements=st.integers(-5, 5).map(float)))
    return preference, weak, strong


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Trapezoidal rule."""
    x, y = np.asarray(x), np.asarray(y)
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def crossing(share: np.ndarray, recovered: np.ndarray, part: float) -> float:
    """The first share at which a line from point to point reaches a part, point by point."""
    for (c0, r0), (c1, r1) in pairwise(zip(share, recovered, strict=True)):
        if r0 >= part:
            return float(c0)
        if r1 >= part:
            return float(c0 + (part - r0) / (r1 - r0) * (c1 - c0))
    return float("nan")


class TestExactFigures:
    @given(routed(distinct=True), st.floats(0.01, 0.99))
    def test_they_run_through_every_threshold(self, case: Case, part: float) -> None:
        preference, weak, strong = case
        gap = strong.mean() - weak.mean()
        share, recovered = [], []
        for threshold in [*np.sort(preference)[::-1] + 0.5, preference.min() - 0.5]:
            calls = preference > threshold
            share.append(calls.mean())
            recovered.append((np.where(calls, strong, weak).mean() - weak.mean()) / gap)
        # On a part that a threshold reaches to the last bit, rounding decides.
        assume(np.abs(np.array(recovered) - part).min() > 1e-9)
        assert apgr(preference, weak, strong) == pytest.approx(area(share, recovered))
        brute = crossing(np.array(share), np.array(recovered), part)
        assert cpt(preference, weak, strong, part) == pytest.approx(brute, abs=1e-9)

    @given(routed(most=5), st.floats(0.01, 0.99))
    def test_ties_are_broken_at_random_in_expectation(self, case: Case, part: float) -> None:
        preference, weak, strong = case
        size = len(weak)
        orders = [
            order
            for order in permutations(range(size))
            if all(preference[i] >= preference[j] for i, j in pairwise(order))
        ]
        gained = np.mean([np.cumsum((strong - weak)[list(order)]) for order in orders], axis=0)
        recovered = np.append(0.0, gained / gained[-1])
        share = np.arange(size + 1) / size
        assert apgr(preference, weak, strong) == pytest.approx(area(share, recovered))
        brute = crossing(share, recovered, part)
        assert cpt(preference, weak, strong, part) == pytest.approx(brute, abs=1e-9)

    @given(routed(most=7))
    def test_knowing_the_gains_is_best_among_all_subsets(self, case: Case) -> None:
        _, weak, strong = case
        curve = strong_call_curve(strong - weak, weak, strong)
        prompts = range(len(weak))
        for calls in range(len(weak) + 1):
            best = max(
                np.where(np.isin(prompts, subset), strong, weak).mean()
                for subset in combinations(prompts, calls)
            )
            reached = np.interp(calls / len(weak), curve.share, curve.quality)
            assert reached == pytest.approx(best)

    @given(routed())
    def test_only_the_order_of_preferences_counts(self, case: Case) -> None:
        preference, weak, strong = case
        changed = np.exp(preference / 3) + 7
        assert apgr(preference, weak, strong) == pytest.approx(apgr(changed, weak, strong))
        assert cpt(preference, weak, strong, 0.5) == pytest.approx(cpt(changed, weak, strong, 0.5))

    @given(routed(), st.randoms(use_true_random=False))
    def test_the_order_of_prompts_does_not(self, case: Case, random: object) -> None:
        order = list(range(len(case[0])))
        random.shuffle(order)  # type: ignore[attr-defined]
        shuffled = [each[order] for each in case]
        assert apgr(*shuffled) == pytest.approx(apgr(*case))
        assert cpt(*shuffled, 0.8) == pytest.approx(cpt(*case, 0.8))

    @given(routed())
    def test_no_router_beats_the_oracle_or_loses_to_its_reverse(self, case: Case) -> None:
        preference, weak, strong = case
        gain = strong - weak
        best, worst = apgr(gain, weak, strong), apgr(-gain, weak, strong)
        assert worst - 1e-9 <= apgr(preference, weak, strong) <= best + 1e-9
        assert best + worst == pytest.approx(1.0)
        for part in (0.2, 0.5, 0.8):
            assert cpt(preference, weak, strong, part) >= cpt(gain, weak, strong, part) - 1e-9

    @given(routed(), st.floats(0, 1), st.floats(0, 1))
    def test_more_of_the_gap_takes_more_calls(self, case: Case, one: float, other: float) -> None:
        less, more = sorted([one, other])
        assert 0 <= cpt(*case, less) <= cpt(*case, more) + 1e-12 <= 1 + 1e-9
        assert cpt(*case, 0.0) == pytest.approx(0.0, abs=1e-12)

    @given(routed())
    def test_a_router_that_says_nothing_has_one_half_exactly(self, case: Case) -> None:
        _, weak, strong = case
        assert apgr(np.zeros(len(weak)), weak, strong) == pytest.approx(0.5)
        assert cpt(np.zeros(len(weak)), weak, strong, 0.8) == pytest.approx(0.8)

    def test_a_random_router_has_about_one_half(self) -> None:
        generator = np.random.default_rng(0)
        weak = (generator.random(20_000) < 0.5).astype(float)
        strong = np.maximum(weak, generator.random(20_000) < 0.5)
        assert apgr(generator.random(20_000), weak, strong) == pytest.approx(0.5, abs=0.01)

    def test_the_curve_runs_from_weak_to_strong(self) -> None:
        weak, strong = np.array([0.0, 1, 0, 1]), np.array([1.0, 1, 1, 0])
        curve = strong_call_curve(np.array([3.0, 2, 1, 0]), weak, strong)
        assert curve.share == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-12)
        assert curve.quality == pytest.approx([0.5, 0.75, 0.75, 1.0, 0.75], abs=1e-12)
        assert curve.recovered == pytest.approx([0, 1, 1, 2, 1], abs=1e-12)
        assert apgr(np.array([3.0, 2, 1, 0]), weak, strong) == pytest.approx(1.125)
        assert cpt(np.array([3.0, 2, 1, 0]), weak, strong, 0.5) == pytest.approx(0.125)

    def test_what_is_never_reached_has_no_figure(self) -> None:
        weak, strong = np.array([0.0, 0]), np.array([1.0, 1])
        assert np.isnan(cpt(np.array([1.0, 0]), weak, strong, 1.5))

    @pytest.mark.parametrize("apart", [0.0, 1e-11, -1e-11])
    def test_models_that_differ_by_rounding_have_no_figures(self, apart: float) -> None:
        case = np.array([1.0, 2]), np.array([1.0, 0]), np.array([0.0, 1 + apart])
        assert np.isnan(apgr(*case))
        assert np.isnan(cpt(*case, 0.5))
        assert np.isnan(apgr_routellm(*case))
        assert np.isnan(cpt_routellm(*case, 0.5))
        assert np.isnan(strong_call_curve(*case).recovered).all()

    def test_bad_input_says_how_to_mend_it(self) -> None:
        one = np.ones(3)
        for figure in (apgr, apgr_routellm, strong_call_curve, apgr_interval):
            with pytest.raises(ConfigurationError, match="same length"):
                figure(np.ones(2), one, one)
            with pytest.raises(ConfigurationError, match="at least 1"):
                figure(np.ones(0), np.ones(0), np.ones(0))
            with pytest.raises(ConfigurationError, match="complete"):
                figure(one, np.array([0, np.nan, 1]), one)
        with pytest.raises(ConfigurationError, match="at least 1 bin"):
            apgr_routellm(one, one, one, bins=0)
        with pytest.raises(ConfigurationError, match="resamples are of 2 prompts"):
            apgr_replicates(one, one, one, Resamples(["a", "b"], 3))


class TestReplicates:
    @given(routed(), st.integers(0, 5))
    def test_they_are_the_figures_of_the_prompts_drawn(self, case: Case, seed: int) -> None:
        resamples = Resamples([f"p{i}" for i in range(len(case[0]))], 12, seed)
        areas = apgr_replicates(*case, resamples)
        crossings = cpt_replicates(*case, resamples, [0.2, 0.5, 0.8])
        assert crossings.shape == (13, 3)
        for row, weights in enumerate(resamples.weights):
            drawn = [np.repeat(each, weights) for each in case]
            if not len(drawn[0]):
                assert np.isnan(areas[row])
                assert np.isnan(crossings[row]).all()
                continue
            assert areas[row] == pytest.approx(apgr(*drawn), nan_ok=True)
            for column, part in enumerate([0.2, 0.5, 0.8]):
                expected = cpt(*drawn, part)
                assert crossings[row, column] == pytest.approx(expected, abs=1e-9, nan_ok=True)

    @given(routed(), st.randoms(use_true_random=False))
    def test_shuffled_rows_keep_them(self, case: Case, random: object) -> None:
        ids = [f"p{i}" for i in range(len(case[0]))]
        order = list(range(len(ids)))
        random.shuffle(order)  # type: ignore[attr-defined]
        before = apgr_replicates(*case, Resamples(ids, 20))
        after = apgr_replicates(
            *[each[order] for each in case], Resamples([ids[i] for i in order], 20)
        )
        assert after == pytest.approx(before, nan_ok=True)

    def test_many_prompts_are_handled_in_blocks(self) -> None:
        generator = np.random.default_rng(4)
        size = 9000
        case = (
            generator.random(size),
            (generator.random(size) < 0.5).astype(float),
            (generator.random(size) < 0.8).astype(float),
        )
        resamples = Resamples([f"p{i}" for i in range(size)], 60)
        areas = apgr_replicates(*case, resamples)
        assert areas[0] == pytest.approx(apgr(*case))
        for row in (1, 29, 30, 60):
            drawn = [np.repeat(each, resamples.weights[row]) for each in case]
            assert areas[row] == pytest.approx(apgr(*drawn))

    def test_a_replicate_without_a_gap_has_no_figure(self) -> None:
        preference, weak, strong = np.array([1.0, 0]), np.array([0.0, 0]), np.array([1.0, 0])
        resamples = Resamples(["a", "b"], 200)
        areas = apgr_replicates(preference, weak, strong, resamples)
        assert (np.isnan(areas) == (resamples.weights[:, 0] == 0)).all()

    def test_the_interval_holds_the_value_and_narrows_with_prompts(self) -> None:
        generator = np.random.default_rng(1)

        def found(size: int) -> tuple[float, float, float]:
            weak = generator.integers(0, 2, size).astype(float)
            strong = np.maximum(weak, generator.random(size) < 0.7).astype(float)
            each = apgr_interval(generator.random(size), weak, strong, replicates=300)
            return each.low, each.value, each.high

        small, large = found(150), found(5000)
        for low, value, high in (small, large):
            assert low < value < high
            assert low < 0.5 < high
        assert large[2] - large[0] < small[2] - small[0]

    def test_intervals_are_those_of_the_replicates(self) -> None:
        generator = np.random.default_rng(2)
        preference, weak = generator.random(200), generator.integers(0, 2, 200).astype(float)
        strong = np.maximum(weak, generator.integers(0, 2, 200))
        resamples = Resamples([str(i) for i in range(200)], 100)
        once = cpt_interval(preference, weak, strong, 0.5, replicates=100)
        values = cpt_replicates(preference, weak, strong, resamples, [0.5])
        assert once == interval(values[:, 0], 200)


def routellm(case: Case, part: float, bins: int) -> tuple[float, float]:
    """RouteLLM's formulas in their order: quantiles, (percent of calls, percent right), figures."""
    preference, weak, strong = case
    size = len(weak)
    quantiles = np.percentile(preference, np.linspace(0, 1, bins + 1) * 100)
    rows = []
    for place, threshold in enumerate(quantiles):
        last = place == bins
        calls = preference > threshold if last else preference >= threshold
        right = sum(s if call else w for call, w, s in zip(calls, weak, strong, strict=True))
        rows.append((calls.sum() / size * 100, right / size * 100))
    rows.sort()
    percent, right = np.array(rows).T
    low, high = sum(weak) / size * 100, sum(strong) / size * 100
    under_curve = area(percent / 100, right)
    under_weak = area(percent / 100, np.full(bins + 1, low))
    under_strong = area(percent / 100, np.full(bins + 1, high))
    recovered = (under_curve - under_weak) / (under_strong - under_weak)
    return recovered, float(np.interp(part * (high - low) + low, right, percent) / 100)


class TestRouteLLMsOwnFigures:
    @given(routed(distinct=True), st.sampled_from([0.2, 0.5, 0.8]), st.sampled_from([1, 5, 10]))
    def test_they_are_what_its_script_prints(self, case: Case, part: float, bins: int) -> None:
        recovered, calls = routellm(case, part, bins)
        assert apgr_routellm(*case, bins) == pytest.approx(recovered, abs=1e-12)
        assert cpt_routellm(*case, part, bins) == pytest.approx(calls, abs=1e-12)

    @given(routed(), st.sampled_from([1, 5, 10]))
    def test_ties_are_not_split(self, case: Case, bins: int) -> None:
        preference, weak, strong = case
        assert apgr_routellm(*case, bins) == pytest.approx(routellm(case, 0.5, bins)[0], abs=1e-12)
        # A whole group goes over at once, so with two preferences there are three points.
        two = (preference > 0).astype(float)
        gain = (strong - weak).sum()
        c, r = two.mean(), ((strong - weak) * two).sum() / gain
        by_hand = c * r / 2 + (1 - c) * (r + 1) / 2
        assert apgr_routellm(two, weak, strong, 10) == pytest.approx(by_hand)

    def test_they_come_near_the_exact_ones_with_many_bins(self) -> None:
        generator = np.random.default_rng(3)
        size = 3000
        weak = (generator.random(size) < 0.6).astype(float)
        strong = (generator.random(size) < 0.85).astype(float)
        preference = strong - weak + 2 * generator.standard_normal(size)
        case = preference, weak, strong
        exact = apgr(*case)
        assert apgr_routellm(*case) == pytest.approx(exact, abs=0.01)
        assert apgr_routellm(*case) != pytest.approx(exact, abs=1e-6)
        assert apgr_routellm(*case, bins=size - 1) == pytest.approx(exact, abs=1e-3)
        assert cpt_routellm(*case, 0.5) == pytest.approx(cpt(*case, 0.5), abs=0.03)

    def test_beyond_the_curve_it_is_all_calls(self) -> None:
        case = np.array([1.0, 0]), np.array([0.0, 0]), np.array([1.0, 1])
        assert cpt_routellm(*case, 1.5) == 1.0
        assert np.isnan(cpt(*case, 1.5))
