"""The commands that make the figures of the docs: each names a module, and options that it has."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parent.parent
#: A command in a Makefile or a page, with the lines it goes on in, and the end of a code span.
COMMAND = re.compile(r"-m examples\.reproduce\.(\w+)((?:[^`\n]|\\\n)*)")


def commands() -> list[tuple[str, str, str]]:
    """File, module and arguments of each command that is written down."""
    files = [ROOT / "Makefile", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        (file.name, *match.groups())
        for file in files
        for match in COMMAND.finditer(file.read_text(encoding="utf-8"))
    ]


def help_of(module: str, capsys: pytest.CaptureFixture[str]) -> str:
    main = import_module(f"examples.reproduce.{module}").main
    if isinstance(main, click.Command):
        return CliRunner().invoke(main, ["--help"], catch_exceptions=False).output
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_makefile_and_the_docs_have_some() -> None:
    named = {(file, module) for file, module, _ in commands()}
    assert ("Makefile", "escalation_benchmarks") in named
    assert ("routers.md", "router_floor") in named


@pytest.mark.parametrize("module", sorted({module for _, module, _ in commands()}))
def test_each_has_the_options_it_is_given(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    text = help_of(module, capsys)
    for file, name, arguments in commands():
        if name == module:
            for option in re.findall(r"(?<!\S)--[a-z-]+", arguments):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), f"{file}: {option}"
