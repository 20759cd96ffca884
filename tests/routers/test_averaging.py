"""Categories learned from the text, and several routers as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.pool import ModelPool
from llmroute.routers import load, train
from llmroute.routers.base import log_loss
from llmroute.routers.ensemble import best_weights
from llmroute.scoring.router_folder import read
from tests.routers.material import comparisons, outcomes, prompts

pytest.importorskip("sklearn")

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(20, 5000)


def test_where_categories_are_told_apart_estimates_are_their_means(tmp_path: Path) -> None:
    found = train("categories", [outcomes()], tmp_path / "r").estimate(FRESH, POOL).quality
    assert (found[0::2, 0] > 0.85).all()
    assert (found[1::2, 0] < 0.15).all()
    assert (np.abs(found[:, 2] - 0.5) < 0.15).all()


def test_one_category_is_one_clear_message(tmp_path: Path) -> None:
    table = outcomes()
    alike = replace(table, categories=("all",) * len(table))
    with pytest.raises(ConfigurationError, match="fewer than two categories"):
        train("categories", [alike], tmp_path / "r")
    with pytest.raises(ConfigurationError, match="fewer than two categories"):
        train("categories", [comparisons()], tmp_path / "r")


def test_an_ensemble_without_categories_does_without_that_part(tmp_path: Path) -> None:
    train("ensemble", [outcomes()], tmp_path / "with")
    train("ensemble", [comparisons()], tmp_path / "without")
    assert set(read(tmp_path / "with").card.head["parts"]) == {"linear", "knn", "categories"}
    assert set(read(tmp_path / "without").card.head["parts"]) == {"linear", "knn"}


def test_an_ensembles_estimates_are_the_weighted_mean_of_its_parts(tmp_path: Path) -> None:
    scorer = train("ensemble", [outcomes()], tmp_path / "r")
    card = read(tmp_path / "r").card
    parts = [
        train(name, [outcomes()], tmp_path / name).estimate(FRESH, POOL).quality
        for name in card.head["parts"]
    ]
    expected = np.tensordot(np.array(card.head["weights"]), np.stack(parts), axes=1)
    np.testing.assert_allclose(scorer.estimate(FRESH, POOL).quality, expected, atol=1e-12)
    np.testing.assert_array_equal(
        load(tmp_path / "r").estimate(FRESH, POOL).quality, scorer.estimate(FRESH, POOL).quality
    )
    assert sum(card.head["weights"]) == pytest.approx(1.0, abs=1e-3)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_no_other_weights_have_less_loss(seed: int) -> None:
    random = np.random.default_rng(seed)
    estimates = random.uniform(0.05, 0.95, (3, 40, 2))
    target = (random.random((40, 2)) < estimates[0]).astype(float)
    target[0, 0] = np.nan
    weights = best_weights(estimates, target)
    assert weights.sum() == pytest.approx(1.0)
    least = log_loss(np.tensordot(weights, estimates, axes=1), target)
    for other in random.dirichlet(np.ones(3), 20):
        assert least < log_loss(np.tensordot(other, estimates, axes=1), target) + 2e-3
