"""The answer of a generation: found wherever it stands, in one form, and never with an error."""

import json
import re
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel

from llmroute.answers import (
    answer_type,
    code,
    dates,
    extract,
    multiple_choice,
    normalize,
    numbers,
    similarity,
)
from llmroute.answers.answer_type import Expected, expected
from llmroute.answers.extract import answer_of
from llmroute.answers.numbers import Number
from llmroute.request.request import BoundSchema, BoundTools, read_request

RED = expected("Which one is red?\nA: blood\nB: grass\nC: sky\nD: 40,000")
HOW_MANY = expected("How many apples are left?")
WHEN = expected("What is the date tomorrow in MM/DD/YYYY?")
WHETHER = expected("Question: Is the Earth flat?\n\nAnswer:")
NOTHING = Expected()


def read(text: Any, asked: Expected) -> Any:
    answer = answer_of(text, asked)
    return None if answer is None else answer.value


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Which is red?\nA: blood\nB: grass", "choice"),
        ("Which is red? (A) blood (B) grass (C) sky", "choice"),
        ("Example:\nA. x\nB. y\nAnswer: A\n\nWhich?\na) red\nb) blue\nc) green", "choice"),
        ("How many apples are left?", "number"),
        ("What is the total cost?", "number"),
        ("Solve for x: 2x = 4", "number"),
        ("Tom counted how many cars passed. On which day did most of them pass?", None),
        ("What is the date tomorrow in MM/DD/YYYY?", "date"),
        ("Is the Earth flat?", "yesno"),
        ("Answer yes or no: fish can swim.", "yesno"),
        ("Two numbers. Is 1.5 more than 1.25?", "yesno"),
        ("Is it red or blue?", None),
        ("Do you know what this is?", None),
        ("Can you catch a cold from being cold?", "yesno"),
        ("Can you write a poem about the sea?", None),
        ("Summarise this outline\nA. Whales\nB. Fish", None),
        ("Explain how JSON differs from XML.", None),
        ("Write a function that reverses a list.", "code"),
        ("Write a Python function that parses JSON.", "code"),
        ("Give the name and the age as JSON.", "json"),
        ("Who wrote Hamlet?", None),
        ("", None),
    ],
)
def test_what_a_prompt_asks_for_is_read_from_it(prompt: str, kind: str | None) -> None:
    assert expected(prompt).kind == kind


def test_of_several_lists_of_options_the_last_counts() -> None:
    asked = expected("A. x\nB. y\nAnswer: A\n\nWhich?\nA. red\nB. blue\nC. green")
    assert dict(asked.options) == {"A": "red", "B": "blue", "C": "green"}


def test_a_conversation_is_read_at_its_last_turn_and_system_text() -> None:
    turns = [HumanMessage("Is it?"), AIMessage("Yes"), HumanMessage("How many are there?")]
    assert expected(turns).kind == "number"
    assert expected([SystemMessage("Reply in JSON."), HumanMessage("Ada, 36")]).kind == "json"


class Person(BaseModel):
    name: str
    age: int


