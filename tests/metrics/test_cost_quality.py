from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.metrics import (
    aiq,
    aiq_routerbench,
    best_single,
    closed_gap,
    convex_hull,
    cost_at,
    cost_save,
    gap_to_oracle,
    oracle_choice,
    over_zero,
    pareto_dist,
    perf_gain,
    quality_at,
)

# Steps far wider than rounding, which decides what differs by less.
UNIT = st.integers(0, 4096).map(lambda n: n / 4096)
#: Values that meet: equal costs, equal qualities and points on one line are common.
COARSE = st.integers(0, 6).map(lambda i: i / 6)
POINTS = st.one_of(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=element)
    for element in (UNIT, COARSE)
)
#: Four single models, two of them the best.
FOUR = np.array([[1.0, 0.5], [4, 0.8], [6, 0.8], [8, 0.7]])
STACK = hnp.arrays(np.float64, (4, 9, 2), elements=COARSE)
SINGLES = hnp.arrays(np.float64, (4, 5, 2), elements=COARSE)


def priced(points: np.ndarray) -> np.ndarray:
    """The same points without free ones."""
    return points + np.array([0.5, 0.0])


def area(x: np.ndarray, y: np.ndarray) -> float:
    """Trapezoidal rule."""
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def majorant(points: np.ndarray, cost: float) -> float:
    """Best quality of any mix of two points at a cost or below it, pair by pair."""
    best = -np.inf
    for (c0, q0), (c1, q1) in product(points, repeat=2):
        if c0 <= cost:
            best = max(best, q0)
        if c0 <= cost < c1:
            best = max(best, q0 + (cost - c0) / (c1 - c0) * (q1 - q0))
    return float(best) if np.isfinite(best) else float("nan")


class TestHull:
    @given(POINTS)
    def test_it_rises_bends_down_and_covers_the_points(self, points: np.ndarray) -> None:
        hull = convex_hull(points)
        steps = np.diff(hull, axis=0)
        assert (steps > 0).all()
        slopes = steps[:, 1] / steps[:, 0]
        assert (np.diff(slopes) <= 1e-6 * np.abs(slopes[:-1])).all()
        reach = np.interp(points[:, 0], hull[:, 0], hull[:, 1])
        assert (points[:, 1] <= reach + 1e-9).all()
        assert hull[0, 0] == points[:, 0].min()
        assert hull[-1, 1] == points[:, 1].max()

    @given(POINTS)
    def test_its_vertices_are_points_and_its_own_hull(self, points: np.ndarray) -> None:
        hull = convex_hull(points)
        assert {tuple(vertex) for vertex in hull} <= {tuple(point) for point in points}
        assert (convex_hull(hull) == hull).all()

    @given(POINTS, UNIT)
    def test_it_is_the_best_mix_of_two_points(self, points: np.ndarray, cost: float) -> None:
        expected = majorant(points, cost)
        assert quality_at(points, cost) == pytest.approx(expected, abs=1e-9, nan_ok=True)

    @given(POINTS, st.randoms(use_true_random=False))
    def test_the_order_of_settings_does_not_count(self, points: np.ndarray, random: object) -> None:
        order = list(range(len(points)))
        random.shuffle(order)  # type: ignore[attr-defined]
        assert (convex_hull(points[order]) == convex_hull(points)).all()

    @given(STACK)
    def test_a_stack_has_the_hulls_of_its_pictures(self, stack: np.ndarray) -> None:
        hulls = convex_hull(stack)
        for hull, picture in zip(hulls, stack, strict=True):
            alone = convex_hull(picture)
            assert (hull[: len(alone)] == alone).all()
            assert (hull[len(alone) :] == alone[-1]).all()

    def test_a_picture_with_a_nan_has_none(self) -> None:
        stack = np.array([[[0.0, 0.5], [1, 1]], [[0, np.nan], [1, 1]]])
        assert np.isnan(convex_hull(stack)[1]).all()
        assert aiq(stack, np.zeros(2), np.ones(2)) == pytest.approx([0.75, np.nan], nan_ok=True)
        assert np.isnan(quality_at(stack, 0.5)[1])

    def test_bad_input_says_how_to_mend_it(self) -> None:
        with pytest.raises(ConfigurationError, match="shape"):
            convex_hull(np.ones((0, 2)))
        with pytest.raises(ConfigurationError, match="shape"):
            convex_hull(np.ones((3, 3)))
        with pytest.raises(ConfigurationError, match="complete"):
            convex_hull(np.array([[0.0, np.nan]]))
        with pytest.raises(ConfigurationError, match="range"):
            aiq(np.ones((1, 2)), 1.0, 1.0)
        with pytest.raises(ConfigurationError, match="range"):
            aiq_routerbench(np.ones((1, 2)), 0.0)


