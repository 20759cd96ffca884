"""Label modes of Hybrid LLM, against brute force."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, Samples
from llmroute.routers.labels import (
    MODES,
    _one_by_one,
    best_shift,
    generations,
    good_enough,
    labelled,
    mean_spread,
    shifts,
)

GRID = (0.0, 0.25, 0.5, 0.75, 1.0)


@st.composite
def scores(draw: st.DrawFn, models: int | None = None) -> np.ndarray:
    shape = (
        draw(st.integers(2, 6)),
        models or draw(st.integers(2, 4)),
        draw(st.integers(1, 3)),
    )
    cells = draw(st.lists(st.sampled_from(GRID), min_size=int(np.prod(shape)), max_size=200))
    return np.array(cells[: int(np.prod(shape))]).reshape(shape)


def table(score: np.ndarray, samples: Samples | None = None) -> Outcomes:
    prompts = tuple(f"p{i}" for i in range(len(score)))
    models = ("small", "large", "third", "fourth")[: score.shape[1]]
    return Outcomes(prompts, prompts, ("",) * len(prompts), models, score, samples=samples)


def brute_force(scores: np.ndarray, shift: float) -> np.ndarray:
    """Over every combination of one generation a model."""
    prompts, models, draws = scores.shape
    result = np.zeros((prompts, models))
    for p in range(prompts):
        combinations = list(product(range(draws), repeat=models))
        for chosen in combinations:
            q = [scores[p, m, s] for m, s in enumerate(chosen)]
            for m in range(models):
                others = [q[j] for j in range(models) if j != m]
                result[p, m] += all(o <= q[m] + shift + 1e-9 for o in others)
        result[p] /= len(combinations)
    return result


@given(scores(), st.sampled_from((0.0, 0.2, 0.5)))
def test_labels_are_the_share_of_generations_that_nobody_beats(q: np.ndarray, t: float) -> None:
    np.testing.assert_allclose(good_enough(q, t), brute_force(q, t), atol=1e-12)


def test_scores_of_many_values_are_no_other_matter() -> None:
    random = np.random.default_rng(5)
    one, few = random.random((80, 3, 1)), np.round(random.random((40, 3, 2)), 1)
    several = random.random((40, 3, 2))
    for t in (0.0, 0.3):
        np.testing.assert_allclose(good_enough(one, t), brute_force(one, t))
        np.testing.assert_allclose(_one_by_one(few, t), brute_force(few, t))
        # Rounded to 0.02, so a close call may go the other way.
        found = good_enough(several, t)
        np.testing.assert_allclose(found, brute_force(np.round(several * 50) / 50, t))


@given(scores(models=2))
def test_of_two_models_it_is_the_papers_label(q: np.ndarray) -> None:
    small, large = q[:, 0, :, None], q[:, 1, None, :]
    np.testing.assert_allclose(good_enough(q)[:, 0], (small >= large).mean(axis=(1, 2)))


@given(scores())
def test_a_larger_shift_never_lowers_a_label(q: np.ndarray) -> None:
    found = [good_enough(q, t) for t in (0.0, 0.3, 0.6, 1.0)]
    assert all((after >= before - 1e-12).all() for before, after in pairwise(found))
    assert (found[-1] == 1).all()


@given(scores(models=2))
def test_the_shift_has_the_greatest_mean_pairwise_difference(q: np.ndarray) -> None:
    def objective(t: float) -> float:
        weak = np.arange(2) != int(np.argmax(q.mean(axis=(0, 2))))
        y = good_enough(q, t)[:, weak][:, 0]
        return float(np.abs(y[:, None] - y).mean())

    best = max(objective(t) for t in np.linspace(0, 1, 401))
    assert objective(best_shift(q)) == pytest.approx(best)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_spread_is_the_mean_over_all_pairs(y: list[float]) -> None:
    column = np.array(y)
    expected = np.abs(column[:, None] - column).mean()
    assert mean_spread(column[:, None]) == pytest.approx(expected, abs=1e-12)


def test_with_one_generation_soft_labels_are_hard_ones() -> None:
    one = table(np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
    hard, soft = labelled(one, "hard"), labelled(one, "soft")
    assert hard.target.tolist() == soft.target.tolist() == [[0, 1], [1, 1], [1, 0]]


def test_several_generations_make_soft_labels() -> None:
    samples = Samples(
        models=("small", "someone else"),
        styles=("plain",),
        prompt=np.array([0, 0, 0, 0, 1]),
        model=np.array([0, 0, 0, 1, 0]),
        style=np.zeros(5, dtype=np.int64),
        result=np.full(5, None, dtype=object),
        score=np.array([1.0, 0.0, 0.0, 1.0, 1.0]),
    )
    one = table(np.array([[0.3, 1.0], [1.0, 1.0]]), samples)
    assert generations(one).shape == (2, 2, 3)
    assert labelled(one, "soft").target == pytest.approx(np.array([[1 / 3, 1], [1, 1]]))


def test_scores_are_taught_as_they_are() -> None:
    score = np.array([[0.2, np.nan]])
    np.testing.assert_array_equal(labelled(table(score)).target, score)


def test_who_was_not_asked_has_no_label_and_beats_nobody() -> None:
    q = np.array([[[0.5], [np.nan], [0.4]], [[0.5], [np.nan], [np.nan]]])
    np.testing.assert_array_equal(good_enough(q), [[1, np.nan, 0], [np.nan] * 3])


def test_shifts_begin_with_none() -> None:
    assert shifts(np.array([[[0.0], [1.0]]])).tolist() == [0.0, 1.0]


def test_another_mode_is_one_clear_message() -> None:
    with pytest.raises(ConfigurationError, match="labels are score, hard, soft, shifted"):
        labelled(table(np.zeros((1, 2))), "softer")  # type: ignore[arg-type]
    assert MODES == ("score", "hard", "soft", "shifted")


def test_ways_of_asking_can_be_models_of_their_own() -> None:
    samples = Samples(
        models=("small",),
        styles=("large", "plain"),
        prompt=np.zeros(3, dtype=np.int64),
        model=np.zeros(3, dtype=np.int64),
        style=np.array([0, 0, 1]),
        result=np.full(3, None, dtype=object),
        score=np.array([1.0, 0.0, 1.0]),
    )
    one = Outcomes(
        ("p",), ("p",), ("",), ("small|large", "big"), np.array([[0.5, 1.0]]), samples=samples
    )
    assert labelled(one, "soft").target.tolist() == [[0.5, 1.0]]
