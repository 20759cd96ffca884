"""What rounding must not decide: batches, the order of rows, threads, and the seventh digit.

The products here are rounded as this machine rounds them; another one's last bits are stood in for
by other batches, other orders, and vectors that are moved by 1e-7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from llmroute.routers.base import Head, of_least_loss, quiet
from llmroute.routers.clusters import Clusters, k_means
from llmroute.routers.dataset import Dataset, dataset_of
from llmroute.routers.folder_loader import head_class
from llmroute.routers.hnsw import ApproximateNearest
from llmroute.routers.knn import Nearest
from llmroute.routers.linear import Linear
from llmroute.routers.mlp import NeuralNetwork
from llmroute.routers.nearest import (
    FADE,
    TIE,
    counts_for,
    first_nearest,
    weights_of_nearest,
)
from llmroute.routers.preferences import preferences_of
from llmroute.routers.svm import SupportVectors
from llmroute.routers.sw import SimilarityWeighted
from llmroute.routers.word_features import WordFeatures
from tests.routers.material import outcomes, prompts

pytest.importorskip("sklearn")
pytestmark = pytest.mark.usefixtures("blas_threads")

HEADS = ("knn", "linear", "mlp", "svm", "mf", "sw", "clusters", "categories", "ensemble")
WIDTH, KINDS, COPIES = 24, 60, 10
#: Between two kinds of prompts' copies, so that ties lie at the last neighbour.
K = 37


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def moved(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Each number of the vectors, moved by at most 1e-7."""
    by = np.random.default_rng(seed).uniform(-1e-7, 1e-7, vectors.shape)
    return (vectors + by).astype(np.float32)


def copies() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sixty prompts ten times each and what was recorded of them, and prompts that are asked."""
    random = np.random.default_rng(4)
    # Half precision, in which routers keep vectors, so that storing them changes nothing.
    kinds = unit(random.normal(size=(KINDS, WIDTH))).astype(np.float16).astype(np.float32)
    target = (random.random((KINDS * COPIES, 3)) < 0.5).astype(float)
    target[random.random(target.shape) < 0.2] = np.nan
    asked = np.concatenate([kinds, unit(random.normal(size=(70, WIDTH)))])
    return np.tile(kinds, (COPIES, 1)), target, asked


def graded() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts each a little less like the first, by 2e-7 of a cosine; the first is asked."""
    random = np.random.default_rng(5)
    cosine = 0.5 - 2e-7 * np.arange(40)
    near = np.zeros((40, WIDTH))
    near[:, 0] = cosine
    away = unit(random.normal(size=(40, WIDTH - 1)))
    near[:, 1:] = away * np.sqrt(1 - cosine**2)[:, None]
    vectors = np.concatenate([near, -near]).astype(np.float32)
    asked = np.zeros((40, WIDTH), dtype=np.float32)
    asked[:, 0] = 1.0
    return vectors, (random.random((80, 3)) < 0.5).astype(float), asked


