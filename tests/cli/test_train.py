"""`llmroute train`: thin over `llmroute.training`, which has its own tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmroute.scoring import artifact as artefacts
from tests.cli.conftest import Run

BUNDLED = Path(artefacts.__file__).parent / "bundled" / "static"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What training was asked for; it gives the bundled router back."""
    training = pytest.importorskip("llmroute.training", exc_type=ImportError)
    seen: dict[str, Any] = {}

    def train(data: list[Path], out: Path, *, progress: Any, **rest: Any) -> Any:
        seen.update(data=data, out=out, **rest)
        for done in (1, 2):
            progress("epoch", done, 2, "loss 0.5")
        return artefacts.load(BUNDLED)

    monkeypatch.setattr(training, "train", train)
    return seen


def test_options_reach_the_training(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    options = ("--epochs", "3", "--seed", "7", "--name", "mine", "--label", "9")
    options += ("--weight", "routellm=2")
    result = run("train", str(tmp_path / "mine"), "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == 0, result.output
    assert asked["data"] == [tmp_path / "mine"]
    assert asked["out"] == tmp_path / "out"
    assert (asked["seed"], asked["name"], asked["settings"].epochs) == (7, "mine", 3)
    assert (asked["version"], asked["weights"]) == ("9", {"routellm": 2.0})


def test_the_cards_metrics_are_shown(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    result = run("train", str(tmp_path), "--out", str(tmp_path / "out"))
    for name in artefacts.load(BUNDLED).card.metrics:
        assert name in result.stdout
    assert "llmroute decide --scorer" in result.stdout


def test_json_is_the_folder_and_the_card(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    result = run("train", str(tmp_path), "--out", str(tmp_path / "out"), "--json")
    document = json.loads(result.stdout)
    assert set(document) == {"folder", "card"}
    assert document["card"]["encoder"] == "static"


def test_a_folder_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("train", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2


def test_a_folder_without_outcomes_is_one_clean_message(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("llmroute.training", exc_type=ImportError)
    result = run("train", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "prompts.parquet" in result.stderr


@pytest.mark.parametrize("package", ["torch", "pyarrow"])
def test_without_its_extra_it_names_the_extra(package: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from llmroute.cli import main\n"
        f"sys.argv = ['llmroute', 'train', {str(tmp_path)!r}, '--out', {str(tmp_path / 'o')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'llmroute[train]'" in done.stderr
    assert "Traceback" not in done.stderr
