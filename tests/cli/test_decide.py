"""`llmroute decide`: which model, and why; nobody is called."""

from __future__ import annotations

import json

import pytest

from llmroute.decision import Decision
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("rank_scorer")
PAIR = ("-m", "cheap=0.1/0.4", "-m", "dear=2/8")


def test_the_table_marks_the_chosen_model_and_gives_the_reason(run: Run) -> None:
    result = run("decide", "hello", *PAIR)
    assert result.exit_code == 0, result.output
    chosen = next(line for line in result.stdout.splitlines() if "✓ chosen" in line)
    assert chosen.split()[0] == "cheap"
    assert "cheap is the cheapest with at least 95%" in result.stdout
    assert "µs" in result.stdout


def test_a_hard_prompt_goes_to_the_dear_model(run: Run) -> None:
    assert json.loads(run("decide", "a hard one", *PAIR, "--json").stdout)["chosen"] == "dear"


def test_json_is_the_decision(run: Run) -> None:
    record = json.loads(run("decide", "hello", *PAIR, "--json").stdout)
    decision = Decision.model_validate(record)
    assert decision.to_json() == record
    assert decision.calls == ()
    assert set(decision.estimates) == {"cheap", "dear"}


def test_the_default_pool_is_one_providers_three_sizes(run: Run) -> None:
    record = json.loads(run("decide", "hello", "--json").stdout)
    assert list(record["estimates"]) == [
        "openai/gpt-4.1-nano",
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1",
    ]


def test_a_dash_reads_the_prompt_from_stdin(run: Run) -> None:
    record = json.loads(run("decide", "-", *PAIR, "--json", input="a hard one\n").stdout)
    assert record["chosen"] == "dear"


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ((), {"name": "CheapestAbove", "quality": 0.95}),
        (("--quality", "0.8"), {"name": "CheapestAbove", "quality": 0.8}),
        (("--threshold", "0.3"), {"name": "Threshold", "threshold": 0.3}),
        (("--willingness", "0.01"), {"name": "WillingnessToPay", "usd": 0.01}),
        (("--max-cost", "0.002"), {"name": "BestWithin", "cost": 0.002}),
        (
            ("--max-cost", "0.002", "--max-latency", "3"),
            {"name": "BestWithin", "cost": 0.002, "latency": 3.0},
        ),
    ],
)
def test_each_option_is_a_policy(
    run: Run, options: tuple[str, ...], policy: dict[str, object]
) -> None:
    assert json.loads(run("decide", "hello", *PAIR, *options, "--json").stdout)["policy"] == policy


def test_an_excluded_model_says_why(run: Run) -> None:
    result = run("decide", "a hard one", *PAIR, "--max-cost", "0.0002", columns=120)
    row = next(line for line in result.stdout.splitlines() if line.strip().startswith("dear"))
    assert "expected cost" in row


def test_when_no_model_may_be_asked_it_says_why_for_each(run: Run) -> None:
    result = run("decide", "hello", *PAIR, "--max-cost", "0")
    assert result.exit_code == 1
    assert "No model of the pool can take this request" in result.stderr
    assert "cheap: expected cost" in result.stderr


def test_an_unfamiliar_prompt_is_marked(run: Run) -> None:
    assert "unfamiliar prompt" in run("decide", "odd", *PAIR).stdout


def test_a_model_without_a_price_is_unknown_and_says_how_to_state_it(run: Run) -> None:
    result = run("decide", "hello", "-m", "openai/nobody-knows-it", "-m", "dear=2/8")
    assert result.exit_code == 0
    assert "unknown" in result.stdout
    assert "--model openai/nobody-knows-it=INPUT/OUTPUT" in " ".join(result.stdout.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(run: Run, columns: int) -> None:
    result = run("decide", "a hard one", "--max-cost", "0.0005", columns=columns)
    assert max(map(len, result.stdout.splitlines())) <= columns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threshold", "1.5"), "is not in the range 0<=x<=1"),
        (("--quality", "-1"), "is not in the range 0<=x<=1"),
        (("--willingness", "0"), "is not in the range"),
        (("--quality", "0.9", "--max-cost", "1"), "--quality and --max-cost/--max-latency"),
        (("--threshold", "0.3", "-m", "third"), "--threshold chooses between two models"),
        (("-m", "dear"), "names a model twice"),
        (("-m", "x=1/y"), "prices are written NAME=INPUT/OUTPUT"),
        (("-m", "x=-1/2"), "prices are written NAME=INPUT/OUTPUT"),
    ],
)
def test_options_that_cannot_work_are_usage_errors(
    run: Run, options: tuple[str, ...], message: str
) -> None:
    result = run("decide", "hello", *PAIR, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_empty_prompt_is_a_usage_error(run: Run) -> None:
    result = run("decide", "-", input="  \n")
    assert result.exit_code == 2
    assert "the prompt is empty" in result.stderr


@pytest.mark.parametrize("prices", ["0/0", "0.15/0.60"])
def test_prices_may_be_stated(run: Run, prices: str) -> None:
    record = json.loads(run("decide", "hello", "-m", f"ollama/x={prices}", "--json").stdout)
    assert record["estimates"]["ollama/x"]["cost"] is not None
