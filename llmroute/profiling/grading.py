"""Whether an answer is right: a small grader that forgives form and nothing else."""

from __future__ import annotations

import json
import math
import re
import unicodedata

from llmroute.answers.code import blocks
from llmroute.answers.multiple_choice import choice
from llmroute.answers.normalize import tail
from llmroute.answers.numbers import numbers
from llmroute.answers.structured import same_value
from llmroute.profiling.anchors import Kind

#: Numbers this near are equal: answers are asked for with at most four decimals.
_RELATIVE, _ABSOLUTE = 1e-3, 6e-5

_MARKS = re.compile(r"[*_`$\"“”'‘’]")


def grade(kind: Kind, answer: str, said: str) -> float:
    """1 for a right answer, 0 for any other.

    A number: the last one in the text counts, to a tenth of a per cent. A choice: the letter that
    is called the answer, or else one that leads the text, or the last one that stands alone. A text
    or a program's output: all of the text, or its last line, is the answer, whatever its case,
    marks and accents. JSON: the same value, in any order of keys, fenced or not.
    """
    right = {"number": _number, "choice": _choice, "text": _text, "code": _code, "json": _json}[
        kind
    ](answer, said)
    return float(right)


def last_number(text: str) -> float | None:
    """The last number in a text, or None: 1,200.5, −3, 1/6, 2e-3."""
    # A number that is spelled out is too often a pronoun: "no one".
    found = numbers(tail(text)) if any(sign.isdigit() for sign in text) else []
    return found[-1].value if found else None


def _number(answer: str, said: str) -> bool:
    found = last_number(said)
    return found is not None and math.isclose(
        found, float(answer), rel_tol=_RELATIVE, abs_tol=_ABSOLUTE
    )


def _choice(answer: str, said: str) -> bool:
    return choice(said, {}) == answer


def _text(answer: str, said: str) -> bool:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    tried = {normal(said), normal(lines[-1]) if lines else ""}
    return normal(answer) in tried


def _code(answer: str, said: str) -> bool:
    fenced = blocks(said)
    return _text(answer, fenced[-1][1] if fenced else said)


def _json(answer: str, said: str) -> bool:
    fenced = blocks(said)
    try:
        found = json.loads(fenced[-1][1] if fenced else said)
    except (ValueError, RecursionError):
        return False
    return same_value(json.loads(answer), found, str.__eq__)


def normal(text: str) -> str:
    """A text without case, accents, marks around it and runs of blanks."""
    split = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in split if not unicodedata.combining(c))
    return " ".join(_MARKS.sub("", bare).casefold().split()).strip(" .,:;!")
