import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.metrics import Interval, Resamples, interval

IDS = st.lists(st.text(max_size=5), min_size=2, max_size=20, unique=True)


def test_counts_are_poisson_with_mean_one() -> None:
    drawn = Resamples([f"prompt-{i}" for i in range(2000)], 500).weights[1:]
    assert drawn.dtype == np.uint8
    assert drawn.mean() == pytest.approx(1.0, abs=0.005)
    assert drawn.var() == pytest.approx(1.0, abs=0.01)
    for count, share in enumerate([0.36788, 0.36788, 0.18394, 0.06131, 0.01533]):
        assert (drawn == count).mean() == pytest.approx(share, abs=0.002)


def test_prompts_and_replicates_are_drawn_independently() -> None:
    drawn = Resamples([f"prompt-{i}" for i in range(400)], 400).weights[1:].astype(float)
    apart = np.corrcoef(drawn) - np.eye(400)
    assert np.abs(apart).max() < 0.3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(400)).max() < 0.3
    assert abs(apart.mean()) < 0.002


def test_the_draws_are_the_same_everywhere_and_for_ever() -> None:
    # Published intervals hang on these.
    drawn = Resamples(["a", "prompt-1"], 12, seed=0).weights.T.tolist()
    assert drawn[0] == [1, 0, 2, 0, 0, 1, 0, 2, 1, 1, 1, 2, 0]
    assert drawn[1] == [1, 2, 1, 0, 2, 0, 2, 2, 2, 0, 0, 0, 0]
    assert Resamples(["a"], 12, seed=7).weights[:, 0].tolist() == [
        *[1, 0, 2, 0, 0, 0, 0, 0, 2, 1, 0, 2, 1]
    ]


@given(IDS, st.integers(0, 3), st.data())
def test_draws_of_a_prompt_hang_on_its_id_and_the_seed_alone(
    ids: list[str], seed: int, data: st.DataObject
) -> None:
    whole = Resamples(ids, 30, seed)
    order = data.draw(st.permutations(range(len(ids))))
    shuffled = Resamples([ids[i] for i in order], 30, seed)
    assert (shuffled.weights == whole.weights[:, order]).all()
    cut = data.draw(st.integers(1, len(ids) - 1))
    shards = Resamples(ids[:cut], 30, seed).weights, Resamples(ids[cut:], 30, seed).weights
    assert (np.hstack(shards) == whole.weights).all()
    assert (Resamples(ids, 7, seed).weights == whole.weights[:8]).all()


@given(IDS, st.data())
def test_sums_of_shards_add_up_to_those_of_the_whole(ids: list[str], data: st.DataObject) -> None:
    figures = np.random.default_rng(0).random((len(ids), 3))
    cut = data.draw(st.integers(1, len(ids) - 1))
    whole = Resamples(ids, 30).sums(figures)
    shards = Resamples(ids[:cut], 30).sums(figures[:cut]) + Resamples(ids[cut:], 30).sums(
        figures[cut:]
    )
    assert shards == pytest.approx(whole)
    order = data.draw(st.permutations(range(len(ids))))
    shuffled = Resamples([ids[i] for i in order], 30).sums(figures[order])
    assert shuffled == pytest.approx(whole)


def test_sums_and_means_by_hand() -> None:
    generator = np.random.default_rng(3)
    ids = [f"p{i}" for i in range(1500)]  # more than are summed at a time
    figures = generator.random((1500, 2))
    resamples = Resamples(ids, 4)
    for row in range(5):
        repeated = np.repeat(figures, resamples.weights[row], axis=0)
        assert resamples.sums(figures)[row] == pytest.approx(repeated.sum(axis=0))
        assert resamples.means(figures)[row] == pytest.approx(repeated.mean(axis=0))
        assert resamples.means(figures[:, 0])[row] == pytest.approx(repeated[:, 0].mean())
        assert resamples.totals[row] == len(repeated)
    assert resamples.means(figures)[0] == pytest.approx(figures.mean(axis=0))


def test_a_replicate_that_drew_nothing_has_no_mean() -> None:
    means = Resamples(["a"], 50).means(np.array([[0.5]]))
    assert set(means[~np.isnan(means)]) == {0.5}
    assert np.isnan(means[2:]).any()
    assert np.isnan(interval(means[:, 0], 1).low)  # a third of the replicates say nothing


def test_a_category_is_drawn_as_in_the_whole() -> None:
    ids = [f"p{i}" for i in range(40)]
    some = np.arange(40) % 3 == 0
    selected = Resamples(ids, 20).select(some)
    assert (selected.weights == Resamples([ids[i] for i in np.flatnonzero(some)], 20).weights).all()
    assert (selected.totals == selected.weights.sum(axis=1)).all()
    assert selected.prompts == some.sum()
    assert (Resamples(ids, 20).select(np.flatnonzero(some)).weights == selected.weights).all()


