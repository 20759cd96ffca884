"""Whether two free texts say the same: by their words, and by the vectors of the bundled encoder.

Chosen on the train part of recorded responses to TriviaQA and TruthfulQA, on pairs of differently
worded answers to one question of which at least one is right; docs/escalation.md has the figures.
Words in common told "both right" from "one right" better than any encoder's cosine did, and a
denial on one side only best of all; the cosine adds paraphrases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from llmroute.escalation.encoder import similarity
from llmroute.escalation.words import folded

#: Words a short text has at most; a longer one is compared by its vector too.
SHORT = 8
#: From here on two texts say the same: words in common of all their words; the cosine of two long
#: texts; the likeness of two spellings.
_OVERLAP, _COSINE, _SPELLING = 0.45, 0.9, 0.9
#: Words of a long text in which a short one may stand and be all that it answers.
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

    They do not where only one denies something, or where their numbers have none in common.
    Otherwise they do where enough of their words are the same, where a short text stands in the
    other, where they are spelled nearly alike, or where two longer texts mean the same by the
    bundled encoder.

    Args:
        one: A text.
        other: Another.
    """
    a, b = _read(one), _read(other)
    if not a.words or not b.words:
        return one.strip() == other.strip()
    if a.denies != b.denies or (a.numerals and b.numerals and not a.numerals & b.numerals):
        return False
    if len(a.words & b.words) >= _OVERLAP * len(a.words | b.words):
        return True
    short, long = sorted((a, b), key=lambda text: text.length)
    if short.length > SHORT:
        return similarity(one, other) >= _COSINE
    if short.words <= long.words and long.length <= _CONTAINING:
        return short.items >= long.items or long.items < 3
    return long.length <= SHORT and _spelled_alike(folded(one), folded(other))


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


def _spelled_alike(one: str, other: str) -> bool:
    """"Paso Doble" and "Pasodoble", "Cloisonism" and "Cloisonnism"; not 1956 and 1966."""
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if one == other:
        return True
    if any(sign.isdigit() for sign in one + other) or len(one) + len(other) > 160:
        return False
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= _SPELLING
