"""The options of a multiple-choice prompt, and which of them an answer chooses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from llmroute.answers.normalize import bare, folded, stated, tail

_LINE = re.compile(r"^[ \t*]*\(?([A-Ja-j])[).:][ \t*]+(\S[^\n]*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!\w)\(([A-Ja-j])\)\s*([^()\n]+)")
#: A part of every second option, which is much faster to look for: most prompts have none.
_SECOND = re.compile(r"[Bb][).:]")
#: Characters at the beginning in which a letter may lead the answer.
_HEAD = 100

_ALONE = re.compile(r"(?:(?:option|choice|answer)\b[:\s]*)?[(\[]?([A-J])[)\].:]?", re.IGNORECASE)
_LEADING = re.compile(r"[(\[]?([A-J])(?:[)\].:](?=\s|$)|[ \t]*(?:\n|$|[-–—]\s))")
_LETTER = re.compile(r"(?<![\w'’])[(\[]?([A-J])[)\]]?(?![\w'’])")
_BETWEEN = (
    r"[^A-Za-z\n]{0,12}(?:(?i:is|was|be|would|must|should|likely|most|therefore|probably|option"
    r"|choice|letter)\b[^A-Za-z\n]{0,12}){0,4}[(\[]?([A-J])(?![\w'’])"
)
#: What calls a letter the answer, and what only names it, which "option A is wrong" does too.
_CALLED_ANSWER = re.compile(rf"\b(?i:answer|choose|select|pick)\b{_BETWEEN}")
_CALLED_OPTION = re.compile(rf"\b(?i:option|choice)\b{_BETWEEN}")
_NEXT = re.compile(r"\s([a-z]+)")
_AFTER_A_LETTER = frozenset({"because", "since", "as", "is", "and", "which", "for", "due", "by"})
_LATEX = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")


def options(prompt: str) -> dict[str, str]:
    """The options of a prompt's last turn, by letter; none where it is no such question.

    Two or more that begin at A and follow one another; of several lists the last, for examples
    stand before the question.
    """
    if not _SECOND.search(prompt):
        return {}
    for pattern in (_LINE, _INLINE):
        runs = _runs([(m[1].upper(), m[2].strip()) for m in pattern.finditer(prompt)])
        if runs:
            return runs[-1]
    return {}


def choice(text: str, given: Mapping[str, str]) -> str | None:
    r"""The letter that a text chooses, or None.

    In this order: nothing but a letter; what the text calls its answer, \boxed{…} included; a
    letter with a mark behind it at the beginning; the text of an option; the last letter that
    stands alone.

    Args:
        text: A model's answer.
        given: Options by letter. Where it is empty any letter from A to J counts.
    """
    letters = frozenset(given or "ABCDEFGHIJ")
    end = bare(_LATEX.sub(r"\1", tail(text)))
    answer = bare(stated(end) or "")
    for letter in _letters(bare(text[:_HEAD]), end, answer):
        if letter in letters:
            return letter
    option = _option(answer or end, given)
    return option or next(
        (letter for letter in _last_first(_LETTER, end) if letter in letters), None
    )


def _letters(head: str, end: str, answer: str) -> Iterator[str]:
    """Letters by how plainly they are called the answer, the plainest first."""
    for part in (end, answer):
        if match := _ALONE.fullmatch(part):
            yield match[1].upper()
    yield from _last_first(_CALLED_ANSWER, end)
    for part in (answer, head):
        if match := _LEADING.match(part):
            yield match[1]
    yield from _last_first(_CALLED_OPTION, end)


def _last_first(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """The letters of a pattern's matches from the last to the first, without those in words.

    "A cat" is an article, and "I" a pronoun.
    """
    for match in reversed(list(pattern.finditer(text))):
        after = _NEXT.match(text, match.end())
        if match[1] not in "AI" or after is None or after[1] in _AFTER_A_LETTER:
            yield match[1]


def _option(answer: str, given: Mapping[str, str]) -> str | None:
    """The one option whose text is the answer, or a part of it that holds no other option."""
    texts = {letter: folded(text) for letter, text in given.items()}
    words = f" {folded(answer)} "
    equal = [letter for letter, text in texts.items() if text and f" {text} " == words]
    within = [letter for letter, text in texts.items() if text and f" {text} " in words]
    longest = [
        letter
        for letter in within
        if not any(texts[letter] in texts[o] for o in within if o != letter)
    ]
    return next((letters[0] for letters in (equal, longest) if len(letters) == 1), None)


def _runs(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    runs: list[dict[str, str]] = []
    current: dict[str, str] = {}
    for letter, text in pairs:
        if letter == "A":
            current = {}
            runs.append(current)
        if letter == chr(ord("A") + len(current)):
            current[letter] = text
    return [run for run in runs if len(run) > 1]