class TestReadingTheHull:
    @given(POINTS, UNIT)
    def test_cost_and_quality_are_inverse(self, points: np.ndarray, quality: float) -> None:
        cost = float(cost_at(points, quality))
        if quality > points[:, 1].max() + 1e-9:
            assert np.isnan(cost)
            return
        assert points[:, 0].min() <= cost <= points[:, 0].max()
        assert quality_at(points, cost) >= quality - 1e-6
        least = points[:, 0].min()
        if cost > least:
            assert quality_at(points, cost) == pytest.approx(quality, abs=1e-6)

    def test_by_hand(self) -> None:
        points = np.array([[1.0, 0.4], [3, 0.8], [2, 0.5], [4, 0.7]])
        assert quality_at(points, np.array([0.5, 1, 2, 3, 9])) == pytest.approx(
            [np.nan, 0.4, 0.6, 0.8, 0.8], nan_ok=True
        )
        assert cost_at(points, np.array([0.1, 0.4, 0.6, 0.8, 0.9])) == pytest.approx(
            [1, 1, 2, 3, np.nan], nan_ok=True
        )

    def test_the_best_quality_is_reached_whatever_the_rounding(self) -> None:
        points = np.array([[1.0, 0.4], [3, 0.1 + 0.2]])
        assert cost_at(np.array([[1.0, 0.1], [3, 0.3]]), 0.1 + 0.2) == 3.0
        assert cost_at(points, 0.4) == 1.0

    @given(STACK, hnp.arrays(np.float64, (4, 3), elements=COARSE))
    def test_a_stack_is_read_picture_by_picture(self, stack: np.ndarray, at: np.ndarray) -> None:
        for function in (quality_at, cost_at):
            every = function(stack, at)
            one = function(stack, at[:, 0])
            same = function(stack, 0.5)
            assert (every.shape, one.shape, same.shape) == ((4, 3), (4,), (4,))
            for picture, places, row, first, half in zip(stack, at, every, one, same, strict=True):
                assert row == pytest.approx(function(picture, places), nan_ok=True)
                assert first == pytest.approx(function(picture, places[0]), nan_ok=True)
                assert half == pytest.approx(function(picture, 0.5), nan_ok=True)
        many = quality_at(stack[0], at)
        assert many == pytest.approx(
            np.array([quality_at(stack[0], row) for row in at]), nan_ok=True
        )


