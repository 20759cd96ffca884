import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmroute.errors import ConfigurationError
from llmroute.evaluation import baselines
from llmroute.metrics import apgr
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import folds

QUARTERS = st.integers(0, 4).map(lambda i: i / 4)
CENTS = st.integers(1, 60).map(lambda i: i / 100)


def table(score: np.ndarray, cost: np.ndarray | None = None, **given: object) -> Outcomes:
    """Outcomes with these numbers, prompts that differ, and one category unless told otherwise."""
    prompts, models = np.shape(score)
    fields = {
        "prompts": tuple(f"question {i}" for i in range(prompts)),
        "prompt_ids": tuple(f"q{i}" for i in range(prompts)),
        "categories": ("all",) * prompts,
        "models": tuple("abcdef"[:models]),
    }
    priced = None if cost is None else np.array(cost, dtype=float)
    return Outcomes(**{**fields, **given}, score=np.array(score, dtype=float), cost=priced)


@st.composite
def tables(draw: st.DrawFn, priced: bool = True, models: int | None = None) -> Outcomes:
    shape = draw(st.integers(2, 25)), models or draw(st.integers(2, 5))
    score = draw(hnp.arrays(float, shape, elements=QUARTERS))
    cost = draw(hnp.arrays(float, shape, elements=CENTS)) if priced else None
    # Some prompts occur twice, as they do in real data; at least two differ.
    texts = draw(st.lists(st.integers(0, 20), min_size=shape[0] - 2, max_size=shape[0] - 2))
    prompts = ("first", "second", *(f"question {i}" for i in texts))
    categories = draw(st.lists(st.sampled_from("xyz"), min_size=shape[0], max_size=shape[0]))
    return table(score, cost, prompts=prompts, categories=tuple(categories))


def everything_but_the_oracle(outcomes: Outcomes) -> list:
    return [
        *baselines.singles(outcomes),
        baselines.random_choice(outcomes),
        baselines.cheapest(outcomes),
        baselines.zero_router(outcomes),
        baselines.category_prior(outcomes),
    ]


@given(tables())
def test_at_no_willingness_to_pay_does_anyone_beat_the_oracle(outcomes: Outcomes) -> None:
    oracle = baselines.oracle_sweep(outcomes)
    best = oracle.parameter * oracle.score.mean(axis=1) - oracle.cost.mean(axis=1)
    for run in everything_but_the_oracle(outcomes):
        values = np.outer(oracle.parameter, run.score.mean(axis=1)) - run.cost.mean(axis=1)
        assert (values.max(axis=1) <= best + 1e-9 * (1 + oracle.parameter)).all()


@given(tables())
def test_the_oracle_ends_at_the_cheapest_of_the_best(outcomes: Outcomes) -> None:
    oracle = baselines.oracle_sweep(outcomes)
    best = outcomes.score.max(axis=1)
    assert (oracle.score[-1] == best).all()
    rivals = np.where(outcomes.score == best[:, None], outcomes.cost, np.inf)
    assert (oracle.cost[-1] == rivals.min(axis=1)).all()
    assert (oracle.cost[0] == outcomes.cost.min(axis=1)).all()
    assert np.isfinite(oracle.parameter).all()
    assert (np.diff(oracle.parameter) > 0).all()


@given(tables())
def test_every_run_is_whole(outcomes: Outcomes) -> None:
    for run in [*everything_but_the_oracle(outcomes), baselines.oracle_sweep(outcomes)]:
        shape = len(run.parameter), len(outcomes)
        assert run.score.shape == run.cost.shape == run.strong.shape == shape
        assert run.setting is None