def knn(vectors: np.ndarray, target: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    return Nearest(vectors, target, k).quality


def router(vectors: np.ndarray, target: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    return Nearest(vectors, target, k).quality


def graph(vectors: np.ndarray, target: np.ndarray, k: int) -> Callable[[np.ndarray], np.ndarray]:
    from llmroute.routers.hnsw import _built

    pytest.importorskip("faiss")
    return ApproximateNearest(_built(vectors, quiet), target, k).quality


SEARCHES = (knn, router, graph)


def check_same(search: Callable, found: np.ndarray, other: np.ndarray) -> None:
    """The same numbers; a graph that is built otherwise may miss a neighbour of a few prompts."""
    same = np.abs(found - other).max(axis=1) <= 1e-8
    assert same.mean() >= (0.95 if search is graph else 1.0)


def in_parts(of: Callable[[np.ndarray], np.ndarray], asked: np.ndarray, size: int) -> np.ndarray:
    parts = [of(asked[start : start + size]) for start in range(0, len(asked), size)]
    return np.concatenate(parts)


# Nearest neighbours


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_neighbours_are_the_same_however_a_batch_is_split(search: Callable, size: int) -> None:
    vectors, target, asked = copies()
    of = search(vectors, target, K)
    np.testing.assert_allclose(in_parts(of, asked, size), of(asked), rtol=0, atol=1e-8)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("seed", range(3))
def test_neighbours_are_the_same_in_whatever_order_rows_stand(search: Callable, seed: int) -> None:
    vectors, target, asked = copies()
    order = np.random.default_rng(seed).permutation(len(vectors))
    found, turned = search(vectors, target, K), search(vectors[order], target[order], K)
    check_same(search, found(asked), turned(asked))


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("seed", range(3))
def test_copies_that_the_seventh_digit_tells_apart_count_alike(search: Callable, seed: int) -> None:
    vectors, target, asked = copies()
    found, other = search(vectors, target, K), search(moved(vectors, seed), target, K)
    check_same(search, found(asked), other(moved(asked, 9)))


@pytest.mark.parametrize("k", [1, 5, 10, 20])
@pytest.mark.parametrize("seed", range(3))
def test_no_sharp_bound_runs_among_prompts_that_are_nearly_as_near(k: int, seed: int) -> None:
    vectors, target, asked = graded()
    found = knn(vectors, target, k)
    for other in (
        in_parts(found, asked, 1),
        knn(moved(vectors, seed), target, k)(asked),
        found(moved(asked, seed)),
    ):
        np.testing.assert_allclose(other, found(asked), rtol=0, atol=1e-8)


def test_whatever_vectors_are_like_estimates_never_jump() -> None:
    """Here some prompt nearly always lies where its weight fades: it moves a little, never much."""
    random = np.random.default_rng(6)
    vectors = unit(1.0 + 0.02 * random.normal(size=(2000, WIDTH)))
    asked = unit(1.0 + 0.02 * random.normal(size=(200, WIDTH)))
    target = (random.random((2000, 3)) < 0.5).astype(float)
    found = knn(vectors, target, 40)
    np.testing.assert_allclose(in_parts(found, asked, 1), found(asked), rtol=0, atol=1e-8)
    order = random.permutation(2000)
    turned = knn(vectors[order], target[order], 40)
    np.testing.assert_allclose(turned(asked), found(asked), rtol=0, atol=1e-8)
    other = knn(moved(vectors, 1), target, 40)(moved(asked, 2))
    np.testing.assert_allclose(other, found(asked), rtol=0, atol=2e-3)


@pytest.mark.parametrize("k", [KINDS * COPIES, KINDS * COPIES + 1, 10_000])
def test_more_neighbours_than_prompts_are_all_of_them(k: int) -> None:
    vectors, target, asked = copies()
    expected = np.tile(np.nanmean(target, axis=0), (len(asked), 1))
    np.testing.assert_allclose(knn(vectors, target, k)(asked), expected, rtol=0, atol=1e-8)


def test_where_nothing_is_known_the_overall_mean_steps_in_little_by_little() -> None:
    """Of the second prompt alone the score is known, and it comes near the first."""
    apart = np.array([0.0, TIE, (TIE + FADE) / 2, FADE, 2 * FADE])
    target = np.array([[np.nan], [1.0], [0.0]])
    found = []
    for one in apart:
        angles = np.arccos([1.0, 1.0 - one, 0.0])
        vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
        found.append(knn(vectors, target, 1)(vectors[:1]).item())
    assert found == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.5], abs=0.01)


def test_weights_fade_from_the_tie_on() -> None:
    below = np.array([-0.5, 0.0, TIE, (TIE + FADE) / 2, FADE, 1.0])
    assert counts_for(0.9 - below, np.array(0.9)) == pytest.approx([1, 1, 1, 0.5, 0, 0])
    assert weights_of_nearest(np.array([[0.1, 0.9, 0.9 - TIE / 2, 0.2]]), 1).tolist() == [
        [0, 1, 1, 0]
    ]


@pytest.mark.parametrize("learn", [Nearest, NeuralNetwork.trained, SupportVectors.trained])
def test_a_prompt_has_the_same_estimate_in_every_batch(learn: Callable[..., Head]) -> None:
    train = outcomes()
    features = WordFeatures().fit(train.prompts)
    fitted = learn(features.transform(train.prompts), train.score)
    asked = [*prompts(40, 5000), *prompts(9)]  # some of them it was fitted on

    def quality(texts: Sequence[str]) -> np.ndarray:
        return fitted.quality(features.transform(texts))

    for size in (1, 7):
        parts = in_parts(quality, asked, size)
        np.testing.assert_allclose(parts, quality(asked), rtol=0, atol=1e-6)


# Every router on vectors


@pytest.fixture(scope="module")
def taught() -> tuple[Dataset, np.ndarray, np.ndarray]:
    lessons = dataset_of([outcomes(160)])
    random = np.random.default_rng(8)
    side = np.where(np.arange(160) % 2 == 0, 1.0, -1.0)
    rows = np.column_stack([side, random.normal(0, 0.5, (160, 7))])
    rows[80:] = rows[:80]  # every prompt is there twice
    vectors = unit(rows).astype(np.float16).astype(np.float32)
    return lessons, vectors, np.concatenate([vectors[:30], unit(random.normal(size=(30, 8)))])


