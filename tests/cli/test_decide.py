"""`llmroute decide`: which model, and why; nobody is called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmroute import CheapestAbove, Model, ModelPool, RouterChain
from llmroute.records import Decision
from llmroute.scoring import load_scorer
from tests.cli.conftest import Run

PAIR = ("-m", "cheap=0.1/0.4", "-m", "dear=2/8")
#: The same two models, for a router made without the command line.
POOL = ModelPool(
    [
        Model("cheap", input_price=0.1, output_price=0.4),
        Model("dear", input_price=2, output_price=8),
    ]
)
EASY = "Thanks, that was really helpful!"
HARD = "Find the remainder when the sum of k·k! for k from 1 to 100 is divided by 101."
#: The bundled router was trained on English.
UNFAMILIAR = ("空はなぜ青いのですか。", "この文章を三行で要約してください。")


def decided(run: Run, prompt: str, *options: str, input: str | None = None) -> dict[str, Any]:
    result = run("decide", prompt, *options, "--json", input=input)
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def row(shown: str, name: str) -> str:
    """The model's line of the table."""
    return next(line for line in shown.splitlines() if line.split()[:1] == [name])


@pytest.mark.parametrize(
    ("enough", "chosen", "other"), [(0, "cheap", "dear"), (1, "dear", "cheap")]
)
def test_the_table_marks_the_chosen_model_and_gives_the_reason(
    run: Run, enough: float, chosen: str, other: str
) -> None:
    result = run("decide", HARD, *PAIR, "--quality", str(enough))
    assert result.exit_code == 0, result.output
    assert "✓ chosen" in row(result.stdout, chosen)
    assert "✓ chosen" not in row(result.stdout, other)
    expected = RouterChain(pool=POOL, policy=CheapestAbove(quality=enough)).decide(HARD)
    assert expected.chosen == chosen
    assert expected.reason in " ".join(result.stdout.split())
    for name, known in expected.estimates.items():
        assert f"{known.quality:.3f}" in row(result.stdout, name)
    assert "µs" in result.stdout


def test_an_easy_prompt_goes_to_the_cheap_model_and_a_hard_one_to_the_dear(run: Run) -> None:
    quality = load_scorer("static").estimate([EASY, HARD], POOL).quality
    easy, hard = quality[:, 0] / quality[:, 1]  # the cheap model's share of the dear one's
    assert easy > hard
    between = ("--quality", str((easy + hard) / 2), "--escalation", "none")
    assert decided(run, EASY, *PAIR, *between)["chosen"] == "cheap"
    assert decided(run, HARD, *PAIR, *between)["chosen"] == "dear"


def test_json_is_the_decision(run: Run) -> None:
    record = decided(run, HARD, *PAIR)
    decision = Decision.model_validate(record)
    assert decision.to_json() == record
    assert decision.calls == ()
    expected = RouterChain(pool=POOL).decide(HARD)
    time = {"decision_us": decision.decision_us}  # the one thing that differs from run to run
    assert decision == expected.model_copy(update=time)


def test_it_needs_no_option(run: Run) -> None:
    """The pool is one provider's three sizes, the scorer the one that ships."""
    record = decided(run, "What is the capital of Australia?")
    assert list(record["estimates"]) == [
        "openai/gpt-4.1-nano",
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1",
    ]
    assert record["router"].startswith("static ")
    assert all(0 < known["quality"] < 1 for known in record["estimates"].values())


def test_an_unknown_scorer_is_one_clean_message(run: Run) -> None:
    result = run("decide", "hello", "--scorer", "nosuch")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no router 'nosuch'")
    assert "Traceback" not in result.output


def test_a_dash_reads_the_prompt_from_stdin(run: Run) -> None:
    record = decided(run, "-", *PAIR, input=f"{HARD}\n")
    expected = RouterChain(pool=POOL).decide(f"{HARD}\n")
    assert record["estimates"] == expected.to_json()["estimates"]


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
    assert decided(run, "hello", *PAIR, *options)["policy"] == policy


def test_an_excluded_model_says_why(run: Run) -> None:
    too_little = decided(run, HARD, *PAIR)["estimates"]["dear"]["cost"] / 2
    result = run("decide", HARD, *PAIR, "--max-cost", str(too_little), columns=120)
    assert "expected cost" in row(result.stdout, "dear")
    assert "✓ chosen" in row(result.stdout, "cheap")


def test_when_no_model_may_be_asked_it_says_why_for_each(run: Run) -> None:
    result = run("decide", "hello", *PAIR, "--max-cost", "0")
    assert result.exit_code == 1
    assert "No model of the pool can take this request" in result.stderr
    assert "cheap: expected cost" in result.stderr


def test_an_unfamiliar_prompt_is_marked(run: Run) -> None:
    shown = run("decide", UNFAMILIAR[0], *PAIR).stdout
    assert "unfamiliar prompt" in shown
    assert "expected quality (prior)" in shown
    familiar = run("decide", HARD, *PAIR).stdout
    assert "unfamiliar prompt" not in familiar
    assert "(prior)" not in familiar


def test_of_unfamiliar_prompts_only_the_models_standing_is_known(run: Run) -> None:
    one, other = (decided(run, prompt, *PAIR)["estimates"] for prompt in UNFAMILIAR)
    for model in ("cheap", "dear"):
        assert one[model]["quality"] == other[model]["quality"]


def test_a_model_without_a_price_is_unknown_and_says_how_to_state_it(run: Run) -> None:
    result = run("decide", "hello", "-m", "openai/nobody-knows-it", "-m", "dear=2/8")
    assert result.exit_code == 0
    assert "unknown" in result.stdout
    assert "--model openai/nobody-knows-it=INPUT/OUTPUT" in " ".join(result.stdout.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(run: Run, columns: int) -> None:
    dearest = decided(run, HARD)["estimates"]["openai/gpt-4.1"]["cost"]
    result = run("decide", HARD, "--max-cost", str(dearest / 2), columns=columns)
    assert "expected cost" in row(result.stdout, "openai/gpt-4.1")
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
    given, taken = map(float, prices.split("/"))
    record = decided(run, "hello", "-m", f"ollama/x={prices}")
    known = record["estimates"]["ollama/x"]
    expected = (record["prompt_tokens"] * given + known["tokens"] * taken) / 1e6
    assert known["cost"] == pytest.approx(expected)