def test_the_simple_ones_by_hand() -> None:
    outcomes = table([[0, 1, 1], [1, 1, 0]], [[1, 2, 5], [1, 4, 5]])
    single = baselines.single(outcomes, 1)
    assert (single.name, single.score.tolist(), single.cost.tolist()) == ("b", [[1, 1]], [[2, 4]])
    assert single.strong.tolist() == [[1, 1]]
    assert [run.name for run in baselines.singles(outcomes)] == ["a", "b", "c"]
    random = baselines.random_choice(outcomes)
    assert random.score[0] == pytest.approx([2 / 3, 2 / 3])
    assert random.cost[0] == pytest.approx([8 / 3, 10 / 3])
    assert random.strong[0] == pytest.approx([1 / 3, 1 / 3])
    assert baselines.cheapest(outcomes).cost.tolist() == [[1, 1]]
    assert baselines.zero_router(outcomes).cost.tolist() == [[1, 1], [2, 4], [5, 5]]


def test_without_costs_spend_is_strong_calls_or_calls() -> None:
    two = table([[1, 0], [1, 0], [1, 1]])
    assert baselines.cheapest(two).cost.tolist() == [[0, 0, 0]]
    assert baselines.zero_router(two).cost.mean(axis=1).tolist() == [0, 1]
    three = table([[1, 0, 0], [1, 0, 1]])
    assert baselines.cheapest(three).score.tolist() == [[0, 0]]
    assert baselines.oracle_sweep(three).score.tolist() == [[1, 1]]
    assert len(baselines.category_prior(three)) == 1


@given(tables(), st.sampled_from([1.0, 10.0]))
def test_a_category_is_worth_its_shrunken_means(outcomes: Outcomes, strength: float) -> None:
    train = outcomes.select(np.arange(len(outcomes) - 1))
    if set(outcomes.categories) - set(train.categories):
        # Nothing is known of a category that was not seen but what is known of all.
        expected = train.score.mean(axis=0)
        quality = baselines.category_prior(outcomes, train, strength=strength).quality
        assert quality[-1] == pytest.approx(expected)
    quality = baselines.category_prior(train, train, strength=strength).quality
    for row, category in enumerate(train.categories):
        of_it = train.score[[c == category for c in train.categories]]
        overall = train.score.mean(axis=0)
        expected = (of_it.sum(axis=0) + strength * overall) / (len(of_it) + strength)
        assert quality[row] == pytest.approx(expected)


def test_cells_nobody_asked_for_do_not_count() -> None:
    train = table([[1, np.nan], [0, 1], [np.nan, 0]], [[1, np.nan], [3, 2], [np.nan, 4]])
    run = baselines.category_prior(table([[1, 1]], [[1, 3]]), train)
    assert run.quality.tolist() == [[0.5, 0.5]]
    # Both cost 2 and 3 on average, and are as good, so the cheaper is asked at every setting.
    assert set(run.cost.ravel().tolist()) == {1.0}


@given(tables(), st.data())
def test_cross_fitted_no_prompt_sees_its_own_answers(
    outcomes: Outcomes, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(outcomes) - 1))
    same_text = [prompt == outcomes.prompts[row] for prompt in outcomes.prompts]
    other = outcomes.score.copy()
    other[same_text] = 1 - other[same_text]
    before = baselines.category_prior(outcomes)
    after = baselines.category_prior(
        table(other, outcomes.cost, prompts=outcomes.prompts, categories=outcomes.categories)
    )
    assert (before.quality[row] == after.quality[row]).all()


