"""Whether two free texts mean the same: by their words, and by the vectors of the bundled encoder.

Chosen on recorded responses (train) to TriviaQA, TruthfulQA and GSM8K, on pairs of differently
worded answers to one question of which at least one is right;
`examples.reproduce.paraphrase_figures` measures it. Words in common separate "both right" from "one
right" as well as any encoder's cosine; a denial in only one of the texts separates them best. On
texts of more than some dozen words, such as worked solutions, neither helps much: all answers to
one question are similar. Their numbers do help.
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
#: Share of common words from which on two texts mean the same: where the longer one is short, where
#: it is longer, where it is long.
_OVERLAP, _OVERLAP_LONGER, _OVERLAP_LONG = 0.45, 0.3, 0.5
#: The least cosine of two longer texts, and the least similarity of two spellings.
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
class _Features:
    """What is compared of a text."""

    words: frozenset[str]
    numerals: frozenset[str]
    denies: bool
    items: int
    length: int


def alike(a: str, b: str) -> bool:
    """Whether two free texts mean the same.

    They do not where only one denies something, or where their numbers differ. Otherwise they do
    where enough of their words are the same, where a short text stands in the other, where two
    short ones are spelled nearly alike, or where two of some length mean the same by the bundled
    encoder.
    """
    short, long = sorted(
        (_features(a), _features(b)), key=lambda text: (text.length, len(text.words))
    )
    if not short.words or not long.words:
        return a.strip() == b.strip()
    if one_denies(a, b) or numbers_differ(a, b):
        return False
    if overlap(a, b) >= _enough(long.length):
        return True
    if short.length > SHORT:
        return long.length <= LONG and similarity(a, b) >= _COSINE
    if short.words <= long.words and long.length <= _CONTAINING:
        return short.items >= long.items or long.items < 3
    return long.length <= SHORT and _spelled_alike(folded(a), folded(b))


def overlap(a: str, b: str) -> float:
    """Words in common of all words of two texts, 0..1."""
    first, second = _features(a).words, _features(b).words
    return len(first & second) / max(len(first | second), 1)


def one_denies(a: str, b: str) -> bool:
    """Whether one of two texts denies something and the other does not."""
    return _features(a).denies != _features(b).denies


def numbers_differ(a: str, b: str) -> bool:
    """Whether two texts hold different numbers.

    Of two longer texts any number counts; a short one may leave out what the other adds.
    """
    first, second = _features(a), _features(b)
    if min(first.length, second.length) > SHORT:
        return first.numerals != second.numerals
    return bool(first.numerals and second.numerals and first.numerals.isdisjoint(second.numerals))


@lru_cache(maxsize=1024)
def _features(text: str) -> _Features:
    words = folded(text).split()
    return _Features(
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


def _spelled_alike(a: str, b: str) -> bool:
    """As "Paso Doble" and "Pasodoble" are, but not 1956 and 1966."""
    a, b = sorted((a.replace(" ", ""), b.replace(" ", "")))  # the ratio depends on the order
    if a == b:
        return True
    if any(character.isdigit() for character in a + b) or len(a) + len(b) > 160:
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= _SPELLING
