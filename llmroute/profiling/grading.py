"""Whether an answer is right: a small grader that forgives form and nothing else."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

from llmroute.profiling.anchors import Kind

#: Numbers this near are equal: answers are asked for with at most four decimals.
_RELATIVE, _ABSOLUTE = 1e-3, 6e-5

_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")
_FRACTION = re.compile(r"(?<![\w./])([-+−]?\d+)\s*/\s*(\d+)(?![\w/])")
_FENCED = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
_STATED = re.compile(
    r"(?:answer|choice|option)\b[^A-Za-z]*(?:is\b)?[^A-Za-z]*([A-J])\b", re.IGNORECASE
)
_LETTER = re.compile(r"(?<![A-Za-z'’])([A-J])(?![A-Za-z'’])")
_MARKS = re.compile(r"[*_`$\"“”'‘’]")


def grade(kind: Kind, answer: str, said: str) -> float:
    """1 for a right answer, 0 for any other.

    A number: the last one in the text counts, to a tenth of a per cent. A choice: the letter that
    is called the answer, or else the last letter that stands alone. A text or a program's output:
    all of the text, or its last line, is the answer, whatever its case, marks and accents. JSON:
    the same value, in any order of keys, fenced or not.

    Args:
        kind: How it is checked.
        answer: The right answer.
        said: What the model said.
    """
    right = {
        "number": _number,
        "choice": _choice,
        "text": _text,
        "code": _code,
        "json": _json,
    }[kind](answer, said)
    return float(right)


def last_number(text: str) -> float | None:
    """The last number in a text, or None: 1,200.5, −3, 1/6, 2e-3.

    Args:
        text: Any text.
    """
    plain = text.replace("−", "-")
    found = [(m.start(), m.end(), m.group()) for m in _NUMBER.finditer(plain) if _digits(m.group())]
    if not found:
        return None
    fractions = list(_FRACTION.finditer(plain))
    if fractions and fractions[-1].end() >= found[-1][1] and int(fractions[-1].group(2)):
        over, under = fractions[-1].groups()
        return int(over) / int(under)
    number = float(found[-1][2].replace(",", ""))
    return number if math.isfinite(number) else None


def _digits(text: str) -> bool:
    return any(c.isdigit() for c in text)


def _number(answer: str, said: str) -> bool:
    found = last_number(said)
    return found is not None and math.isclose(
        found, float(answer), rel_tol=_RELATIVE, abs_tol=_ABSOLUTE
    )


def _choice(answer: str, said: str) -> bool:
    text = _MARKS.sub("", said).strip()
    stated = _STATED.findall(text)
    if stated:
        return str(stated[-1]).upper() == answer
    # At its beginning a letter with a mark behind it is the choice: "C. Mercury is nearest".
    first = re.match(r"\(?([A-J])(?:[).:]|$)", text)
    if first:
        return first.group(1) == answer
    letters = _LETTER.findall(text)
    return bool(letters) and letters[-1] == answer


def _text(answer: str, said: str) -> bool:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    tried = {normal(said), normal(lines[-1]) if lines else ""}
    return normal(answer) in tried


def _code(answer: str, said: str) -> bool:
    fenced = _FENCED.findall(said)
    return _text(answer, fenced[-1]) if fenced else _text(answer, said)


def _json(answer: str, said: str) -> bool:
    fenced = _FENCED.findall(said)
    try:
        found = json.loads(fenced[-1] if fenced else said)
    except (ValueError, RecursionError):
        return False
    return _same(json.loads(answer), found)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, and 36 is 36.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def normal(text: str) -> str:
    """A text without case, accents, marks around it and runs of blanks.

    Args:
        text: Any text.
    """
    split = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in split if not unicodedata.combining(c))
    return " ".join(_MARKS.sub("", bare).casefold().split()).strip(" .,:;!")
