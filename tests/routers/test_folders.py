"""Trained, saved, loaded: the same numbers, or a clear error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.pool import Model, ModelPool
from llmroute.routers import VECTOR_ROUTERS, load, train
from llmroute.routers.dataset import dataset_of
from llmroute.scoring.router_folder import read
from llmroute.scoring.scorer import Scorer
from tests.routers.material import comparisons, outcomes, prompts

pytest.importorskip("sklearn")

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(20, 5000)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every router on vectors, trained on the same outcomes."""
    root = tmp_path_factory.mktemp("routers")
    for name in VECTOR_ROUTERS:
        train(name, [outcomes()], root / name)
    return {name: root / name for name in VECTOR_ROUTERS}


@pytest.mark.parametrize("name", VECTOR_ROUTERS)
def test_it_learns_who_can_do_what(folders: dict[str, Path], name: str) -> None:
    scorer = load(folders[name])
    assert isinstance(scorer, Scorer)
    found = scorer.estimate(FRESH, POOL)
    apprentice, master = found.quality[:, 0], found.quality[:, 1]
    assert apprentice[0::2].mean() > apprentice[1::2].mean() + 0.3
    assert (master >= apprentice - 0.05).all()
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    assert found.scorer == f"{name} {scorer.version}"


@pytest.mark.parametrize("name", VECTOR_ROUTERS)
def test_loaded_again_it_gives_the_same_numbers_bit_for_bit(
    folders: dict[str, Path], name: str, tmp_path: Path
) -> None:
    fitted = train(name, [outcomes()], tmp_path / name)
    first, again = fitted.estimate(FRESH, POOL), load(folders[name]).estimate(FRESH, POOL)
    for field in ("quality", "cost", "tokens", "prior", "prompt_tokens"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert fitted.version == load(folders[name]).version
    files = sorted(p.name for p in folders[name].iterdir())
    assert files == sorted(p.name for p in (tmp_path / name).iterdir())
    for file in set(files) - {"card.json"}:
        assert (folders[name] / file).read_bytes() == (tmp_path / name / file).read_bytes()


@pytest.mark.parametrize("name", VECTOR_ROUTERS)
def test_a_prompt_alone_scores_as_it_does_among_others(folders: dict[str, Path], name: str) -> None:
    scorer = load(folders[name])
    many = scorer.estimate(FRESH, POOL).quality
    alone = np.concatenate([scorer.estimate([p], POOL).quality for p in FRESH])
    np.testing.assert_allclose(many, alone, atol=1e-5)
    assert scorer.estimate([], POOL).quality.shape == (0, 3)
    assert np.isfinite(scorer.estimate(["", "∮ 漢字"], POOL).quality).all()


@pytest.mark.parametrize("name", [name for name in VECTOR_ROUTERS if name != "categories"])
def test_comparisons_teach_it_too(name: str, tmp_path: Path) -> None:
    scorer = train(name, [comparisons()], tmp_path / name)
    pair = ModelPool([Model("apprentice", input_price=1, output_price=1), "master"])
    found = scorer.estimate(FRESH, pair)
    gain = found.quality[:, 1] - found.quality[:, 0]
    assert gain[1::2].mean() > gain[0::2].mean() + 0.2
    # Nothing is known of the length of answers, so a typical one is priced.
    assert found.cost[0, 0] == pytest.approx((len(FRESH[0]) / 4 + 250) / 1e6)


@pytest.mark.parametrize("labels", ["hard", "soft", "shifted"])
def test_labels_are_taught_and_stand_on_the_card(labels: str, tmp_path: Path) -> None:
    train("linear", [outcomes()], tmp_path / "r", labels=labels)  # type: ignore[arg-type]
    card = read(tmp_path / "r").card
    assert card.labels == labels
    # Good enough on sums alone, as long as the guesser does not count.
    assert card.prior[1] > 0.9 > 0.6 > card.prior[0]


@pytest.mark.parametrize("features", ["words", "static", "minilm", "both"])
def test_features_by_name(features: str, tmp_path: Path) -> None:
    scorer = train("linear", [outcomes()], tmp_path / "r", features=features)
    found = scorer.estimate(FRESH, POOL).quality
    np.testing.assert_array_equal(load(tmp_path / "r").estimate(FRESH, POOL).quality, found)
    assert found[0::2, 0].mean() > found[1::2, 0].mean()


@pytest.mark.parametrize("name", ["linear", "clusters"])
def test_what_a_call_costs_is_learned_from_the_prompt(folders: dict[str, Path], name: str) -> None:
    scorer = load(folders[name])
    mean = np.array(scorer.card.cost, dtype=float)  # type: ignore[attr-defined]
    assert mean == pytest.approx([2e-4, 8e-3, 4e-4])
    # Proofs cost three times what sums do.
    found = scorer.estimate(FRESH, POOL).cost
    assert (found[0::2].mean(axis=0) < 0.8 * mean).all()
    assert (found[1::2].mean(axis=0) > 1.2 * mean).all()
    assert (found > 0).all()


def test_without_recorded_costs_the_pools_prices_count(tmp_path: Path) -> None:
    scorer = train("linear", [outcomes(cost=False)], tmp_path / "r")
    pool = ModelPool([Model("apprentice", input_price=1, output_price=1), "master"])
    found = scorer.estimate(FRESH, pool).cost
    assert found[0, 0] == pytest.approx((len(FRESH[0]) / 4 + 250) / 1e6)
    assert np.isnan(found[:, 1]).all()


def test_part_of_the_models_can_be_asked_about_in_any_order(folders: dict[str, Path]) -> None:
    scorer = load(folders["mf"])
    both = scorer.estimate(FRESH, ModelPool(["master", "apprentice"]))
    np.testing.assert_array_equal(both.quality, scorer.estimate(FRESH, POOL).quality[:, [1, 0]])


def test_a_model_it_never_saw_is_one_clear_message(folders: dict[str, Path]) -> None:
    with pytest.raises(ConfigurationError, match="no answer of 'stranger'; it knows 'apprentice'"):
        load(folders["knn"]).estimate(FRESH, ModelPool(["master", "stranger"]))


# Damage


def damaged(folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


@pytest.mark.parametrize("file", ["arrays.npz", "vocabulary.json"])
def test_a_changed_file_is_seen(folders: dict[str, Path], file: str, tmp_path: Path) -> None:
    copy = damaged(folders["linear"], tmp_path)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{file} is not the file its card describes"):
        load(copy)


@pytest.mark.parametrize("file", ["arrays.npz", "vocabulary.json", "card.json"])
def test_a_missing_file_is_seen(folders: dict[str, Path], file: str, tmp_path: Path) -> None:
    copy = damaged(folders["linear"], tmp_path)
    (copy / file).unlink()
    with pytest.raises(ArtifactError, match=file):
        load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99"),
        ({"router": "oracle"}, "holds a router 'oracle'"),
        ({"prior": []}, "3 models have 0 priors"),
        ({"head": {}}, "does not fit together"),
        ({"features": {"kind": "smell"}}, "features 'smell' are unknown"),
        ({"sha256": {"../x": "0"}}, "no hash of arrays.npz"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_changed_card_is_seen(
    folders: dict[str, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    copy = damaged(folders["linear"], tmp_path)
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(ArtifactError, match=message):
        load(copy)


def test_what_is_no_router_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="something else"):
        train("svm", [outcomes()], tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


# What cannot be learned from


def test_unknown_names_are_clear_messages(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="routers are knn, linear"):
        train("psychic", [outcomes()], tmp_path / "r")
    with pytest.raises(ConfigurationError, match="features are words, static, minilm, both"):
        train("knn", [outcomes()], tmp_path / "r", features="smell")
    with pytest.raises(ConfigurationError, match="knn takes no epochs"):
        train("knn", [outcomes()], tmp_path / "r", epochs=3)


def test_too_little_is_a_clear_message() -> None:
    with pytest.raises(ConfigurationError, match="too few"):
        dataset_of([outcomes(2)])
    with pytest.raises(ConfigurationError, match="one kind"):
        dataset_of([outcomes(), comparisons()])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="none were given"):
        dataset_of([])


def test_sources_are_joined_by_the_models_names(tmp_path: Path) -> None:
    first, second = outcomes(120), outcomes(120, start=120).only(["master", "guesser"])
    lessons = dataset_of([first, second])
    assert lessons.models == ("apprentice", "master", "guesser")
    assert np.isnan(lessons.target[120:, 0]).all()
    for name in VECTOR_ROUTERS:
        found = train(name, [first, second], tmp_path / name).estimate(FRESH, POOL).quality
        assert np.isfinite(found).all()