class TestArea:
    def test_by_hand(self) -> None:
        assert aiq(np.array([[0.0, 0.5]]), 0.0, 1.0) == pytest.approx(0.5)
        assert aiq(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0, 1.0) == pytest.approx(0.5)
        assert aiq(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0, 2.0) == pytest.approx(0.75)
        assert aiq(np.array([[0.5, 1.0]]), 0.0, 1.0) == pytest.approx(0.5)
        assert aiq(np.array([[2.0, 1.0]]), 0.0, 1.0) == 0.0

    @given(POINTS)
    def test_it_is_the_mean_quality_over_the_range(self, points: np.ndarray) -> None:
        grid = np.linspace(0.2, 0.9, 20_001)
        reached = np.nan_to_num(quality_at(points, (grid[1:] + grid[:-1]) / 2))
        assert aiq(points, 0.2, 0.9) == pytest.approx(reached.mean(), abs=1e-4)

    @given(POINTS, POINTS)
    @settings(max_examples=50)
    def test_more_settings_never_lower_it(self, points: np.ndarray, more: np.ndarray) -> None:
        assert aiq(np.vstack([points, more]), 0.2, 0.9) >= aiq(points, 0.2, 0.9) - 1e-9

    @given(POINTS, st.floats(1e-6, 1e3))
    def test_the_unit_of_cost_does_not_count(self, points: np.ndarray, unit: float) -> None:
        dearer = points * [unit, 1.0]
        assert aiq(dearer, 0.2 * unit, 0.9 * unit) == pytest.approx(aiq(points, 0.2, 0.9))
        assert aiq_routerbench(dearer, unit) == pytest.approx(aiq_routerbench(points, 1.0))

    @given(STACK)
    def test_a_stack_has_the_areas_of_its_pictures(self, stack: np.ndarray) -> None:
        low, high = np.array([0.0, 0.1, 0.2, 0.5]), np.array([1.0, 1.1, 0.9, 0.5])
        found = aiq(stack, low, high)
        for each, picture, a, b in zip(found[:3], stack, low, high, strict=False):
            assert each == pytest.approx(aiq(picture, float(a), float(b)))
        assert np.isnan(found[3])  # an empty range
        assert aiq_routerbench(stack, np.ones(4)) == pytest.approx(
            [aiq_routerbench(picture, 1.0) for picture in stack]
        )

    @given(POINTS, st.floats(0, 2))
    def test_routerbench_divides_by_the_largest_cost(
        self, points: np.ndarray, further: float
    ) -> None:
        hull = convex_hull(points)
        c_max = float(hull[-1, 0] + further)
        if c_max == 0:
            return
        extended = np.vstack([hull, [c_max, hull[-1, 1]]])
        expected = area(extended[:, 0], extended[:, 1]) / c_max
        assert aiq_routerbench(points, c_max) == pytest.approx(expected, abs=1e-12)


def pareto_dist_by_hand(points: np.ndarray, others: np.ndarray) -> float:
    everyone = [(np.log(c), q) for c, q in [*points, *others]]
    frontier = [
        (c, q)
        for c, q in everyone
        if not any(d <= c and r >= q and (d < c or r > q) for d, r in everyone)
    ]
    c_scale = max(c for c, _ in everyone) - min(c for c, _ in everyone) or 1.0
    q_scale = max(q for _, q in everyone) - min(q for _, q in everyone) or 1.0
    nearest = [
        min(abs(c - d) / c_scale + abs(q - r) / q_scale for d, r in frontier)
        for c, q in everyone[: len(points)]
    ]
    return float(np.mean(nearest))


