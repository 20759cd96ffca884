"""`llmroute demo`, first part: forty requests over real HTTP, and a bill that adds up."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

import pytest
from click.testing import CliRunner

from llmroute.cli.app import cli
from llmroute.cli.demo.demo_prompts import PROMPTS
from llmroute.cli.demo.standins import LABEL, NOT_A_KEY


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The whole first part, with the scorer that ships."""
    result = CliRunner().invoke(cli, ["demo", "--part", "answers", "--json"])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    part: dict[str, Any] = json.loads(result.stdout)["answers"]
    return part


@pytest.fixture
def totals(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["totals"]
    return found


@pytest.fixture
def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [prompt["record"] for prompt in document["prompts"]]


def test_the_prompts_are_what_applications_send() -> None:
    assert len(PROMPTS) == 40
    assert len({prompt.category for prompt in PROMPTS}) >= 20
    assert any(len(prompt.question.split()) > 2500 for prompt in PROMPTS)
    assert any(prompt.tools for prompt in PROMPTS)
    assert any(prompt.schema for prompt in PROMPTS)
    assert any(len(prompt.messages) > 3 for prompt in PROMPTS)


def test_every_prompt_is_answered(document: dict[str, Any], totals: dict[str, Any]) -> None:
    assert totals["prompts"] == totals["answered"] == len(document["prompts"]) == 40
    assert all(prompt["answer"] for prompt in document["prompts"])
    assert all(prompt["error"] is None for prompt in document["prompts"])


def test_several_models_are_chosen(totals: dict[str, Any]) -> None:
    assert sum(count > 0 for count in totals["calls_by_model"].values()) >= 2
    assert sum(totals["calls_by_model"].values()) == 40


def test_the_costs_of_the_prompts_add_up_to_the_total(
    records: list[dict[str, Any]], totals: dict[str, Any]
) -> None:
    assert totals["cost_usd"] == pytest.approx(sum(record["cost_usd"] for record in records))
    assert totals["cost_usd"] == pytest.approx(sum(totals["cost_by_model"].values()))
    assert totals["saved_usd"] == pytest.approx(sum(record["saved_usd"] for record in records))


def test_the_baselines_follow_from_tokens_and_prices(
    document: dict[str, Any], records: list[dict[str, Any]], totals: dict[str, Any]
) -> None:
    prices = {m["name"]: (m["input_price"], m["output_price"]) for m in document["pool"]}
    answers = [record["calls"][-1] for record in records]

    def everything_on(model: str) -> float:
        given, taken = prices[model]
        return sum(
            (a["prompt_tokens"] * given + a["completion_tokens"] * taken) / 1e6 for a in answers
        )

    shares = {name: count / 40 for name, count in totals["calls_by_model"].items()}
    random = sum(share * everything_on(name) for name, share in shares.items())
    assert totals["random_mix_usd"] == pytest.approx(random)
    assert totals["always_strong_usd"] == pytest.approx(everything_on("standin-large"))
    assert totals["strong_share"] == shares["standin-large"]


def test_one_call_is_retried_and_one_prompt_falls_back(
    records: list[dict[str, Any]], totals: dict[str, Any]
) -> None:
    assert totals["failed_attempts"] == {"rate_limited": 1, "unavailable": 2}
    assert totals["retries"] == 2
    assert totals["fallbacks"] == 1
    (fallback,) = [record for record in records if record["answered_by"] != record["chosen"]]
    assert [call["purpose"] for call in fallback["calls"]] == ["answer", "answer", "fallback"]


def test_the_calls_were_real(document: dict[str, Any], records: list[dict[str, Any]]) -> None:
    assert document["http_requests"] == sum(len(record["calls"]) for record in records)


def test_what_is_too_long_for_a_model_is_not_sent_to_it(records: list[dict[str, Any]]) -> None:
    excluded = [record for record in records if record["excluded"]]
    assert excluded
    assert all("context window" in record["excluded"]["standin-small"] for record in excluded)


def test_it_says_that_quality_is_not_measured(document: dict[str, Any]) -> None:
    assert "quality is NOT measured here" in LABEL
    assert document["label"] == LABEL
    assert NOT_A_KEY not in json.dumps(document)


@pytest.fixture(scope="module", params=[80, 120])
def page(request: pytest.FixtureRequest) -> tuple[int, str]:
    """How wide a terminal is, and what the first part looks like on it."""
    environment = {"COLUMNS": str(request.param)}
    result = CliRunner(env=environment).invoke(cli, ["demo", "--part", "answers"])
    assert result.exit_code == 0, result.output
    assert NOT_A_KEY not in result.output
    return request.param, result.stdout


def test_the_tables_fit_the_terminal_and_end_with_the_label(page: tuple[int, str]) -> None:
    columns, text = page
    assert max(map(len, text.splitlines())) <= columns
    shown = " ".join(text.split())
    assert shown.endswith(LABEL)
    assert "40 of 40 prompts answered" in shown
    for heading in ("Who answered", "The bill", "always standin-large", "saved by routing"):
        assert heading in shown


def test_each_row_says_who_was_asked_and_what_went_wrong(
    page: tuple[int, str], records: list[dict[str, Any]]
) -> None:
    shown = paths(page[1])
    assert list(shown) == list(range(1, 41))
    for path, record in zip(shown.values(), records, strict=True):
        chosen, answered_by = (
            record[which].removeprefix("standin-") for which in ("chosen", "answered_by")
        )
        expected = {
            ("ok",): chosen,
            ("rate_limited", "ok"): f"{chosen} 429 ↻ ok",
            ("unavailable", "unavailable", "ok"): f"{chosen} 5xx ↻ 5xx → {answered_by}",
        }
        assert path == expected[tuple(call["status"] for call in record["calls"])]


def paths(text: str) -> dict[int, str]:
    """Prompt number → who was asked, as the table has it, with folded cells made whole."""
    lines = iter(text.splitlines())
    header = next(line for line in lines if line.split()[:1] == ["#"])
    left, right = header.index("model"), header.index("grounds")
    next(lines)  # the rule
    cells: list[tuple[int, list[str]]] = []
    for line in takewhile(str.strip, lines):
        number = line[: header.index("kind")].strip()
        if number:
            cells.append((int(number), []))
        cells[-1][1].extend(line[left:right].split())
    return {number: " ".join(words) for number, words in cells}
