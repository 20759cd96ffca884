"""`llmroute calibrate`: from recorded answers to a file that the router takes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from llmroute import Escalation, Model, RouterChain
from llmroute.errors import ArtifactError
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


def test_what_it_writes_goes_to_the_router(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    result = run("calibrate", str(log(tmp_path / "log.csv")), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "3 models" in result.output
    pool = [Model(f"m{i}", input_price=10.0**i, output_price=10.0**i) for i in range(3)]
    router = RouterChain(pool=pool, escalation=Escalation("auto", calibration=str(out)))
    assert router.decide("How much is 2 + 3?").chosen in ("m0", "m1", "m2")


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