class TestLLMRouterBenchsFigures:
    def test_the_best_single_model_is_the_cheapest_of_the_best(self) -> None:
        assert best_single(FOUR) == 1
        assert best_single(FOUR + np.array([0, 1e-12]) * np.arange(4)[:, None]) == 1

    def test_by_hand(self) -> None:
        points = np.array([[1.0, 0.5], [2, 0.7], [3, 0.8], [5, 0.9]])
        assert perf_gain(points, FOUR) == pytest.approx(0.9 / 0.8 - 1)
        assert cost_save(points, FOUR) == pytest.approx(1 - 3 / 4)
        assert 1 - cost_at(points, 0.8) / 4 == pytest.approx(0.25)
        assert gap_to_oracle(0.9, 0.95) == pytest.approx(1 - 0.9 / 0.95)
        assert closed_gap(0.75, 0.7, 0.9) == pytest.approx(0.25)

    def test_a_router_that_never_gets_there_loses_and_saves_nothing(self) -> None:
        worse = np.array([[1.0, 0.5], [2, 0.6]])
        assert perf_gain(worse, FOUR) == pytest.approx(-0.25)
        assert np.isnan(cost_save(worse, FOUR))

    def test_where_it_gets_there_dearer_the_saving_is_negative(self) -> None:
        assert cost_save(np.array([[5.0, 0.85]]), FOUR) == pytest.approx(-0.25)

    def test_what_has_no_meaning_is_nan(self) -> None:
        nothing = np.array([[0.0, 0.0]])
        assert np.isnan(perf_gain(FOUR, nothing))
        assert np.isnan(cost_save(FOUR, nothing))
        assert np.isnan(gap_to_oracle(0.0, 0.0))
        assert np.isnan(closed_gap(0.5, 0.5, 0.5 + 1e-12))
        assert np.isnan(pareto_dist(np.array([[0.0, 0.5]]), FOUR))

    @given(POINTS, POINTS)
    def test_pareto_distance_is_to_the_frontier_of_all(
        self, points: np.ndarray, others: np.ndarray
    ) -> None:
        points, others = priced(points), priced(others)
        expected = pareto_dist_by_hand(points, others)
        assert pareto_dist(points, others) == pytest.approx(expected, abs=1e-9)

    @given(POINTS, POINTS)
    def test_the_frontier_itself_has_no_distance(
        self, points: np.ndarray, others: np.ndarray
    ) -> None:
        best = np.array([[0.1, 2.0]])  # cheaper and better than all
        assert pareto_dist(best, priced(points)) == 0.0
        assert pareto_dist(priced(points), np.vstack([best, priced(others)])) >= 0.0

    @given(POINTS, POINTS, st.floats(1e-3, 1e3))
    def test_the_unit_of_cost_does_not_count(
        self, points: np.ndarray, singles: np.ndarray, unit: float
    ) -> None:
        points, singles = priced(points), priced(singles)
        dearer, dearer_singles = points * [unit, 1.0], singles * [unit, 1.0]
        for figure in (perf_gain, cost_save, pareto_dist, over_zero):
            assert figure(dearer, dearer_singles) == pytest.approx(
                figure(points, singles), nan_ok=True, abs=1e-6
            )

    @given(POINTS)
    def test_single_models_gain_save_and_exceed_nothing(self, singles: np.ndarray) -> None:
        singles = priced(singles)
        assume(singles[:, 1].max() > 0)
        assert perf_gain(singles, singles) == 0.0
        assert cost_save(singles, singles) == 0.0
        assert (over_zero(singles, singles) <= 1e-9).all()
        assert over_zero(convex_hull(singles), singles) == pytest.approx(0.0, abs=1e-9)

    def test_over_zero_by_hand(self) -> None:
        points = np.array([[0.5, 0.6], [2.5, 0.7], [9, 0.9]])
        # Cheaper than the cheapest single model, between two of them, dearer than all.
        assert over_zero(points, FOUR) == pytest.approx([0.1, 0.05, 0.1])

    @given(STACK, SINGLES)
    def test_a_stack_has_the_figures_of_its_pictures(
        self, stack: np.ndarray, singles: np.ndarray
    ) -> None:
        stack, singles = priced(stack), priced(singles)
        for figure in (perf_gain, cost_save, pareto_dist, over_zero):
            found = figure(stack, singles)
            for each, picture, one in zip(found, stack, singles, strict=True):
                assert each == pytest.approx(figure(picture, one), nan_ok=True)
        fixed = over_zero(stack, singles[0])
        assert fixed[2] == pytest.approx(over_zero(stack[2], singles[0]))
        assert pareto_dist(stack, singles[0])[1] == pytest.approx(pareto_dist(stack[1], singles[0]))


class TestOracle:
    def test_it_takes_the_cheapest_of_the_best(self) -> None:
        score = np.array([[0.0, 1, 1], [0, 0, 0], [1, 0, 0]])
        cost = np.array([[1.0, 3, 2], [2, 1, 3], [9, 1, 1]])
        assert oracle_choice(score, cost).tolist() == [2, 1, 0]
        assert oracle_choice(score).tolist() == [1, 0, 0]

    @given(
        hnp.arrays(np.float64, (4, 3), elements=COARSE),
        hnp.arrays(np.float64, (4, 3), elements=COARSE),
    )
    def test_it_is_the_best_of_all_assignments(self, score: np.ndarray, cost: np.ndarray) -> None:
        prompts = np.arange(4)
        chosen = oracle_choice(score, cost)
        best = score[prompts, chosen].sum()
        for choice in product(range(3), repeat=4):
            reached = score[prompts, choice].sum()
            assert reached <= best + 1e-9
            if reached >= best - 1e-9:
                assert cost[prompts, choice].sum() >= cost[prompts, chosen].sum() - 1e-9