def test_a_schema_or_a_response_format_tells_more_than_the_text() -> None:
    turns = [HumanMessage("How many are there?")]
    request = read_request(turns, {}, BoundSchema.of(Person))
    assert expected(request).kind == "fields"
    assert set(expected(request).schema["properties"]) == {"name", "age"}  # type: ignore[index]
    assert (
        expected(read_request(turns, {"response_format": {"type": "json_object"}})).kind == "json"
    )


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(B)", "B"),
        ("**C**", "C"),
        ("D.", "D"),
        (r"$\boxed{\text{B}}$", "B"),
        (r"so \boxed{B}", "B"),
        ("The answer is B.", "B"),
        ("The correct answer is **(C)** sky.", "C"),
        ("Answer: b", "B"),
        ("The answer is A because blood is red.", "A"),
        ('{"answer": "C"}', "C"),
        ("A. is wrong, for it is blue. The answer is C.", "C"),
        ("Option A is wrong; option B is right", "B"),
        ("I choose D", "D"),
        ("C. sky", "C"),
        ("C\nA: b\nB: c", "C"),
        ("None, however since I must choose, I will choose A", "A"),
        ("Grass", "B"),
        ("It is the sky.", "C"),
        ("40,000", "D"),
        ("<think>Is it A or B?</think>B", "B"),
        ("A cat", None),
        ("None", None),
        ("I cannot help with that.", None),
        ("150", None),
    ],
)
def test_a_choice_is_read_however_it_is_said(said: str, letter: str | None) -> None:
    assert read(said, RED) == letter


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "The answer is {}.", "**{}**"]))
def test_every_letter_is_read_in_every_dress(letter: str, dress: str) -> None:
    assert read(dress.format(letter), RED) == letter


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        ("42", 42, ""),
        ("The answer is **1,200.50**.", 1200.5, ""),
        ("First 3, then 4.\n−7", -7, ""),
        ("Friday - 313", 313, ""),
        ("so 1/6", 1 / 6, ""),
        ("2 1/2 cups", 2.5, ""),
        (r"\frac{3}{4}", 0.75, ""),
        (r"\boxed{\frac{1}{2}}", 0.5, ""),
        (r"\[ \boxed{4 \text{ minutes}} \]", 4, "min"),
        ("about 2e-3", 0.002, ""),
        (r"3 \times 10^{5}", 300_000, ""),
        ("10^5", 100_000, ""),
        ("$41.32 in all", 41.32, "$"),
        (r"\$41.32", 41.32, "$"),
        ("-$5", -5, "$"),
        ("€3.50", 3.5, "€"),
        ("50%", 50, "%"),
        ("5 million dollars", 5e6, ""),
        ("twelve", 12, ""),
        ("3 hours and 20 minutes", 10 / 3, "h"),
        ("Answer: 5 feet 3 inches", 5.25, "ft"),
        ("x = 3 + 4 = 7", 7, ""),
        ("#### -46", -46, ""),
        ("Step 1: 3 + 4 = 7 apples.\n\n#### 7", 7, ""),
        ("Therefore 29 are left.####", 29, ""),
        ("The answer is 12, because 6 + 6 = 12", 12, ""),
        ("Step 9: so he has 16 crayons left.", 16, ""),
        ("<think>3? 4?</think> 5", 5, ""),
    ],
)
def test_a_number_is_read_with_its_unit(said: str, value: float, unit: str) -> None:
    found = read(said, HOW_MANY)
    assert isinstance(found, Number)
    assert (found.value, found.unit) == (pytest.approx(value), unit)


def test_a_bare_number_is_per_cent_where_that_was_asked_for() -> None:
    assert read("40", expected("What percentage of them is red?")) == Number(40, "%")


def test_several_numbers_are_a_list_and_an_answer_without_one_is_a_text() -> None:
    assert read("Answer: 4 blue, 6 red", HOW_MANY) == read("Answer: 6 red and 4 blue", HOW_MANY)
    assert read("50 calls, then 193.\nAnswer: Saturday", HOW_MANY) == "saturday"
    assert read(r"\boxed{2\pi}", HOW_MANY) != read(r"\boxed{2}", HOW_MANY)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["", "Two steps: 2 and 3.\n", "**"]))
def test_a_whole_number_is_read_in_any_dress(number: int, before: str) -> None:
    for said in (f"{before}{number}", f"{before} {number:,}.", f"{before} The answer is {number}"):
        assert read(said, HOW_MANY) == Number(number), said


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("05/01/2021", "2021-05-01"),
        ("Explain: it is the day after.\nA: 5/1/2021.", "2021-05-01"),
        ("It is May 1, 2021", "2021-05-01"),
        ("the 1st of May 2021", "2021-05-01"),
        ("Sept. 3rd, 2021", "2021-09-03"),
        ("2021-05-01T10:00:00", "2021-05-01"),
        ("01.05.2021", "2021-05-01"),
        ("31/12/2021", "2021-12-31"),
        ("May 2021", "2021-05"),
        ("1 May", "--05-01"),
    ],
)
def test_a_date_has_one_form(said: str, date: str) -> None:
    assert read(said, WHEN) == date


def test_a_date_that_could_be_two_stays_as_it_is() -> None:
    assert read("05/01/2021", expected("What is the date of the meeting?")) == "5/1/2021"
    assert read("05/01/2021", expected("Which date, as DD/MM/YYYY?")) == "2021-01-05"
    assert read("05/05/2021", NOTHING) == "2021-05-05"


def test_what_is_no_day_is_no_date() -> None:
    answer = answer_of("02/30/2021", WHEN)
    assert answer is not None
    assert answer.kind == "text"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Yes.", True),
        ("**No**, it is round.", False),
        ("True", True),
        ("It is round.\nAnswer: no", False),
        ("Not necessarily", "not necessarily"),
        ("No one knows", "no one knows"),
    ],
)
def test_yes_and_no_are_read_where_they_are_asked_for(said: str, value: Any) -> None:
    assert read(said, WHETHER) == value


