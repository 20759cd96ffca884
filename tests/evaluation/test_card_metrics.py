"""Figures of a trained router, and the table of the docs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from examples.reproduce.router_comparison import (
    BEGIN,
    END,
    Remembered,
    main,
    microseconds,
    table,
    write_page,
)
from llmroute.errors import ConfigurationError
from llmroute.evaluation.card_metrics import (
    card_figures,
    comparison_figures,
    report_on,
)
from llmroute.routers import train
from llmroute.routers.preferences import Preferences
from llmroute.scoring.router_folder import read, with_metrics
from tests.routers.material import comparisons, outcomes

pytest.importorskip("sklearn")


def test_the_report_has_the_baselines_beside_the_router(tmp_path: Path) -> None:
    learned, test = outcomes(), outcomes(120, start=1000)
    scorer = train("clusters", [learned], tmp_path / "mine")
    report = report_on(scorer, test, learned, replicates=50)
    assert report.router.name == "mine"
    assert {"zero", "category", "oracle", "apprentice", "master"} <= set(report.baselines)
    assert "knn" not in report.baselines
    found = card_figures(report)
    closed = found["made_up share of the gap from zero router to oracle closed"]
    assert closed.value > 0.6
    assert closed.prompts == 120
    with_metrics(tmp_path / "mine", found)
    assert read(tmp_path / "mine").card.metrics.keys() >= found.keys()
    assert microseconds(scorer, test, 5) > 0


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    scorer = train("svm", [outcomes()], tmp_path / "r")
    with pytest.raises(ConfigurationError, match="at least 2 models"):
        report_on(scorer, outcomes().only(["master"]), outcomes())


def test_comparisons_are_measured_against_one_ranking(tmp_path: Path) -> None:
    given = comparisons()
    scorer = train("linear", [given], tmp_path / "r")
    found = comparison_figures(scorer, given, given)
    # One ranking says the same of every prompt: the master wins three quarters, ties half.
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert found["arena log loss of one ranking"].value == pytest.approx(expected, abs=2e-3)
    assert found["arena log loss"].value < expected
    assert found["arena winner named"].prompts == 200
    assert found["arena winner named"].value > 0.95


def test_models_that_were_not_compared_in_training_are_passed_over(tmp_path: Path) -> None:
    given = comparisons()
    scorer = train("linear", [given], tmp_path / "r")
    one = np.zeros(1, dtype=np.int64)
    strange = Preferences(("Add 1 to 2.",), ("master", "nobody"), one, one, one + 1, np.ones(1))
    assert comparison_figures(scorer, strange, given) == {}


ROW = {
    "figure": "11.2 [5, 17]",
    "unit": "gap closed, %",
    "mb": 1.5,
    "us": 80.0,
    "seconds": 3.0,
    "category": "17.9 [12.9, 23.9]",
}


def test_the_table_has_a_row_a_router_and_a_column_a_data_set() -> None:
    found = {"first": {"mf": ROW, "knn": ROW}, "second": {"knn": {**ROW, "us": 240.0}}}
    lines = table(found).splitlines()
    assert lines[0] == (
        "| router | `first`, gap closed, % | `second`, gap closed, % | µs a prompt | size, MB | "
        "training, s |"
    )
    assert lines[2] == "| category label | 17.9 [12.9, 23.9] | 17.9 [12.9, 23.9] |  |  |  |"
    assert lines[3] == "| knn | 11.2 [5, 17] | 11.2 [5, 17] | 80–240 | 1.5 | 3 |"
    assert lines[4] == "| mf | 11.2 [5, 17] |  | 80 | 1.5 | 3 |"
    assert {line.count("|") for line in lines} == {7}


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page(page, {"first": {"mf": ROW}})
    once = page.read_text(encoding="utf-8")
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    write_page(page, {"first": {"mf": ROW}})
    assert page.read_text(encoding="utf-8") == once
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has no"):
        write_page(page, {"first": {"mf": ROW}})


def log_of(folder: Path) -> Path:
    """A log of made-up outcomes."""
    log = folder / "log.csv"
    table_ = outcomes(300)
    lines = ["prompt,model,score,cost_usd,category"]
    for p, prompt in enumerate(table_.prompts):
        for m, model in enumerate(table_.models):
            cost = table_.cost[p, m] if table_.cost is not None else 0
            category = table_.categories[p]
            lines.append(f"{prompt},{model},{table_.score[p, m]},{cost},{category}")
    log.write_text("\n".join(lines), encoding="utf-8")
    return log


def test_what_has_been_measured_is_not_measured_again(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    arguments = [str(log_of(tmp_path)), "--results", str(results)]
    arguments += ["--router", "svm", "--router", "static"]
    first = CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert set(json.loads(results.read_text())["log.csv"]) == {"svm", "static"}
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 0
    assert again.output == ""


def test_label_modes_make_a_table_of_their_own(tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    begin, end = (mark.replace("table", "labels") for mark in (BEGIN, END))
    page.write_text(f"{BEGIN}\nkept\n{END}\n{begin}\n{end}\n", encoding="utf-8")
    arguments = [str(log_of(tmp_path)), "--results", str(results), "--labels", "hard"]
    arguments += ["--router", "linear", "--model", "apprentice", "--model", "master"]
    done = CliRunner().invoke(main, [*arguments, "--table", "labels", "--write", str(page)])
    assert done.exit_code == 0, done.output
    assert set(json.loads(results.read_text())["log.csv"]) == {"linear, hard labels"}
    before, after = page.read_text(encoding="utf-8").split(END)
    assert "kept" in before
    assert "| linear, hard labels |" in after


def test_vectors_are_worked_out_once_a_text() -> None:
    class Counting:
        kind, asked = "counting", 0
        settings = arrays = files = dict

        def transform(self, texts: Sequence[str]) -> np.ndarray:
            self.asked += len(texts)
            return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)

    counting = Counting()
    remembered = Remembered(counting)  # type: ignore[arg-type]
    first = remembered.transform(["a", "bb", "a"])
    np.testing.assert_array_equal(first, [[1, 1], [2, 1], [1, 1]])
    np.testing.assert_array_equal(remembered.transform(["bb", "ccc"]), [[2, 1], [3, 1]])
    assert counting.asked == 3
