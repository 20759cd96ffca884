"""`llmroute decide` with the scorer that ships."""

from __future__ import annotations

import json

from tests.cli.conftest import Run


def test_it_needs_no_option_and_no_network(run: Run) -> None:
    record = json.loads(run("decide", "What is the capital of Australia?", "--json").stdout)
    assert record["router"].startswith("static")
    assert all(0 < known["quality"] < 1 for known in record["estimates"].values())


def test_an_unknown_scorer_is_one_clean_message(run: Run) -> None:
    result = run("decide", "hello", "--scorer", "nosuch")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no router 'nosuch'")
    assert "Traceback" not in result.output
