"""The command line as a test calls it: in process, streams apart, with the router that ships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmroute.cli.app import cli
from tests.conftest import KEY

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line, on a terminal of 80 columns unless `columns` says otherwise."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def invoke(*arguments: str, input: str | None = None, columns: int = 80) -> Result:
        environment: dict[str, Any] = {"COLUMNS": str(columns)}
        return CliRunner(env=environment).invoke(cli, list(arguments), input=input)

    return invoke
