"""`llmroute` itself: help, version, and what happens without its extra."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmroute import __version__
from tests.cli.conftest import Run


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_help_lists_every_command_with_a_sentence(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.split("Commands:")[1].splitlines() if line]
    assert listed == [
        "decide",
        "ask",
        "demo",
        "train",
        "profile",
        "calibrate",
        "eval",
        "download",
    ]


@pytest.mark.parametrize("command", ["decide", "ask", "demo", "train", "profile", "eval"])
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"llmroute, version {__version__}\n"


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    result = run("dance")
    assert result.exit_code == 2
    assert "No such command 'dance'" in result.stderr


def test_help_waits_for_nothing_heavy() -> None:
    done = python(
        "import sys; from llmroute.cli.app import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "for name in ('decide', 'ask', 'demo', 'train'): cli([name, '-h'], standalone_mode=False)\n"
        "heavy = {'litellm', 'langchain_core', 'onnxruntime', 'numpy', 'torch', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_extra_it_names_the_extra_in_one_line(package: str) -> None:
    done = python(
        f"import sys; sys.modules[{package!r}] = None\nfrom llmroute.cli import main; main()"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "The command line needs: pip install 'llmroute[cli]'\n"


def test_a_pipe_that_knows_ascii_only_is_no_reason_to_fail() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmroute", "decide", "Is √2 irrational?"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert "openai/gpt-4.1-nano" in done.stdout


def test_it_runs_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmroute", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert __version__ in done.stdout
