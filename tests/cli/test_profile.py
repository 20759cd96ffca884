"""`llmroute profile`: over real HTTP to a scripted provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmroute.profiling import load_anchors
from llmroute.testing import Fault, Question, ScriptedModel, ScriptedProvider
from tests.cli.conftest import Run
from tests.conftest import KEY

COUNT = len(load_anchors())


@pytest.fixture
def school() -> Iterator[ScriptedProvider]:
    questions = [Question(a.prompt, a.answer) for a in load_anchors()]
    with ScriptedProvider([ScriptedModel("small", ability=0.8)], questions=questions) as provider:
        yield provider


@pytest.fixture
def options(school: ScriptedProvider, tmp_path: Path) -> tuple[str, ...]:
    out = str(tmp_path / "profiles.json")
    return ("-m", "openai/small=0.1/0.4", "--api-base", school.base_url, "--out", out)


def test_the_cost_is_shown_before_anything_is_asked(
    run: Run, options: tuple[str, ...], school: ScriptedProvider, tmp_path: Path
) -> None:
    result = run("profile", *options, input="n\n")
    assert result.exit_code == 1
    assert f"openai/small: {COUNT} prompts for about $" in result.stderr
    assert not school.requests
    assert not (tmp_path / "profiles.json").exists()


def test_the_file_holds_the_ability_and_neither_keys_nor_answers(
    run: Run, options: tuple[str, ...], school: ScriptedProvider, tmp_path: Path
) -> None:
    result = run("profile", *options, "--yes", columns=120)
    assert result.exit_code == 0, result.output
    assert school.count("small") == COUNT
    assert "openai/small" in result.stdout
    assert "±" in result.stdout
    text = (tmp_path / "profiles.json").read_text()
    assert KEY not in text
    assert '"said"' not in text
    profile = json.loads(text)["models"]["openai/small"]
    assert len(profile["graded"]) == COUNT
    assert profile["ability"][0] > 0


def test_what_is_answered_is_not_asked_again(
    run: Run, options: tuple[str, ...], school: ScriptedProvider, tmp_path: Path
) -> None:
    school.fail("small", Fault.server_error())
    run("profile", *options, "--yes", "--workers", "1")
    path = tmp_path / "profiles.json"
    document = json.loads(path.read_text())
    graded = document["models"]["openai/small"]["graded"]
    for name in list(graded)[:5]:
        del graded[name]
    path.write_text(json.dumps(document))
    school.clear()
    result = run("profile", *options, "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert school.count("small") == 5
    found = json.loads(result.stdout)["models"]["openai/small"]
    assert found["answers"] == COUNT
    school.clear()
    assert run("profile", *options).exit_code == 0  # nothing to ask, so nothing to confirm
    assert not school.requests


def test_answers_until_a_failure_are_kept(
    run: Run, options: tuple[str, ...], school: ScriptedProvider, tmp_path: Path
) -> None:
    school.fail("small", Fault.unauthorized(), times=None)
    result = run("profile", *options, "--yes")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert KEY not in result.output
    school.clear()
    assert run("profile", *options, "--yes").exit_code == 0