def test_rows_of_one_id_are_drawn_together() -> None:
    weights = Resamples(["a", "b", "a"], 50).weights
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] != weights[:, 1]).any()


def test_another_seed_draws_anew() -> None:
    ids = [f"p{i}" for i in range(20)]
    assert (Resamples(ids, 20, seed=0).weights[1:] != Resamples(ids, 20, seed=1).weights[1:]).any()


def test_an_interval_is_the_middle_of_the_replicates() -> None:
    found = interval(np.array([0.7, *np.linspace(0, 1, 1001)]), 12)
    assert (found.value, found.level, found.prompts) == (0.7, 0.95, 12)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert str(found) == "0.700 [0.025, 0.975]"
    narrower = interval(np.array([0.7, *np.linspace(0, 1, 1001)]), 12, level=0.8)
    assert (narrower.low, narrower.high) == pytest.approx((0.1, 0.9))


def test_few_replicates_without_meaning_are_left_out_and_many_leave_no_interval() -> None:
    some = interval(np.array([0.5, np.nan, *[0.2] * 99]), 3)
    assert (some.low, some.high) == (0.2, 0.2)
    many = interval(np.array([0.5, *[np.nan] * 5, *[0.2] * 95]), 3)
    assert np.isnan(many.low)
    for values in ([np.nan, 0.1, 0.2], [0.5, np.nan, np.nan], [0.5]):
        none = interval(np.array(values), 3)
        assert np.isnan(none.low)
        assert np.isnan(none.high)


def test_intervals_cover_a_known_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(11)
    resamples = Resamples([f"p{i}" for i in range(200)], 400)
    samples = generator.random((200, 400)) < 0.3
    means = resamples.means(samples.astype(float))
    found = [interval(column, 200) for column in means.T]
    covered = np.mean([each.low <= 0.3 <= each.high for each in found])
    assert 0.92 <= covered <= 0.97
    width = np.mean([each.high - each.low for each in found])
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 200), rel=0.03)


def test_it_agrees_with_drawing_with_replacement() -> None:
    generator = np.random.default_rng(5)
    score = generator.random(500)
    ours = Resamples([f"p{i}" for i in range(500)], 2000).means(score)[1:]
    theirs = generator.multinomial(500, np.full(500, 1 / 500), size=2000) @ score / 500
    assert ours.std() == pytest.approx(theirs.std(), rel=0.06)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.002)


def test_paired_differences_are_narrower_than_either_figure() -> None:
    generator = np.random.default_rng(6)
    ids = [f"p{i}" for i in range(300)]
    one = generator.random(300)
    other = one - 0.02 + 0.02 * generator.random(300)
    means = Resamples(ids, 500).means(np.column_stack([one, other]))
    difference = interval(means[:, 0] - means[:, 1], 300)
    alone = interval(means[:, 0], 300)
    assert difference.low > 0
    assert difference.high - difference.low < (alone.high - alone.low) / 10


@settings(max_examples=20)
@given(st.integers(1, 40))
def test_bad_input_says_how_to_mend_it(prompts: int) -> None:
    resamples = Resamples([str(i) for i in range(prompts)], 3)
    with pytest.raises(
        ConfigurationError, match=f"{prompts} prompts, the figures of {prompts + 1}"
    ):
        resamples.sums(np.ones(prompts + 1))
    with pytest.raises(ConfigurationError, match="at least one True"):
        resamples.select(np.zeros(prompts, dtype=bool))
    with pytest.raises(ConfigurationError, match="at least 1 prompt"):
        Resamples([], 3)
    with pytest.raises(ConfigurationError, match="0 or more replicates"):
        Resamples(["a"], -1)


def test_it_is_written_with_its_ends_in_any_form() -> None:
    figure = Interval(0.1234, -0.01, 0.25, 0.95, 100)
    assert str(figure) == "0.123 [-0.010, 0.250]"
    assert f"{figure:.1%}" == "12.3% [-1.0%, 25.0%]"
    assert f"{figure.scaled(100):+.1f}" == "+12.3 [-1.0, +25.0]"
    assert f"{figure:.1f}" == "0.1 [0.0, 0.2]"  # no minus zero
    assert figure.scaled(2).prompts == 100


def test_one_without_interval_is_written_alone() -> None:
    figure = Interval(0.5, np.nan, np.nan, 0.95, 1)
    assert not figure.is_known
    assert f"{figure:.2f}" == "0.50"