@pytest.fixture(scope="module")
def heads(taught: tuple[Dataset, np.ndarray, np.ndarray]) -> dict[str, Head]:
    lessons, vectors, _ = taught
    return {name: head_class(name).fit(vectors, lessons, 0, quiet) for name in HEADS}


@pytest.mark.parametrize("name", HEADS)
def test_no_router_minds_the_batch_or_the_seventh_digit(
    heads: dict[str, Head], taught: tuple[Dataset, np.ndarray, np.ndarray], name: str
) -> None:
    head, asked = heads[name], taught[2]
    for table in (head.quality, head.cost):
        whole = table(asked)
        if whole is None:
            continue
        for other in (*(in_parts(table, asked, size) for size in (1, 7)), table(moved(asked, 3))):
            np.testing.assert_allclose(other, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_trained_on_one_thread_or_two_a_router_is_the_same(
    heads: dict[str, Head], taught: tuple[Dataset, np.ndarray, np.ndarray], name: str
) -> None:
    lessons, vectors, asked = taught
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            again = head_class(name).fit(vectors, lessons, 0, quiet)
            np.testing.assert_allclose(
                again.quality(asked), heads[name].quality(asked), rtol=0, atol=1e-4
            )


def routers_without_a_seed(vectors: np.ndarray, lessons: Dataset) -> Sequence[Head]:
    pairs = preferences_of(outcomes(160))
    return (
        Nearest(vectors, lessons.target, 40),
        Linear.fit(vectors, lessons, 0, quiet),
        SimilarityWeighted.of(vectors, pairs, 1000.0, 0.6),
    )


def test_trained_on_vectors_that_differ_in_the_seventh_digit_routers_agree(
    taught: tuple[Dataset, np.ndarray, np.ndarray],
) -> None:
    lessons, vectors, asked = taught
    straight = routers_without_a_seed(vectors, lessons)
    for one, other in zip(
        straight, routers_without_a_seed(moved(vectors, 5), lessons), strict=True
    ):
        np.testing.assert_allclose(other.quality(asked), one.quality(asked), rtol=0, atol=1e-5)


# Groups


def test_a_prompt_half_way_between_groups_is_in_both() -> None:
    centres = np.eye(4, dtype=np.float32)
    score = np.array([[0.0], [1.0], [0.2], [0.4]])
    asked = unit(np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [3, 2, 1, 0]]))
    for shift in (asked, moved(asked, 1), moved(asked, 2), moved(asked, 3)):
        found = Clusters(centres, score, None, 1).quality(shift)
        assert found[:, 0] == pytest.approx([0.5, 0.5, 0.3, 0.0], abs=1e-6)
    three = Clusters(centres, score, None, 2).quality(asked[3:])
    assert three.item() == pytest.approx(0.5)


def test_points_that_lie_between_groups_are_grouped_alike_whatever_the_rounding() -> None:
    closeness = np.full((5, 3), 0.5)
    assert first_nearest(closeness).tolist() == [0] * 5
    for seed in range(5):
        noise = np.random.default_rng(seed).uniform(-1e-7, 1e-7, closeness.shape)
        assert first_nearest(closeness + noise).tolist() == [0] * 5


def test_copies_of_a_point_are_one_group_whatever_the_rounding() -> None:
    points = moved(np.tile(unit(np.ones((1, 300))), (5000, 1)), 1)
    assert len(k_means(points, 8)) == 1


# Similarity-weighted ranking


def test_a_prompt_like_no_other_is_not_weighted_by_rounding() -> None:
    random = np.random.default_rng(2)
    vectors = np.zeros((40, 8), dtype=np.float32)
    vectors[:, :6] = unit(random.normal(size=(40, 6)))
    pairs = np.stack([np.arange(40), np.zeros(40), np.ones(40)], axis=1)
    ranking = SimilarityWeighted(vectors, pairs, random.integers(0, 2, 40), 2, base=10_000.0)
    unlike = np.zeros((20, 8), dtype=np.float32)
    unlike[:, 7] = 1.0
    found = ranking.quality(moved(unlike, 1))
    np.testing.assert_allclose(found, ranking.quality(unlike), rtol=0, atol=1e-4)


# What is chosen on the validation part


@pytest.mark.parametrize("rounding", [-1e-15, 0.0, 1e-15])
def test_of_equal_losses_the_first_setting_is_taken(rounding: float) -> None:
    def least(losses: dict[int, float]) -> int:
        return of_least_loss(losses, losses.__getitem__)

    assert least({40: 0.5, 80: 0.5 + rounding, 160: 0.6}) == 40
    assert least({40: 0.6, 80: 0.5, 160: 0.5 + rounding}) == 80
    assert least({1: float("nan"), 2: float("nan")}) == 1
