"""`llmroute ask`: over real HTTP to the scripted provider."""

from __future__ import annotations

import json

import pytest

from llmroute.records import Decision
from llmroute.testing import Fault, ScriptedProvider
from tests.cli.conftest import Run
from tests.conftest import KEY

MODELS = ("-m", "openai/small=0.1/0.4", "-m", "openai/big=2/8")
#: Any quality is enough: the small model is asked first.
CHEAPEST = ("--quality", "0")


@pytest.fixture
def options(provider: ScriptedProvider) -> tuple[str, ...]:
    return (*MODELS, *CHEAPEST, "--api-base", provider.base_url)


def test_the_answer_goes_to_stdout_and_the_bill_to_stderr(
    run: Run, options: tuple[str, ...], provider: ScriptedProvider
) -> None:
    result = run("ask", "hello", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("stand-in answer from small to: hello")
    (bill,) = result.stderr.splitlines()
    assert bill.startswith("openai/small · ")
    assert "saved $" in bill
    assert "against openai/big" in bill
    assert provider.requests[-1].body["stream"] is True


def test_json_is_one_object_of_answer_and_record(run: Run, options: tuple[str, ...]) -> None:
    result = run("ask", "hello", *options, "--json")
    document = json.loads(result.stdout)
    assert set(document) == {"answer", "record"}
    assert document["answer"].startswith("stand-in answer from small")
    record = Decision.model_validate(document["record"])
    assert record.answered_by == "openai/small"
    (call,) = record.calls
    small = (call.prompt_tokens * 0.1 + call.completion_tokens * 0.4) / 1e6
    big = (call.prompt_tokens * 2 + call.completion_tokens * 8) / 1e6
    assert record.cost_usd == pytest.approx(small)
    assert record.saved_usd == pytest.approx(big - small)


def test_where_only_the_best_is_enough_the_best_model_answers_and_nothing_is_saved(
    run: Run, provider: ScriptedProvider
) -> None:
    best = ("--quality", "1", "--api-base", provider.base_url)
    result = run("ask", "hello", *MODELS, *best)
    assert result.stdout.startswith("stand-in answer from big to: hello")
    assert result.stderr.startswith("openai/big · ")
    assert "saved" not in result.stderr


def test_the_bill_names_failed_attempts(
    run: Run, options: tuple[str, ...], provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error(), times=2)
    result = run("ask", "hello", *options)
    assert result.exit_code == 0
    assert result.stderr.startswith("openai/big · ")
    assert "after openai/small unavailable, openai/small unavailable" in result.stderr


def test_a_provider_that_is_down_is_one_clean_message(run: Run) -> None:
    result = run("ask", "hello", *MODELS, "--api-base", "http://127.0.0.1:9/v1")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: No model answered, after 4 attempts")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_wrong_key_is_said_and_never_shown(
    run: Run, options: tuple[str, ...], provider: ScriptedProvider, form: tuple[str, ...]
) -> None:
    provider.fail("small", Fault.unauthorized())  # its message repeats the key
    result = run("ask", "hello", *options, *form)
    assert result.exit_code == 1
    assert "Incorrect API key" in result.stderr
    assert "OPENAI_API_KEY" in result.stderr
    assert KEY not in result.output


def test_an_answer_that_breaks_off_keeps_the_error_on_a_line_of_its_own(
    run: Run, options: tuple[str, ...], provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.cut_stream(after=3))
    result = run("ask", "hello", *options)
    assert result.exit_code == 1
    assert result.stdout.startswith("stand-in")
    assert result.stdout.endswith("\n")
    assert result.stderr.startswith("Error: openai/small: ")


def test_a_model_without_a_price_is_asked_and_its_cost_is_unknown(
    run: Run, provider: ScriptedProvider
) -> None:
    result = run("ask", "hello", "-m", "openai/medium", "--api-base", provider.base_url)
    assert result.exit_code == 0
    assert "cost unknown" in result.stderr