@pytest.mark.parametrize(
    ("said", "kind", "value"),
    [
        ("42", "number", Number(42)),
        ("2 + 2 = 4", "number", Number(4)),
        ("eight", "number", Number(8)),
        ("12 km", "number", Number(12, "km")),
        ("Yes", "yesno", True),
        ("July 20, 1969", "date", "1969-07-20"),
        ("B", "choice", "B"),
        ('{"a": 1}', "json", {"a": 1}),
        ('Here:\n```json\n{"a": 1}\n```', "json", {"a": 1}),
        ("The Code of Hammurabi.", "text", "code of hammurabi"),
        ("The answer is **Paris**.", "text", "paris"),
        ("Latvia, Estonia, and Lithuania", "text", "estonia | latvia | lithuania"),
        ("Bibliothèque", "text", "bibliotheque"),
        ("He's 12 Monkeys", "text", "he 12 monkeys"),
    ],
)
def test_a_short_answer_tells_its_own_kind(said: str, kind: str, value: Any) -> None:
    answer = answer_of(said, NOTHING)
    assert answer is not None
    assert (answer.kind, answer.value) == (kind, value)


def test_a_longer_text_is_prose_even_where_it_speaks_of_an_answer() -> None:
    essay = "The answer is complicated. " + "There are many sides to this question. " * 20
    answer = answer_of(essay, NOTHING)
    assert answer is not None
    assert answer.kind == "prose"


@pytest.mark.parametrize("said", ["", "  \n", "...", "**", "<think>hm</think>"])
def test_silence_is_no_answer(said: str) -> None:
    assert answer_of(said, NOTHING) is None or said in ("...", "**")


def test_tool_calls_are_the_answer_whatever_the_text_beside_them() -> None:
    message = AIMessage(
        "I will look it up.", tool_calls=[{"name": "find", "args": {"n": 1}, "id": "1"}]
    )
    assert read(message, HOW_MANY) == [("find", {"n": 1})]
    assert read(AIMessage(""), HOW_MANY) is None


def test_structured_output_is_read_parsed_raw_and_as_text() -> None:
    asked = expected(read_request([HumanMessage("Who?")], {}, BoundSchema.of(Person)))
    ada = {"name": "Ada", "age": 36}
    parsed = Person(name="Ada", age=36)
    assert read(parsed, asked) == ada
    assert read(ada, asked) == ada
    assert read({"raw": AIMessage(""), "parsed": parsed, "parsing_error": None}, asked) == ada
    assert (
        read({"raw": AIMessage(""), "parsed": None, "parsing_error": ValueError()}, asked) is None
    )
    assert read(f"Here you are: {json.dumps(ada)}.", asked) == ada
    assert read("Ada", asked) is None
    assert read(None, asked) is None
    assert read([ada], asked) == [ada]


def test_a_message_that_was_cut_off_answers_only_where_it_says_so() -> None:
    long = "He uses 2 gallons of gas. " * 20
    cut = {"finish_reason": "length"}
    assert read(AIMessage(long, response_metadata=cut), HOW_MANY) is None
    assert read(AIMessage(long + "#### 7", response_metadata=cut), HOW_MANY) == Number(7)
    assert read(AIMessage("B", response_metadata=cut), RED) == "B"
    assert read(AIMessage(long), HOW_MANY) == Number(2)


def test_a_messages_blocks_are_read_and_its_thoughts_are_not() -> None:
    content: list[Any] = [{"type": "reasoning", "reasoning": "A?"}, {"type": "text", "text": "B"}]
    assert read(AIMessage(content), RED) == "B"


ASKED = st.sampled_from(
    [RED, HOW_MANY, WHEN, WHETHER, NOTHING, Expected("json"), Expected("code"), Expected("fields")]
)
PIECES = st.sampled_from(
    [
        "answer is ", "The answer is", r"\boxed{", r"\frac{1}{", "####", "```", "```python\n", "{",
        "[", '"', "'", "1,", "1/", "10^", "$", "%", "- ", "\n", "A) ", "(B)", "May ", "31/12/",
        "2021", "yes", "no", "ſix", "ı", "İ", "²", "٣", "\ud800", "e9999", "def f():\n", "=", "°",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)  # fmt: skip


@given(TEXTS, ASKED)
@settings(max_examples=500)
def test_no_text_is_an_error(text: str, asked: Expected) -> None:
    answer_of(text, asked)
    answer_of(AIMessage(text, response_metadata={"finish_reason": "length"}), asked)


@given(TEXTS)
def test_no_prompt_is_an_error(prompt: str) -> None:
    assert expected(prompt) == expected([HumanMessage(prompt)])


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), ASKED)
def test_any_json_is_read_as_it_is(value: dict[str, Any], asked: Expected) -> None:
    assert answer_of(value, asked) is not None
    assert answer_of(json.dumps(value), Expected("json")) is not None


