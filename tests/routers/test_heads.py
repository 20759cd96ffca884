"""What each router learns, on sets where the right answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.numerics import sigmoid
from llmroute.routers.base import quiet
from llmroute.routers.clusters import Clusters, k_means
from llmroute.routers.dataset import Dataset, dataset_of
from llmroute.routers.linear import Basis, Linear, logistic
from llmroute.routers.mf import Factorised, pair_loss, win_rates
from llmroute.routers.preferences import Preferences, preferences_of
from llmroute.routers.sw import SimilarityWeighted, bradley_terry
from tests.routers.material import outcomes

pytestmark = pytest.mark.usefixtures("blas_threads")


def random_lessons(target: np.ndarray, given: Preferences | None = None) -> Dataset:
    held = np.arange(len(target)) % 10 == 0
    names = tuple(f"m{i}" for i in range(target.shape[1]))
    prompts = tuple(map(str, range(len(target))))
    return Dataset(prompts, names, target, None, None, held, given)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# Similarity-weighted ranking


def plain_bradley_terry(wins: np.ndarray, ridge: float) -> np.ndarray:
    """Gradient ascent, comparison by comparison: slow, and nothing like the code under test."""
    strength = np.zeros(len(wins))
    for _ in range(20_000):
        slope = -ridge * strength
        for a in range(len(wins)):
            for b in range(len(wins)):
                p = 1 / (1 + np.exp(strength[b] - strength[a]))
                slope[a] += wins[a, b] * (1 - p)
                slope[b] -= wins[a, b] * (1 - p)
        strength = strength + 0.02 * slope
        if np.abs(slope).max() < 1e-10:
            break
    return strength


def test_strengths_explain_the_wins() -> None:
    wins = np.array([[0, 3.0, 5], [2, 0, 2.5], [0, 1.5, 0]])
    np.testing.assert_allclose(
        bradley_terry(wins[None], 0.1)[0], plain_bradley_terry(wins, 0.1), atol=1e-6
    )


def test_of_two_models_the_win_share_is_recovered() -> None:
    wins = np.array([[0.0, 30.0], [10.0, 0.0]])
    found = bradley_terry(wins[None], 1e-9)[0]
    assert sigmoid(found[0] - found[1]) == pytest.approx(0.75)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_with_equal_similarities_it_is_plain_bradley_terry(seed: int) -> None:
    random = np.random.default_rng(seed)
    count, models = 12, 3
    pairs = np.stack([np.arange(count), random.integers(0, 2, count), np.full(count, 2)], axis=1)
    won = random.choice([0.0, 0.5, 1.0], count)
    vectors = np.tile(unit(np.ones((1, 4))), (count, 1))
    wins = np.zeros((models, models))
    for (_, a, b), w in zip(pairs, won, strict=True):
        wins[a, b] += w
        wins[b, a] += 1 - w
    ranking = SimilarityWeighted(vectors, pairs, won, models, base=1000.0)
    found = ranking.strengths(vectors[:1])[0]
    np.testing.assert_allclose(found, bradley_terry(wins[None])[0], atol=1e-7)


def test_like_prompts_count_for_more() -> None:
    vectors = unit(np.array([[1.0, 0], [0, 1.0]]))
    pairs = np.array([[0, 0, 1], [1, 0, 1]])
    ranking = SimilarityWeighted(vectors, pairs, np.array([1.0, 0.0]), 2, base=1000.0)
    found = ranking.quality(vectors)
    assert found[0, 0] > 0.8
    assert found[1, 0] < 0.2
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_ranking_needs_a_comparison() -> None:
    with pytest.raises(ConfigurationError, match="a comparison"):
        SimilarityWeighted(np.zeros((1, 2)), np.zeros((0, 3)), np.zeros(0), 2)


# Matrix factorisation


def planted(random: np.random.Generator, prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, and strengths of six models that differ in two directions of them."""
    vectors = unit(random.normal(size=(prompts, 12)))
    directions, models = random.normal(size=(12, 2)), random.normal(size=(2, 6))
    return vectors, 2.0 * vectors @ directions @ models


def test_a_planted_low_rank_structure_is_found_in_outcomes() -> None:
    random = np.random.default_rng(0)
    vectors, strength = planted(random, 3000)
    score = (random.random(strength.shape) < sigmoid(strength)).astype(float)
    train = slice(0, 2500)
    head = Factorised.fit(vectors[train], random_lessons(score[train]), 0, quiet)
    found, truth = head.strengths(vectors[2500:]), strength[2500:]
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.93