@given(st.lists(st.text(max_size=3), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_folds_know_texts_and_not_their_order(prompts: list[str], random: object) -> None:
    fold = dict(zip(prompts, folds(tuple(prompts)), strict=True))
    shuffled = list(prompts)
    random.shuffle(shuffled)
    assert list(folds(tuple(shuffled))) == [fold[prompt] for prompt in shuffled]
    sizes = np.bincount(list(fold.values()), minlength=5)
    assert sizes.max() - sizes.min() <= 1


def test_a_lone_surrogate_is_a_text_too() -> None:
    assert folds(("\ud800", "a")).max() == 1


@given(tables(), st.data())
def test_a_sweep_goes_from_the_cheapest_to_the_best_estimate(
    outcomes: Outcomes, data: st.DataObject
) -> None:
    quality = data.draw(hnp.arrays(float, outcomes.score.shape, elements=QUARTERS))
    cost = outcomes.cost.mean(axis=0)
    run = baselines.estimates_run("mine", outcomes, quality, cost)
    assert len(run) == 65
    assert (run.parameter[0], run.quality is quality) == (0, True)
    # Estimated value at each setting is what argmax says it is.
    for row in (0, 20, 64):
        value = run.parameter[row] * quality - cost
        first_best = [outcomes.cost[p, v >= v.max() - 1e-12] for p, v in enumerate(value)]
        assert all(spent in best for spent, best in zip(run.cost[row], first_best, strict=True))


def test_of_equal_values_the_cheaper_model_wins() -> None:
    outcomes = table([[0.5, 0.5, 0.5]] * 3, [[3, 1, 2]] * 3)
    run = baselines.estimates_run("flat", outcomes, np.full((3, 3), 0.25), outcomes.cost)
    assert set(run.cost.ravel().tolist()) == {1.0}


@given(tables(priced=False, models=2), st.data())
def test_between_two_models_thresholds_trace_the_whole_curve(
    outcomes: Outcomes, data: st.DataObject
) -> None:
    levels = st.integers(-3, 3).map(float)
    preference = data.draw(hnp.arrays(float, len(outcomes), elements=levels))
    run = baselines.estimates_run("mine", outcomes, outcomes.score, preference=preference)
    share, quality = run.strong.mean(axis=1), run.score.mean(axis=1)
    assert (share[0], share[-1]) == (0, 1)
    assert (np.diff(share) > 0).all()
    assert (run.cost == run.strong).all()
    assert (run.preference == preference).all()
    weak, strong = quality[0], quality[-1]
    if strong > weak:
        recovered = (quality - weak) / (strong - weak)
        area = float(np.sum((recovered[1:] + recovered[:-1]) * np.diff(share)) / 2)
        by = int(outcomes.score[:, 1].mean() > outcomes.score[:, 0].mean())
        exact = apgr(preference, outcomes.score[:, 1 - by], outcomes.score[:, by])
        assert area == pytest.approx(float(exact))


def test_many_preferences_are_swept_by_their_quantiles() -> None:
    generator = np.random.default_rng(0)
    outcomes = table(generator.integers(0, 2, (5000, 2)))
    run = baselines.estimates_run(
        "mine", outcomes, outcomes.score, preference=generator.random(5000)
    )
    share = run.strong.mean(axis=1)
    assert len(run) == 102
    assert (share[0], share[-1]) == (0, 1)
    assert np.diff(share).max() < 0.012


@settings(max_examples=20)
@given(tables())
def test_runs_are_reproducible(outcomes: Outcomes) -> None:
    once, again = (baselines.category_prior(outcomes) for _ in range(2))
    assert (once.score == again.score).all()
    assert (once.cost == again.cost).all()


def test_faults_say_how_to_mend_them() -> None:
    priced = table([[1, 0], [0, 1]], [[1, 2], [1, 2]])
    with pytest.raises(ConfigurationError, match=r"no two different prompts.*train"):
        baselines.category_prior(table([[1, 0], [0, 1]], prompts=("same", "same")))
    with pytest.raises(ConfigurationError, match="train table with costs"):
        baselines.category_prior(priced, table([[1, 0]]))
    with pytest.raises(ConfigurationError, match="no answer of 'b'"):
        baselines.category_prior(priced, table([[1, np.nan]], [[1, np.nan]]))
    with pytest.raises(ConfigurationError, match="no outcomes of 'b'"):
        baselines.category_prior(priced, table([[1]], [[1]]))
    with pytest.raises(ConfigurationError, match="no answer of 'a', 'b'"):
        baselines.category_prior(priced, priced.select([]))
    with pytest.raises(ConfigurationError, match=r"cost is unknown in 4 places, of 'a', 'b'"):
        baselines.estimates_run("mine", priced, priced.score)
    with pytest.raises(ConfigurationError, match="quality needs the shape"):
        baselines.estimates_run("mine", priced, np.ones((1, 2)), priced.cost)
