"""`llmroute demo --live`: which models, at what cost, and only when the user agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from llmroute.backends.prices import lookup
from llmroute.cli.demo.live import LABEL, models_for
from llmroute.testing import Fault, ScriptedModel, ScriptedProvider
from tests.cli.conftest import Run
from tests.conftest import KEY

KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
)


@pytest.fixture
def only_openai(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS[1:]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def openai() -> Iterator[ScriptedProvider]:
    with ScriptedProvider([ScriptedModel("gpt-4.1-nano"), ScriptedModel("gpt-4.1")]) as running:
        yield running


def test_an_openai_key_reaches_a_cheap_and_a_strong_model() -> None:
    assert models_for({"OPENAI_API_KEY": "x"}) == ["openai/gpt-4.1-nano", "openai/gpt-4.1"]


@pytest.mark.parametrize("key", KEYS)
def test_every_name_has_its_prices_in_litellms_table(key: str) -> None:
    names = models_for({key: "x"})
    assert names
    assert all(lookup(name)["output_price"] > 0 for name in names)


def test_several_keys_make_one_pool() -> None:
    names = models_for({"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y"})
    assert {name.split("/")[0] for name in names} == {"openai", "anthropic"}


def test_without_a_key_it_says_which_would_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    result = run("demo", "--live")
    assert result.exit_code == 1
    assert "OPENAI_API_KEY, ANTHROPIC_API_KEY" in result.stderr
    assert "Without --live the demo needs none" in result.stderr


@pytest.mark.usefixtures("only_openai")
class TestWithAKey:
    def test_nothing_is_sent_before_the_user_agrees_to_the_cost(
        self, run: Run, openai: ScriptedProvider
    ) -> None:
        result = run("demo", "--live", "--api-base", openai.base_url, input="n\n")
        assert result.exit_code == 1
        assert "Send 40 prompts to openai/gpt-4.1-nano, openai/gpt-4.1" in result.stderr
        assert "at most $" in result.stderr
        assert openai.requests == []

    def test_once_agreed_every_prompt_is_sent(self, run: Run, openai: ScriptedProvider) -> None:
        result = run("demo", "--live", "--api-base", openai.base_url, "--json", input="y\n")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert set(document) == {"answers"}  # the replay comes only when asked for
        assert document["answers"]["label"] == LABEL
        assert document["answers"]["totals"]["answered"] == 40
        assert len(openai.requests) == 40
        assert all(request.body["max_tokens"] == 600 for request in openai.requests)
        assert KEY not in result.output

    def test_a_prompt_that_no_model_answers_is_a_row_and_the_rest_goes_on(
        self, run: Run, openai: ScriptedProvider
    ) -> None:
        openai.fail("gpt-4.1-nano", Fault.content_policy())
        cheapest = ("--quality", "0")  # so that the model that refuses is asked
        result = run("demo", "--live", "--api-base", openai.base_url, "--yes", *cheapest)
        assert result.exit_code == 0, result.output
        assert "no answer" in result.stdout
        assert "39 of 40 prompts answered" in result.stdout

    def test_a_wrong_key_ends_it_at_once(self, run: Run, openai: ScriptedProvider) -> None:
        for model in openai.models:
            openai.fail(model, Fault.unauthorized(), times=None)
        result = run("demo", "--live", "--api-base", openai.base_url, "--yes")
        assert result.exit_code == 1
        assert "Incorrect API key" in result.stderr
        assert len(openai.requests) == 1
        assert KEY not in result.output