def test_a_planted_low_rank_structure_is_found_in_comparisons() -> None:
    random = np.random.default_rng(1)
    vectors, strength = planted(random, 3000)
    a = random.integers(0, 6, 3000)
    b = (a + random.integers(1, 6, 3000)) % 6
    rows = np.arange(3000)
    chance = sigmoid(strength[rows, a] - strength[rows, b])
    won = (random.random(3000) < chance).astype(float)
    names = tuple(f"m{i}" for i in range(6))
    pairs = Preferences(tuple(map(str, rows)), names, rows, a, b, won)
    head = Factorised.fit(vectors, random_lessons(pairs.win_shares(), pairs), 0, quiet)
    found = head.strengths(vectors)
    found -= found.mean(axis=1, keepdims=True)
    truth = strength - strength.mean(axis=1, keepdims=True)
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.85
    assert pair_loss(head.strengths(vectors), pairs) < np.log(2) - 0.05


def test_win_rates_are_means_over_the_others() -> None:
    strengths = np.array([[0.0, 1.0, -0.5]])
    p = sigmoid(strengths[0][:, None] - strengths[0])
    expected = [(p[m].sum() - 0.5) / 2 for m in range(3)]
    np.testing.assert_allclose(win_rates(strengths)[0], expected)
    assert win_rates(strengths).mean() == pytest.approx(0.5)
    assert win_rates(np.zeros((1, 1))).tolist() == [[0.5]]


# Clusters


def test_one_group_is_each_models_mean() -> None:
    lessons = dataset_of([outcomes()])
    vectors = unit(np.random.default_rng(0).normal(size=(len(lessons), 5)))
    everyone = np.ones(len(lessons), dtype=bool)
    head = Clusters.of(k_means(vectors, 1), vectors, lessons, everyone)
    np.testing.assert_allclose(head.quality(vectors[:3]), np.tile(lessons.prior, (3, 1)))
    assert lessons.cost is not None
    cost = head.cost(vectors[:1])
    assert cost is not None
    np.testing.assert_allclose(cost[0], lessons.cost.mean(axis=0))


def test_groups_that_stand_apart_are_found() -> None:
    random = np.random.default_rng(3)
    corners = np.eye(4)[random.integers(0, 4, 200)]
    points = unit(corners + 0.05 * random.normal(size=(200, 4)))
    centres = k_means(points, 4, seed=5)
    nearest = np.argmax(points @ centres.T, axis=1)
    pairs = set(zip(np.argmax(corners, axis=1).tolist(), nearest.tolist(), strict=True))
    assert len(pairs) == 4


def test_no_more_groups_than_points() -> None:
    assert len(k_means(np.ones((5, 2), dtype=np.float32), 3)) == 1


# Linear


def test_logistic_regressions_meet_their_first_order_conditions() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=(80, 3)), random.random((80, 4))
    y[:, 3] = y[:, 3] > 0.95  # nearly never right
    y[random.random(y.shape) < 0.2] = np.nan
    slopes, offsets = logistic(Basis.of(x), y, 2.0)
    residual = np.nan_to_num(y - sigmoid(x @ slopes + offsets))
    np.testing.assert_allclose(x.T @ residual, 2.0 * slopes, atol=1e-4)
    np.testing.assert_allclose(residual.sum(axis=0), 0.0, atol=1e-4)


def test_a_model_that_is_always_right_has_finite_numbers() -> None:
    lessons = random_lessons(np.ones((60, 2)))
    vectors = unit(np.random.default_rng(4).normal(size=(60, 3)))
    quality = Linear.fit(vectors, lessons, 0, quiet).quality(vectors)
    assert np.isfinite(quality).all()
    assert (quality > 0.98).all()


# Comparisons out of outcomes


def test_every_pair_on_every_prompt_is_a_comparison() -> None:
    table = outcomes(4)
    table = replace(table, score=np.array([[1, 1, 0], [0, 1, np.nan], [1, 0, 0], [0, 0, 0.0]]))
    pairs = preferences_of(table)
    assert len(pairs) == 3 * 4 - 2
    shares = pairs.win_shares()
    np.testing.assert_allclose(shares[0], [0.75, 0.75, 0.0])
    assert np.isnan(shares[1, 2])
