"""kNN by graph: near enough to the exact search, and a folder without a pickle."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ArtifactError, MissingExtra
from llmroute.pool import ModelPool
from llmroute.routers import knn, load, train
from llmroute.routers.base import quiet
from llmroute.routers.dataset import Dataset
from llmroute.routers.hnsw import ApproximateNearest
from llmroute.scoring.router_folder import read, save
from tests.routers.material import outcomes, prompts

pytest.importorskip("sklearn")
pytest.importorskip("faiss")

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(20, 5000)


def lessons(count: int = 4000, width: int = 32) -> tuple[np.ndarray, Dataset]:
    """Vectors in loose groups, and scores that differ by group, a tenth of them unknown."""
    random = np.random.default_rng(5)
    group = random.integers(0, 40, count)
    rows = random.normal(size=(40, width))[group] + random.normal(size=(count, width))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    target = (random.random((count, 3)) < random.random((40, 3))[group]).astype(float)
    target[random.random(target.shape) < 0.1] = np.nan
    held = np.arange(count) % 10 == 0
    return vectors, Dataset(
        tuple(map(str, range(count))), ("a", "b", "c"), target, None, None, held
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("routers") / "r"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "EXACT_UP_TO", 100)
        train("knn", [outcomes()], out)
    return out


def test_it_finds_nearly_all_of_the_nearest() -> None:
    vectors, given = lessons()
    asked = vectors[:200]
    head = ApproximateNearest.fit(vectors, given, 0, quiet)
    nearest = np.argsort(-(asked @ vectors.T), axis=1)
    for k in (10, 40, 160):
        found = head.neighbours(asked, k)
        shared = [len(set(a) & set(b)) / k for a, b in zip(found, nearest[:, :k], strict=True)]
        assert np.mean(shared) > 0.97


def test_its_estimates_are_those_of_the_exact_search() -> None:
    vectors, given = lessons()
    exact = knn.Nearest.fit(vectors, given, 0, quiet)
    graph = ApproximateNearest.fit(vectors, given, 0, quiet)
    assert exact.settings()["k"] == graph.settings()["k"]
    gap = np.abs(exact.quality(vectors[:300]) - graph.quality(vectors[:300]))
    assert gap.mean() < 0.005


def test_few_prompts_are_searched_exactly(tmp_path: Path) -> None:
    assert knn.EXACT_UP_TO == 100_000
    assert "search" not in train("knn", [outcomes()], tmp_path / "r").card.head  # type: ignore[attr-defined]


def test_saved_and_loaded_it_gives_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    assert read(folder).card.head["search"] == "hnsw"
    found = load(folder).estimate(FRESH, POOL).quality
    assert found[0::2, 0].mean() > found[1::2, 0].mean() + 0.3
    np.testing.assert_array_equal(found, load(folder).estimate(FRESH, POOL).quality)
    assert load(folder).estimate([], POOL).quality.shape == (0, 3)


def test_trained_twice_the_folder_has_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knn, "EXACT_UP_TO", 100)
    train("knn", [outcomes()], tmp_path / "r")
    for name in ("arrays.npz", "vocabulary.json"):
        assert (tmp_path / "r" / name).read_bytes() == (folder / name).read_bytes()


def test_a_graph_that_does_not_fit_is_one_clear_message(folder: Path, tmp_path: Path) -> None:
    found = read(folder)
    save(tmp_path / "a", found.card, {**found.arrays, "index": np.zeros(9, np.uint8)}, found.files)
    with pytest.raises(ArtifactError, match="faiss cannot read the graph"):
        load(tmp_path / "a")
    save(tmp_path / "b", found.card, {**found.arrays, "target": np.zeros((3, 3))}, found.files)
    with pytest.raises(ArtifactError, match="their scores 3"):
        load(tmp_path / "b")


def test_without_faiss_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"llmroute\[ann\]"):
        load(folder)
