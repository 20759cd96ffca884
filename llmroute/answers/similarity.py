"""Whether two free texts say the same: by their words, and by the vectors of the bundled encoder.

Chosen on recorded responses (train) to TriviaQA, TruthfulQA and GSM8K, on pairs of differently
worded answers to one question of which at least one is right;
`examples.reproduce.paraphrase_figures` measures it. Words in common told "both right" from "one
right" as well as any encoder's cosine; a denial on one side only told the most. On texts of more
than some dozen words, such as worked solutions, neither tells much: all that answer one question
are alike. Their numbers do tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from llmroute.answers.embedding import similarity
from llmroute.answers.normalize import SHORT, folded

#: Words a text has at most that can be compared by its vector.
LONG = 40
#: Words in common of all their words from which on two texts say the same: two short ones, two of
#: which the longer is not, two of which it is long.
_OVERLAP, _OVERLAP_LONGER, _OVERLAP_LONG = 0.45, 0.3, 0.5
#: The cosine of two longer texts, and the likeness of two spellings.
_COSINE, _SPELLING = 0.85, 0.9
#: Words of a longer text in which a short one may stand and be all that it answers.
_CONTAINING = 25

_DENIAL = re.compile(
    r"\b(?:no|not|never|none|nothing|nobody|without|cannot|nor|neither|false|incorrect|\w+n['’]?t)\b",
    re.IGNORECASE,
)
_NUMERAL = re.compile(r"\d[\w.%]*|[ivx]{1,4}")
_LISTED = re.compile(r"[,;\n]")


@dataclass(frozen=True)
class _Reading:
    """What is compared of a text."""

    words: frozenset[str]
    numerals: frozenset[str]
    denies: bool
    items: int
    length: int


def alike(one: str, other: str) -> bool:
    """Whether two free texts say the same.

    They do not where only one denies something, or where their numbers differ. Otherwise they do
    where enough of their words are the same, where a short text stands in the other, where two
    short ones are spelled nearly alike, or where two of some length mean the same by the bundled
    encoder.

    Args:
        one: A text.
        other: Another.
    """
    short, long = sorted(
        (_read(one), _read(other)), key=lambda text: (text.length, len(text.words))
    )
    if not short.words or not long.words:
        return one.strip() == other.strip()
    if one_denies(one, other) or numbers_differ(one, other):
        return False
    if overlap(one, other) >= _enough(long.length):
        return True
    if short.length > SHORT:
        return long.length <= LONG and similarity(one, other) >= _COSINE
    if short.words <= long.words and long.length <= _CONTAINING:
        return short.items >= long.items or long.items < 3
    return long.length <= SHORT and _spelled_alike(folded(one), folded(other))


def overlap(one: str, other: str) -> float:
    """Words in common of all words of two texts, 0..1.

    Args:
        one: A text.
        other: Another.
    """
    a, b = _read(one).words, _read(other).words
    return len(a & b) / max(len(a | b), 1)


def one_denies(one: str, other: str) -> bool:
    """Whether one of two texts denies something and the other does not.

    Args:
        one: A text.
        other: Another.
    """
    return _read(one).denies != _read(other).denies


def numbers_differ(one: str, other: str) -> bool:
    """Whether two texts speak of different numbers.

    Of two longer texts any number counts; a short one may leave out what the other adds.

    Args:
        one: A text.
        other: Another.
    """
    a, b = _read(one), _read(other)
    if min(a.length, b.length) > SHORT:
        return a.numerals != b.numerals
    return bool(a.numerals and b.numerals and not a.numerals & b.numerals)


@lru_cache(maxsize=1024)
def _read(text: str) -> _Reading:
    words = folded(text).split()
    return _Reading(
        words=frozenset(words),
        numerals=frozenset(word for word in words if _NUMERAL.fullmatch(word)),
        denies=_DENIAL.search(text[:4000]) is not None,
        items=len(_LISTED.findall(text[:4000])) + 1,
        length=len(words),
    )


def _enough(length: int) -> float:
    if length > LONG:
        return _OVERLAP_LONG
    return _OVERLAP if length <= SHORT else _OVERLAP_LONGER


def _spelled_alike(one: str, other: str) -> bool:
    """As "Paso Doble" and "Pasodoble" are, but not 1956 and 1966."""
    one, other = sorted((one.replace(" ", ""), other.replace(" ", "")))  # the ratio has a direction
    if one == other:
        return True
    if any(sign.isdigit() for sign in one + other) or len(one) + len(other) > 160:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SPELLING