def test_tools_that_are_bound_change_nothing_for_a_text() -> None:
    bound = BoundTools.of([Person])
    request = read_request([HumanMessage("How many are left?")], {"llmroute_tools": bound})
    assert read("4", expected(request)) == Number(4)


HOSTILE = [
    "1", "1,", "1,000", "1 ", "- ", "$", "(", "[", "{", "}", '"', "'", '\\"', "\\", "a", " ", "\n",
    ".", "1.", "+", "-", "1+", "x=", "```\n", "```json\n{", '{"a":', "/*", "A ", "A) x\n", "(A) x ",
    "no ", "answer ", "answer is ", "answer to ", "final ", "\\boxed{", "\\frac{1}{", "10^", "1/",
    "1/1/", "May 1 ",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_work_on_a_long_text_is_that_on_its_end(unit: str) -> None:
    """Of 100,000 characters no more than the ends are searched: the rest changes no answer."""
    long = (unit * (100_000 // len(unit))).strip()
    for asked in (RED, HOW_MANY, WHEN):
        answer, of_end = answer_of(long, asked), answer_of(long[-normalize.READ :], asked)
        if asked is RED or (answer and answer.kind in ("number", "date")):
            assert read(long, asked) == (of_end and of_end.value)
    for kind in ("json", "code", "yesno", None):
        answer_of(long, Expected(kind))
    expected(long)
    similarity.alike(long, long + "x")


SIGNS = [sign for sign in vars(answer_type).values() if isinstance(sign, answer_type._Sign)]


@given(data=st.data())
@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.parts[0])
def test_what_has_a_sign_has_one_of_its_parts(sign: answer_type._Sign, data: st.DataObject) -> None:
    """So looking for the parts first, which is faster, misses nothing, in whatever letters."""
    text = data.draw(st.from_regex(sign.pattern))
    assert sign.is_in(text, text.casefold())


@given(
    st.from_regex(dates._PATTERN)
    | st.from_regex(dates._DAY_FIRST)
    | st.from_regex(dates._MONTH_FIRST)
)
def test_what_shows_how_a_date_is_written_has_the_part_that_is_looked_for(prompt: str) -> None:
    assert dates._PART.search(prompt)


@given(st.from_regex(r"(?:^|\n)[Aa][).:] \w.*\n[Bb][).:] \w"))
def test_options_are_found_whatever_stands_around_them(prompt: str) -> None:
    assert set(multiple_choice.options(prompt)) >= {"A", "B"}


MODULES = [extract, multiple_choice, code, dates, answer_type, similarity, numbers, normalize]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_pattern_repeats_a_repetition(module: ModuleType) -> None:
    """What would take exponential time: (a+)+, or an unbounded repeat within another."""
    for pattern in _patterns(vars(module).values()):
        assert not _nested(_parsed(pattern)), pattern.pattern


def _patterns(values: Any) -> list[re.Pattern[str]]:
    found: list[re.Pattern[str]] = []
    for value in values:
        if isinstance(value, re.Pattern):
            found.append(value)
        elif isinstance(value, dict):
            found += [v for v in value.values() if isinstance(v, re.Pattern)]
        elif isinstance(value, tuple):
            found += [v for v in value if isinstance(v, re.Pattern)]
    return found


def _parsed(pattern: re.Pattern[str]) -> Any:
    parser = re._parser if sys.version_info >= (3, 11) else __import__("sre_parse")  # type: ignore[attr-defined]
    return parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)


def _nested(tree: Any, inside: bool = False) -> bool:
    for operator, argument in tree:
        name = str(operator)
        repeats = name in ("MAX_REPEAT", "MIN_REPEAT")
        endless = repeats and str(argument[1]) == "MAXREPEAT"
        if endless and inside:
            return True
        for part in _parts(argument):
            if _nested(part, inside or endless):
                return True
    return False


def _parts(argument: Any) -> list[Any]:
    """The patterns inside an operator's argument."""
    if hasattr(argument, "data"):
        return [argument]
    if isinstance(argument, (list, tuple)):
        return [part for one in argument for part in _parts(one)]
    return []
