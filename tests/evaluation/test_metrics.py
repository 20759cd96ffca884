import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.evaluation.metrics import (
    aiq,
    apgr,
    apgr_interval,
    convex_hull,
    cpt,
    cpt_interval,
    oracle_choice,
    strong_call_curve,
)

UNIT = st.floats(0, 1, allow_subnormal=False, width=32)
POINTS = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=UNIT)


@st.composite
def routed(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 40))
    grid = st.integers(0, 4).map(lambda i: i / 4)
    weak = draw(hnp.arrays(np.float64, size, elements=grid))
    strong = draw(hnp.arrays(np.float64, size, elements=grid))
    strong[0], weak[0] = 1.0, 0.0
    if strong.mean() <= weak.mean():
        weak, strong = strong, weak
    preference = draw(hnp.arrays(np.float64, size, elements=st.integers(-5, 5).map(float)))
    return preference, weak, strong


@given(routed())
def test_only_the_order_of_preferences_counts(case: tuple) -> None:
    preference, weak, strong = case
    if strong.mean() == weak.mean():
        return
    changed = np.exp(preference / 3) + 7
    assert apgr(preference, weak, strong) == pytest.approx(apgr(changed, weak, strong))
    assert cpt(preference, weak, strong, 0.5) == pytest.approx(cpt(changed, weak, strong, 0.5))


@given(routed())
def test_no_router_beats_the_oracle_or_loses_to_its_reverse(case: tuple) -> None:
    preference, weak, strong = case
    if strong.mean() == weak.mean():
        return
    gain = strong - weak
    best, worst = apgr(gain, weak, strong), apgr(-gain, weak, strong)
    assert worst - 1e-9 <= apgr(preference, weak, strong) <= best + 1e-9
    assert best + worst == pytest.approx(1.0)


@given(routed())
def test_a_router_that_says_nothing_has_one_half_exactly(case: tuple) -> None:
    _, weak, strong = case
    if strong.mean() == weak.mean():
        return
    assert apgr(np.zeros(len(weak)), weak, strong) == pytest.approx(0.5)
    assert cpt(np.zeros(len(weak)), weak, strong, 0.8) == pytest.approx(0.8)


def test_ties_are_broken_in_expectation() -> None:
    generator = np.random.default_rng(0)
    weak = generator.integers(0, 2, 60).astype(float)
    strong = np.maximum(weak, generator.integers(0, 2, 60))
    preference = generator.integers(0, 3, 60).astype(float)
    jittered = [apgr(preference + 0.1 * generator.random(60), weak, strong) for _ in range(4000)]
    assert np.mean(jittered) == pytest.approx(apgr(preference, weak, strong), abs=0.005)


def test_the_curve_runs_from_weak_to_strong() -> None:
    weak, strong = np.array([0.0, 1, 0, 1]), np.array([1.0, 1, 1, 0])
    curve = strong_call_curve(np.array([3.0, 2, 1, 0]), weak, strong)
    assert curve.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.quality.tolist() == [0.5, 0.75, 0.75, 1.0, 0.75]
    assert curve.recovered.tolist() == [0, 1, 1, 2, 1]
    assert apgr(np.array([3.0, 2, 1, 0]), weak, strong) == pytest.approx(1.125)
    assert cpt(np.array([3.0, 2, 1, 0]), weak, strong, 0.5) == pytest.approx(0.125)


def test_equal_models_have_no_apgr() -> None:
    assert np.isnan(apgr(np.array([1.0, 2]), np.array([1.0, 0]), np.array([0.0, 1])))


def test_bad_input_says_how_to_mend_it() -> None:
    one = np.ones(3)
    with pytest.raises(ConfigurationError, match="same length"):
        apgr(np.ones(2), one, one)
    with pytest.raises(ConfigurationError, match="complete"):
        apgr(one, np.array([0, np.nan, 1]), one)
    with pytest.raises(ConfigurationError, match="shape"):
        convex_hull(np.ones((0, 2)))
    with pytest.raises(ConfigurationError, match="range"):
        aiq(np.ones((1, 2)), 1.0, 1.0)


def test_the_interval_holds_the_value_and_narrows_with_prompts() -> None:
    generator = np.random.default_rng(1)

    def interval(size: int) -> tuple[float, float, float]:
        weak = generator.integers(0, 2, size).astype(float)
        strong = np.maximum(weak, generator.random(size) < 0.7).astype(float)
        found = apgr_interval(generator.random(size), weak, strong, replicates=300)
        return found.low, found.value, found.high

    small, large = interval(150), interval(5000)
    for low, value, high in (small, large):
        assert low < value < high
        assert low < 0.5 < high
    assert large[2] - large[0] < small[2] - small[0]


def test_intervals_are_reproducible() -> None:
    generator = np.random.default_rng(2)
    preference, weak = generator.random(200), generator.integers(0, 2, 200).astype(float)
    strong = np.maximum(weak, generator.integers(0, 2, 200))
    once = cpt_interval(preference, weak, strong, 0.5, replicates=100)
    assert once == cpt_interval(preference, weak, strong, 0.5, replicates=100)


@given(POINTS)
def test_the_hull_rises_bends_down_and_covers_the_points(points: np.ndarray) -> None:
    hull = convex_hull(points)
    steps = np.diff(hull, axis=0)
    assert (steps > 0).all()
    slopes = steps[:, 1] / steps[:, 0]
    assert (np.diff(slopes) <= 1e-6 * np.abs(slopes[:-1])).all()
    reach = np.interp(points[:, 0], hull[:, 0], hull[:, 1])
    assert (points[:, 1] <= reach + 1e-9).all()
    assert hull[0, 0] == points[:, 0].min()
    assert hull[-1, 1] == points[:, 1].max()


@given(POINTS, POINTS)
@settings(max_examples=50)
def test_more_settings_never_lower_the_area(points: np.ndarray, more: np.ndarray) -> None:
    assert aiq(np.vstack([points, more]), 0.2, 0.9) >= aiq(points, 0.2, 0.9) - 1e-9


def test_the_area_by_hand() -> None:
    assert aiq(np.array([[0.0, 0.5]]), 0.0, 1.0) == pytest.approx(0.5)
    assert aiq(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0, 1.0) == pytest.approx(0.5)
    assert aiq(np.array([[0.0, 0.0], [1.0, 1.0]]), 0.0, 2.0) == pytest.approx(0.75)
    assert aiq(np.array([[0.5, 1.0]]), 0.0, 1.0) == pytest.approx(0.5)
    assert aiq(np.array([[2.0, 1.0]]), 0.0, 1.0) == 0.0


def test_the_oracle_takes_the_cheapest_of_the_best() -> None:
    score = np.array([[0.0, 1, 1], [0, 0, 0], [1, 0, 0]])
    cost = np.array([[1.0, 3, 2], [2, 1, 3], [9, 1, 1]])
    assert oracle_choice(score, cost).tolist() == [2, 1, 0]
    assert oracle_choice(score).tolist() == [1, 0, 0]
