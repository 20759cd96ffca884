"""`llmroute eval`: a log in, a table, a report and a page out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run

MODELS = {"tiny": (0.4, 0.0001), "small": (0.6, 0.0004), "large": (0.8, 0.004), "huge": (0.9, 0.02)}
TOPICS = ("sums", "rivers", "proofs", "recipes", "cities")


def write_log(path: Path, prompts: int = 250, *, costs: bool = True) -> Path:
    """A user's log: four models answered every prompt."""
    chance = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt", "model", "score", "category", *(["cost_usd"] if costs else [])])
        for number in range(prompts):
            topic = TOPICS[number % len(TOPICS)]
            for model, (right, cost) in MODELS.items():
                score = int(chance.random() < right)
                paid = [cost * chance.uniform(0.5, 1.5)] if costs else []
                rows.writerow([f"Question {number} about {topic}?", model, score, topic, *paid])
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "my_log.csv")


FEW = ("--no-classic", "--replicates", "50")


def test_a_log_of_a_thousand_rows_becomes_a_table(run: Run, log: Path) -> None:
    result = run("eval", "--data", str(log), *FEW)
    assert result.exit_code == 0, result.output
    for name in ("llmroute", *MODELS, "random", "cheapest", "zero", "oracle", "category"):
        assert any(line.strip().startswith(name) for line in result.stdout.splitlines()), name
    assert "95 % intervals" in result.stdout


@pytest.mark.parametrize("columns", [80, 160])
def test_the_table_fits_the_terminal(run: Run, log: Path, columns: int) -> None:
    result = run("eval", "--data", str(log), *FEW, columns=columns)
    assert max(map(len, result.stdout.splitlines())) <= columns


def test_the_document_holds_every_figure_with_its_interval(run: Run, log: Path) -> None:
    result = run("eval", "--data", str(log), *FEW, "--json")
    (report,) = json.loads(result.stdout)
    assert report["unit"] == "USD"
    # Half of the prompts, by a hash of their text, are for fitting.
    assert 80 < report["prompts"] < 170
    for name in ("quality", "cost", "aiq", "perf_gain", "cost_save", "ece", "auroc:huge"):
        assert set(report["router"]["metrics"][name]) >= {"value", "low", "high"}
    assert set(report["baselines"]) >= {*MODELS, "random", "zero", "oracle", "cheapest", "category"}
    assert report["provenance"]["data"]["my_log.csv"]
    assert report["singles"]["huge"][1] > report["singles"]["tiny"][1]


def test_the_same_command_gives_the_same_figures(run: Run, log: Path) -> None:
    one, other = (
        json.loads(run("eval", "--data", str(log), *FEW, "--json").stdout)[0] for _ in range(2)
    )
    assert one["router"] == other["router"]
    assert one["baselines"] == other["baselines"]


def test_the_policy_and_the_pool_can_be_chosen(run: Run, log: Path) -> None:
    chosen = ("--model", "tiny=0.1/0.4", "--model", "huge=2/8", "--quality", "0")
    result = run("eval", "--data", str(log), *FEW, *chosen, "--json")
    (report,) = json.loads(result.stdout)
    assert report["models"] == ["tiny", "huge"]
    assert report["router"]["metrics"]["strong_share"]["value"] == 0


def test_a_model_the_log_lacks_is_one_clean_message(run: Run, log: Path) -> None:
    result = run("eval", "--data", str(log), *FEW, "--model", "tiny", "--model", "other")
    assert result.exit_code == 1
    assert "no outcomes of 'other'" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_costs_calls_are_counted(run: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "free.csv", 100, costs=False)
    result = run("eval", "--data", str(log), *FEW, "--json")
    (report,) = json.loads(result.stdout)
    assert report["unit"] == "calls"


def test_unseen_categories_are_measured_when_asked_for(run: Run, log: Path) -> None:
    result = run("eval", "--data", str(log), *FEW, "--shift", "--json")
    (report,) = json.loads(result.stdout)
    unseen = report["baselines"]["llmroute, unseen categories"]["metrics"]
    assert "aiq_drop" in unseen


def test_several_data_are_a_report_each_and_one_page(run: Run, log: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "free.csv", 100, costs=False)
    page = tmp_path / "docs" / "figures.md"
    result = run("eval", "--data", str(log), "--data", str(other), *FEW, "--markdown", str(page))
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "## my_log" in text
    assert "## free" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| **llmroute**")}
    headings = {line.count("|") for line in text.splitlines() if line.startswith("| router")}
    assert widths == headings


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Question 0?,tiny,2,sums,0.1", "score"),
        ("Question 0?,tiny,good,sums,0.1", "score"),
        ("Question 0?,tiny,1,sums,-1", "cost"),
        ("Question 0?,,1,sums,0.1", "model"),
        (",tiny,1,sums,0.1", "prompt"),
        ("Question 0 about sums?,tiny,1,sums,0.1", "2"),
    ],
    ids=["score of 2", "score in words", "negative cost", "no model", "no prompt", "twice"],
)
def test_each_kind_of_bad_row_is_named_with_its_line(
    run: Run, log: Path, row: str, message: str
) -> None:
    with log.open("a") as file:
        file.write(row + "\n")
    result = run("eval", "--data", str(log), *FEW)
    assert result.exit_code == 1
    assert "1002" in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_not_there_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    assert run("eval", "--data", str(tmp_path / "none.csv")).exit_code == 2


def test_out_is_a_page_a_document_and_pictures(run: Run, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports" / "mine"
    result = run("eval", "--data", str(log), *FEW, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert f"Written: {out / 'report.html'}" in result.stdout
    assert json.loads((out / "report.json").read_text())["source"] == "my_log"
    assert (
        "<svg" in (out / "report.html").read_text()
        or "data:image" in (out / "report.html").read_text()
    )
    assert {"cost_quality.png", "cost_quality-dark.png"} <= {p.name for p in out.iterdir()}
    assert not [p.name for p in out.iterdir() if p.name.endswith(".part")]


def test_of_several_data_each_has_a_folder(run: Run, log: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "other.csv", 100)
    out = tmp_path / "reports"
    run("eval", "--data", str(log), "--data", str(other), *FEW, "--out", str(out))
    assert (out / "my_log" / "report.html").is_file()
    assert (out / "other" / "report.html").is_file()


def test_where_there_is_no_interval_none_is_shown(run: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "tiny.csv", 4)
    result = run("eval", "--data", str(log), *FEW)
    assert result.exit_code == 0, result.output
    assert "nan" not in result.stdout
