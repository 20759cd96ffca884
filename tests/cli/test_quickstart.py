"""What a newcomer runs first: the example, and `make`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_quickstart_runs_without_a_key_and_uses_both_models() -> None:
    done = subprocess.run(
        [sys.executable, "examples/quickstart.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "stand-in answer from small" in done.stdout
    assert "stand-in answer from large" in done.stdout
    assert "saved" in done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose Python only notes what it is asked to do."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "llmroute", "ruff", "mypy", "lint-imports", "pytest"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >> done\n')
        (programs / name).chmod(0o755)
    return tmp_path


def made(checkout: Path, target: str) -> list[str]:
    log = checkout / "done"
    log.unlink(missing_ok=True)
    subprocess.run(["make", target], cwd=checkout, check=True, capture_output=True, timeout=60)
    return log.read_text().splitlines()


def test_make_demo_installs_once_and_again_when_the_project_file_changes(checkout: Path) -> None:
    install = "python -m pip install --quiet -e .[cli,eval]"
    assert made(checkout, "demo") == [install, "llmroute demo"]
    assert made(checkout, "demo") == ["llmroute demo"]
    later = time.time() + 5
    os.utime(checkout / "pyproject.toml", (later, later))
    assert made(checkout, "demo") == [install, "llmroute demo"]


def test_make_test_checks_style_types_and_behaviour(checkout: Path) -> None:
    assert made(checkout, "test") == [
        "python -m pip install --quiet -e .[dev]",
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "lint-imports --no-cache",
        "pytest",
    ]
