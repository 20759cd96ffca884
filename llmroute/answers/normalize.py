"""Texts folded to what is compared, and the statement of an answer inside a longer text."""

from __future__ import annotations

import re
import unicodedata

#: Characters of a text that are searched for its answer: the last of them, where answers stand.
#: It bounds the work on any text.
READ = 4000
#: Words a short text has at most; a longer one is compared by its meaning.
SHORT = 8

_ARTICLES = frozenset({"a", "an", "the"})
_POSSESSIVE = re.compile(r"['’]s\b")
_APOSTROPHES = re.compile(r"['’‘`´]")
_PUNCTUATION = re.compile(r"[^\w%$€£+\-.]+|_")
_LOOSE_MARK = re.compile(r"(?<!\w)[.\-]+(?!\d)|(?<=\w)[.\-]+(?!\w)|(?<=[^\W\d])[.\-](?=\w)")
_PARTS = re.compile(r"[,;\n]|\band\b|\bor\b|&")
_MARKS = re.compile(r"[*_`]+")
#: What stands before a stated answer. The last one in a text counts.
_MARKER = re.compile(
    r"####"
    r"|\banswer(?: to\s[^.:\n]{1,80}?)?[ *_\"']{0,4}(?:\bis\b|\bwould be\b|=|:)[ *_:\"']{0,4}"
    r"|\bans\s?=",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_SENTENCE_END = re.compile(r"(?<=[\w)\"'”*]{4})[.!?](?=\s)|\n")


def tail(text: str) -> str:
    """The end of a text, as far as it is searched for an answer."""
    return text[-READ:]


def plain(text: str) -> str:
    """A text without accents, in one case and one form of its characters."""
    split = unicodedata.normalize("NFKD", text)
    return "".join(c for c in split if not unicodedata.combining(c)).casefold()


def folded(text: str) -> str:
    """A short text as it is compared: no case, accents, articles, punctuation or Markdown.

    "The Code of Hammurabi." and "code of Hammurabi" are the same. Characters that carry meaning in
    a number stay: "-3.5%". The first `READ` characters of a text count.
    """
    text = plain(_POSSESSIVE.sub("", text[:READ]))
    text = _PUNCTUATION.sub(" ", _APOSTROPHES.sub("", text))
    words = _LOOSE_MARK.sub(" ", text).split()
    kept = [word for word in words if word not in _ARTICLES]
    return " ".join(kept or words)


def listed(text: str) -> str:
    """A short text as `folded` gives it, items of an enumeration in alphabetical order.

    "Latvia, Estonia and Lithuania" and "Estonia, Latvia, Lithuania" are the same.
    """
    parts = sorted(filter(None, map(folded, _PARTS.split(text[:READ]))))
    return " | ".join(parts) if len(parts) > 1 else folded(text)


def bare(text: str) -> str:
    """A text without the Markdown, quotes and full stop around it."""
    return _MARKS.sub("", text).strip().strip("\"“”'‘’").rstrip(".").strip("\"“”'‘’ ")


def boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{…} of a text, or None."""
    opened = list(_BOXED.finditer(text))
    if not opened:
        return None
    start, depth = opened[-1].end(), 1
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end].strip() or None
    return None


def stated(text: str) -> str | None:
    """What a text itself calls its answer, to the end of that sentence; None where it does not."""
    if (box := boxed(text)) is not None:
        return box
    for marker in reversed(list(_MARKER.finditer(text))):
        rest = text[marker.end() :].strip()
        sentence = _SENTENCE_END.split(rest, maxsplit=1)[0].strip() if rest else ""
        if folded(sentence):
            return sentence
    return None
