"""The grader: forgiving in form, strict in substance."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.profiling import grade, load_anchors
from llmroute.profiling.grading import last_number, normal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42),
        ("The answer is **1,200.50**.", 1200.5),
        ("First 3, then 4.\n−7", -7),
        ("so 1/6", 1 / 6),
        ("about 2e-3", 0.002),
        ("x = .75", 0.75),
        ("$41.32 in all", 41.32),
        ("12 hours.", 12),
        ("none at all", None),
        ("version v2", None),
    ],
)
def test_the_last_number_counts(text: str, number: float | None) -> None:
    assert last_number(text) == (None if number is None else pytest.approx(number))


@given(st.integers(-(10**9), 10**9), st.sampled_from(["", "Two steps: 2 and 3.\n", "**"]))
def test_a_whole_number_is_right_in_any_dress(number: int, before: str) -> None:
    for said in (f"{before}{number}", f"{before} {number:,}.", f"{before} The answer is {number}"):
        assert grade("number", str(number), said) == 1


@given(st.floats(0.1, 1e6), st.floats(0.002, 10))
def test_a_number_that_is_off_is_wrong(number: float, off: float) -> None:
    assert grade("number", repr(number), f"{number * (1 + off):.10f}") == 0
    assert grade("number", repr(number), f"{number:.10f}") == 1


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"))
def test_a_choice_is_read_however_it_is_said(right: str, said: str) -> None:
    for text in (
        said,
        f"{said}.",
        f"({said})",
        f"**{said}**",
        f"The answer is {said}.",
        f"Answer: {said}",
        f"{said}. Mercury is nearest to the Sun",
        f"It is not so easy, but I choose {said}",
    ):
        assert grade("choice", right, text) == float(right == said), text


@pytest.mark.parametrize(
    ("answer", "said", "right"),
    [
        ("Tokyo", "tokyo.", 1),
        ("bibliothèque", "**Bibliotheque**", 1),
        ("Mira", "Mira is older than Jon, so:\n\nMira", 1),
        ("Mira", "Jon", 0),
        ("cold", "cold and hot", 0),
        ("knave", "'knave'", 1),
        ("H2O", "H₂O", 1),
    ],
)
def test_a_text_must_be_the_answer_and_nothing_else(answer: str, said: str, right: float) -> None:
    assert grade("text", answer, said) == right


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ('{"age": 36, "name": "Ada"}', 1),
        ('```json\n{"name": "Ada", "age": 36.0}\n```', 1),
        ('Here you are: {"name": "Ada", "age": 36}', 0),
        ('{"name": "Ada", "age": "36"}', 0),
        ('{"name": "Ada", "age": true}', 0),
        ("", 0),
        ("[" * 100_000, 0),
    ],
)
def test_json_is_compared_as_a_value(said: str, right: float) -> None:
    assert grade("json", '{"name": "Ada", "age": 36}', said) == right


def test_a_programs_output_may_be_fenced() -> None:
    assert grade("code", "129", "```\n129\n```") == 1
    assert grade("code", "b", "The program prints\nb") == 1
    assert grade("code", "129", "```\n130\n```") == 0


@given(st.sampled_from(["number", "choice", "text", "json", "code"]), st.text(max_size=200))
def test_nothing_a_model_says_breaks_the_grader(kind: str, said: str) -> None:
    answer = {"number": "4", "choice": "B", "text": "x", "json": "[1]", "code": "4"}[kind]
    assert grade(kind, answer, said) in (0.0, 1.0)  # type: ignore[arg-type]


@given(st.text(max_size=50))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normal(normal(text)) == normal(text)


def test_every_anchor_accepts_its_own_answer_and_refuses_silence() -> None:
    for anchor in load_anchors():
        assert grade(anchor.kind, anchor.answer, anchor.answer) == 1, anchor.id
        assert grade(anchor.kind, anchor.answer, "I do not know.") == 0, anchor.id
        if anchor.kind == "json":
            json.loads(anchor.answer)
