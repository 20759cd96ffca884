"""`llmroute demo`, second part: recorded outcomes, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run

WORDS = ("red", "blue", "train", "sum", "proof", "city", "river", "seven")
#: Model → how often it is right.
MODELS = {"poor": 0.5, "good": 0.9}


def write_outcomes(folder: Path, costs: dict[str, float] | None) -> None:
    """120 prompts, half of them for testing, on which `good` does better than `poor`."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    chance = np.random.default_rng(1)
    ids = [f"p{i}" for i in range(120)]
    folder.mkdir(parents=True)
    prompts = {
        "prompt_id": ids,
        "prompt": [f"{' '.join(chance.choice(WORDS, 6))} {i}?" for i in range(120)],
        "category": ["any"] * 120,
        "split": ["train", "test"] * 60,
    }
    parquet.write_table(pa.table(prompts), folder / "prompts.parquet")
    rows = [(i, m, float(chance.random() < p)) for i in ids for m, p in MODELS.items()]
    outcomes = {
        "prompt_id": [row[0] for row in rows],
        "model": [row[1] for row in rows],
        "score": [row[2] for row in rows],
    }
    if costs:
        outcomes["cost_usd"] = [costs[row[1]] for row in rows]
    parquet.write_table(pa.table(outcomes), folder / "outcomes.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_outcomes(tmp_path / "routellm", costs=None)
    write_outcomes(tmp_path / "routerbench", costs={"poor": 0.0001, "good": 0.004})
    return tmp_path


def test_without_outcomes_one_sentence_says_how_to_point_to_them(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMROUTE_DATA", str(tmp_path / "nowhere"))
    result = run("demo", "--part", "replay")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "--data DIR or LLMROUTE_DATA" in result.stdout


def test_without_outcomes_the_document_says_null(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--part", "replay", "--data", str(tmp_path), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"replay": None}
    assert "--data DIR" in result.stderr


def test_a_folder_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    assert run("demo", "--part", "replay", "--data", str(tmp_path / "x")).exit_code == 2


def test_both_folders_are_replayed_beside_their_baselines(run: Run, data: Path) -> None:
    result = run("demo", "--part", "replay", "--data", str(data), "--json")
    assert result.exit_code == 0, result.output
    replay = json.loads(result.stdout)["replay"]
    assert set(replay) == {"routellm", "routerbench"}
    for study in replay.values():
        assert study["prompts"] == 60
        assert study["strong"] == "good"
        lines = {line["label"]: line for line in study["lines"]}
        assert {
            "always poor",
            "a random model",
            "zero router, default's spend",
            "llmroute, 95% (default)",
            "always good",
            "oracle",
        } <= set(lines)
        quality = {label: line["quality"]["value"] for label, line in lines.items()}
        assert quality["oracle"] == max(quality.values())
        assert quality["a random model"] == pytest.approx(
            (quality["always poor"] + quality["always good"]) / 2
        )
        assert lines["always good"]["strong_share"]["value"] == pytest.approx(1)
        for line in study["lines"]:
            assert line["quality"]["low"] <= line["quality"]["value"] <= line["quality"]["high"]


def test_where_nothing_was_paid_calls_are_counted(run: Run, data: Path) -> None:
    result = run("demo", "--part", "replay", "--data", str(data), "--json")
    replay = json.loads(result.stdout)["replay"]
    assert all(line["usd_per_1000"] is None for line in replay["routellm"]["lines"])
    assert "APGR" in replay["routellm"]["figures"]
    costs = {line["label"]: line["usd_per_1000"] for line in replay["routerbench"]["lines"]}
    assert costs["always good"]["value"] == pytest.approx(4.0)
    assert "AIQ" in replay["routerbench"]["figures"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tables_fit_the_terminal_and_say_what_the_data_cannot_tell(
    run: Run, data: Path, columns: int
) -> None:
    result = run("demo", "--part", "replay", "--data", str(data), columns=columns)
    assert max(map(len, result.stdout.splitlines())) <= columns
    shown = " ".join(result.stdout.split())
    assert "no costs recorded" in shown
    assert "home ground" in shown
    assert "The scorer was not trained on this folder" in shown
