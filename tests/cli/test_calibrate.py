"""`llmroute calibrate`: from recorded answers to a file that the router takes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from llmroute import Escalation, Model, RouterChain
from llmroute.errors import ArtifactError
from llmroute.evaluation import Outcomes
from llmroute.profiling.calibrate import calibrate
from llmroute.records import Decision
from llmroute.scoring import load_scorer
from tests.cli.conftest import Run


def log(path: Path, prompts: int = 120, *, responses: bool = True) -> Path:
    """Three models of rising ability that add; wrong answers are off by one."""
    chance = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["prompt", "model", "score", "cost_usd", *["response"] * responses])
        for i in range(prompts):
            for model, able, usd in (("m0", 0.5, 1e-4), ("m1", 0.7, 1e-3), ("m2", 0.9, 1e-2)):
                good = chance.random() < able
                said = f"The answer is {2 * i + 1 + (not good)}."
                row = [f"How much is {i} + {i + 1}?", model, int(good), usd]
                write.writerow([*row, *[said] * responses])
    return path


POOL = [Model(f"m{i}", input_price=10.0**i, output_price=10.0**i) for i in range(3)]
ASKED = "How much is 2 + 3?"


def test_what_it_writes_goes_to_the_router(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    data = log(tmp_path / "log.csv")
    result = run("calibrate", str(data), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "3 models" in result.output
    train = Outcomes.read(data, "train", responses=True).complete()
    fitted = calibrate(train, load_scorer("static"))
    fitted.save(tmp_path / "fitted.json")
    assert out.read_bytes() == (tmp_path / "fitted.json").read_bytes()
    decided = RouterChain(pool=POOL, escalation=Escalation("auto", calibration=str(out))).decide(
        ASKED
    )
    # A draft of the cheapest is planned, which without looking at it would not be good enough.
    assert RouterChain(pool=POOL, escalation=None).decide(ASKED).chosen == "m1"
    assert decided.chosen == "m0"
    # Wrong answers agree in this log, so a draft's check is worth less than by default.
    by_default = RouterChain(pool=POOL, escalation="auto").decide(ASKED)
    assert expected_quality(decided) < expected_quality(by_default) - 0.03


def expected_quality(decided: Decision) -> float:
    """That of the plan, which the reason states."""
    found = re.search(r"an expected quality of (0\.\d+)", decided.reason)
    assert found is not None
    return float(found[1])


def test_only_the_models_that_are_named_are_fitted(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    models = ("--model", "m0", "--model", "m2")
    result = run("calibrate", str(log(tmp_path / "log.csv")), "--out", str(out), *models)
    assert result.exit_code == 0, result.output
    assert set(json.loads(out.read_text())["members"]) == {"m0", "m2"}


def test_on_a_terminal_it_shows_how_far_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # so that Rich takes the stream for a terminal
    data = str(log(tmp_path / "log.csv"))
    result = run("calibrate", data, "--out", str(tmp_path / "calibration.json"))
    assert result.exit_code == 0, result.output
    assert "reading answers" in result.stderr


def test_without_texts_it_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    result = run("calibrate", str(log(tmp_path / "log.csv", responses=False)))
    assert result.exit_code != 0
    assert "response" in result.output


def test_a_calibration_that_is_none_is_refused_when_the_router_is_made(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(ArtifactError, match="format"):
        RouterChain(
            pool=["a", "b"], escalation=Escalation("auto", calibration=str(tmp_path / "no.json"))
        )
