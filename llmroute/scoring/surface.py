"""Surface features: what a prompt looks like, counted in a few microseconds.

Training and inference share this module, so a feature means the same on both sides. Everything is
`bytes.translate`, `str.count` or `in`, which run in C: naive per-character Python costs 20 to 100
microseconds a prompt, more than the rest of the scorer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llmroute.numerics import Floats32

#: Character classes counted as a share of the text; each is one byte value after translation.
_CLASSES: dict[str, str] = {
    "digits": "0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "maths": "+-*/=<>^%|~",
    "latex": "\\${}_&",
    "brackets": "()[]",
    "quotes": "\"'`",
    "sentences": ".!?",
    "commas": ",;:",
}

#: Words and phrases whose presence is a feature, looked for in the lower-cased text.
_PHRASES: tuple[str, ...] = (
    "how many",
    "how much",
    "what is",
    "which of the following",
    "who ",
    "when ",
    "why ",
    "explain",
    "find ",
    "calculate",
    "prove",
    "show that",
    "write ",
    "statement",
    " not ",
    "except",
    "most ",
    "true",
    "if ",
    "each ",
    " per ",
    "total",
    "average",
    "def ",
    "return",
    "function",
    "code",
    "```",
    "\\frac",
    "___",
    "http",
)

_OPTION_LINES = tuple("\n" + letter for letter in "ABCDEFGHIJ")
_OPTION_ENDS = (".", ")", ":")

#: Names of the features, in the order of the array's columns.
FEATURES: tuple[str, ...] = (
    "log_characters",
    "log_words",
    "log_lines",
    "word_length",
    "log_numbers",
    "log_questions",
    "options",
    "not_ascii",
    *_CLASSES,
    *(f"has {phrase.strip()!r}" for phrase in _PHRASES),
)


def _translation(groups: Sequence[str]) -> bytes:
    table = bytearray(b" " * 256)
    for index, characters in enumerate(groups):
        for character in characters:
            table[ord(character)] = 1 + index
    return bytes(table)


_CLASS_OF = _translation(tuple(_CLASSES.values()))
_CLASS_BYTES = tuple(bytes([1 + index]) for index in range(len(_CLASSES)))
_DIGIT_OF = _translation((_CLASSES["digits"],))
_NUMBER_START = b" \x01"


def _options(text: str) -> int:
    """Lines that begin as the choices A, B, C… of a multiple-choice question do."""
    found = 0
    for start in _OPTION_LINES:
        if not any(start + end in text for end in _OPTION_ENDS):
            break
        found += 1
    return found


def surface_row(text: str) -> list[float]:
    """The features of one text.

    Args:
        text: What the scorer reads of a request, already cut.

    Returns:
        `len(FEATURES)` numbers: logarithms, shares in 0..1, and zeros or ones.
    """
    size = len(text)
    scale = 1.0 / size if size else 0.0
    if text.isascii():
        data, foreign = text.encode("ascii"), 0
    else:
        data = text.encode("ascii", "ignore")
        foreign = size - len(data)
    classes = data.translate(_CLASS_OF)
    words = 1 + text.count(" ")
    lines = text.count("\n")
    numbers = (b" " + data.translate(_DIGIT_OF)).count(_NUMBER_START)
    low = text.lower()
    row = [
        math.log1p(size),
        math.log1p(words),
        math.log1p(lines),
        min(size / words, 30.0),
        math.log1p(numbers),
        math.log1p(text.count("?")),
        float(_options(text)) if lines else 0.0,
        foreign * scale,
    ]
    row += [classes.count(mark) * scale for mark in _CLASS_BYTES]
    row += [1.0 if phrase in low else 0.0 for phrase in _PHRASES]
    return row


def surface_features(texts: Sequence[str]) -> Floats32:
    """(P, len(FEATURES)) features of texts, already cut.

    Returns:
        (P, len(FEATURES)) array.
    """
    if not texts:
        return np.zeros((0, len(FEATURES)), dtype=np.float32)
    return np.array([surface_row(text) for text in texts], dtype=np.float32)
