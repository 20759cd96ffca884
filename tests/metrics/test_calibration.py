import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.metrics import (
    Resamples,
    auroc,
    auroc_replicates,
    brier,
    brier_replicates,
    ece,
    ece_replicates,
    reliability_bins,
)

Case = tuple[np.ndarray, np.ndarray]
GRID = st.integers(0, 10).map(lambda i: i / 10)


@st.composite
def estimated(draw: st.DrawFn, fractional: bool = True) -> Case:
    """Estimates, some on the edges of bins and some equal, and outcomes both good and bad."""
    size = draw(st.integers(2, 40))
    unit = st.floats(0, 1, allow_subnormal=False)
    estimate = draw(hnp.arrays(np.float64, size, elements=st.one_of(GRID, unit)))
    outcomes = GRID if fractional else st.integers(0, 1).map(float)
    outcome = draw(hnp.arrays(np.float64, size, elements=outcomes))
    outcome[:2] = 0.0, 1.0
    return estimate, outcome


class TestAgainstScikitLearn:
    @given(estimated(fractional=False))
    def test_auroc_and_brier(self, case: Case) -> None:
        metrics = pytest.importorskip("sklearn.metrics")
        estimate, outcome = case
        assert auroc(estimate, outcome) == pytest.approx(metrics.roc_auc_score(outcome, estimate))
        assert brier(estimate, outcome) == pytest.approx(
            metrics.brier_score_loss(outcome, estimate)
        )

    @given(estimated(fractional=False))
    def test_reliability(self, case: Case) -> None:
        calibration = pytest.importorskip("sklearn.calibration")
        estimate, outcome = case
        observed, expected = calibration.calibration_curve(outcome, estimate, n_bins=10)
        found = reliability_bins(estimate, outcome)
        assert found.observed == pytest.approx(observed)
        assert found.expected == pytest.approx(expected)

    @given(estimated())
    def test_a_fractional_outcome_is_both_in_part(self, case: Case) -> None:
        metrics = pytest.importorskip("sklearn.metrics")
        estimate, outcome = case
        size = len(outcome)
        expected = metrics.roc_auc_score(
            np.repeat([1, 0], size),
            np.tile(estimate, 2),
            sample_weight=np.concatenate([outcome, 1 - outcome]),
        )
        assert auroc(estimate, outcome) == pytest.approx(expected)


class TestFigures:
    @given(estimated())
    def test_they_stay_in_their_bounds(self, case: Case) -> None:
        assert 0 <= ece(*case) <= 1
        assert 0 <= brier(*case) <= 1
        assert 0 <= auroc(*case) <= 1

    @given(estimated())
    def test_auroc_is_the_part_of_pairs_in_the_right_order(self, case: Case) -> None:
        estimate, outcome = case
        beaten = (estimate[:, None] > estimate) + 0.5 * (estimate[:, None] == estimate)
        pairs = outcome[:, None] * (1 - outcome)
        assert auroc(*case) == pytest.approx((beaten * pairs).sum() / pairs.sum())

    @given(estimated())
    def test_auroc_goes_by_order_alone(self, case: Case) -> None:
        estimate, outcome = np.round(case[0], 3), case[1]
        found = auroc(estimate, outcome)
        assert auroc(np.exp(3 * estimate) - 9, outcome) == pytest.approx(found)
        assert auroc(-estimate, outcome) == pytest.approx(1 - found)
        assert auroc(estimate, 1 - outcome) == pytest.approx(1 - found)
        assert auroc(np.zeros(len(estimate)), outcome) == pytest.approx(0.5)

    @given(estimated())
    def test_ece_is_the_mean_distance_in_bins(self, case: Case) -> None:
        bins = reliability_bins(*case)
        assert bins.prompts.sum() == len(case[0])
        by_bins = (np.abs(bins.observed - bins.expected) * bins.prompts).sum() / len(case[0])
        assert ece(*case) == pytest.approx(by_bins)
        assert ece(*case, bins=1) == pytest.approx(abs(case[0].mean() - case[1].mean()))

    @given(estimated(), st.randoms(use_true_random=False))
    def test_the_order_of_prompts_does_not_count(self, case: Case, random: object) -> None:
        order = list(range(len(case[0])))
        random.shuffle(order)  # type: ignore[attr-defined]
        for figure in (ece, brier, auroc):
            shuffled = figure(*[each[order] for each in case])
            assert shuffled == pytest.approx(figure(*case))

    def test_bins_are_closed_on_the_right(self) -> None:
        bins = reliability_bins(np.array([0.0, 0.5, 0.51, 1.0]), np.array([0.0, 1, 1, 1]), bins=2)
        assert bins.prompts.tolist() == [2, 2]
        assert bins.expected == pytest.approx([0.25, 0.755], abs=1e-12)
        assert bins.observed == pytest.approx([0.5, 1.0], abs=1e-12)

    def test_empty_bins_are_left_out(self) -> None:
        bins = reliability_bins(np.array([0.05, 0.95]), np.array([0.0, 1.0]))
        assert bins.prompts.tolist() == [1, 1]

    def test_estimates_that_are_true_are_calibrated(self) -> None:
        generator = np.random.default_rng(0)
        estimate = generator.random(50_000)
        outcome = (generator.random(50_000) < estimate).astype(float)
        assert ece(estimate, outcome) < 0.01
        assert brier(estimate, outcome) == pytest.approx(1 / 6, abs=0.005)
        assert auroc(estimate, outcome) == pytest.approx(5 / 6, abs=0.01)

    def test_answers_of_one_kind_have_no_auroc(self) -> None:
        assert np.isnan(auroc(np.array([0.1, 0.9]), np.ones(2)))
        assert np.isnan(auroc(np.array([0.1, 0.9]), np.zeros(2)))

    def test_bad_input_says_how_to_mend_it(self) -> None:
        half, good = np.full(3, 0.5), np.ones(3)
        for figure in (ece, brier, reliability_bins):
            with pytest.raises(ConfigurationError, match=r"estimates must lie in 0\.\.1"):
                figure(half + 1, good)
        for figure in (ece, brier, auroc):
            with pytest.raises(ConfigurationError, match="same length"):
                figure(half, np.ones(2))
            with pytest.raises(ConfigurationError, match=r"outcomes must lie in 0\.\.1"):
                figure(half, good * np.nan)
            with pytest.raises(ConfigurationError, match="NaN"):
                figure(half * np.nan, good)
        with pytest.raises(ConfigurationError, match="at least 1 bin"):
            ece(half, good, bins=0)
        with pytest.raises(ConfigurationError, match="resamples are of 2 prompts"):
            auroc_replicates(half, good, Resamples(["a", "b"], 3))


@given(estimated(), st.integers(0, 5))
def test_replicates_are_the_figures_of_the_prompts_drawn(case: Case, seed: int) -> None:
    resamples = Resamples([f"p{i}" for i in range(len(case[0]))], 12, seed)
    for figure, replicates in (
        (ece, ece_replicates),
        (brier, brier_replicates),
        (auroc, auroc_replicates),
    ):
        found = replicates(*case, resamples)
        assert found.shape == (13,)
        for value, weights in zip(found, resamples.weights, strict=True):
            drawn = [np.repeat(each, weights) for each in case]
            expected = figure(*drawn) if len(drawn[0]) else np.nan
            assert value == pytest.approx(expected, nan_ok=True)
