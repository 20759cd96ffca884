"""Which generations agree, measured on their answers; the majority; how far they are apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from llmroute.answers.answer_type import Expected
from llmroute.answers.extract import Answer, Generation, answer_of
from llmroute.answers.normalize import tail
from llmroute.answers.numbers import TOLERANCE, numbers, same_number
from llmroute.answers.similarity import alike
from llmroute.answers.structured import Alike, field_schema, same_calls, same_value
from llmroute.answers.votes import NO_ANSWER

#: A user's own measure: whether two generations agree.
Agreement = Callable[[Any, Any], bool]


@dataclass(frozen=True)
class FieldVote:
    """What generations say of one field of a structured output.

    Attributes:
        value: The value that most of them give; of equally frequent ones the first.
        share: Part of the generations that give it, 0..1; those without the field count.
    """

    value: Any
    share: float


def groups(
    generations: Sequence[Generation],
    asked: Expected | None = None,
    *,
    agreement: Agreement | None = None,
    tolerance: float = TOLERANCE,
    alike: Alike = alike,
) -> tuple[int, ...]:
    """Numbers of the groups of generations that agree, in the order in which they first appear.

    Each generation joins the first group whose first member it agrees with, as semantic entropy's
    clusters are made (2302.09664).

    Args:
        generations: N texts, messages, or parsed structured outputs.
        asked: What the prompt asks for, from `expected(request)`; None where nothing is known.
        agreement: Your own measure of two generations, in place of all that stands here.
        tolerance: Relative difference of two numbers that are one answer.
        alike: Whether two free texts say the same; the bundled encoder's measure by default.

    Returns:
        N numbers, 0, 1, 2, …; `NO_ANSWER` where no answer could be read, which agrees with nothing.
    """
    if agreement is not None:
        return _numbered(list(generations), lambda a, b: bool(agreement(a, b)))
    answers = [answer_of(one, asked) for one in generations]
    schema = asked.schema if asked else None
    return _numbered(answers, lambda a, b: same_answer(a, b, tolerance, alike, schema))


def same_answer(
    one: Answer,
    other: Answer,
    tolerance: float = TOLERANCE,
    alike: Alike = alike,
    schema: Mapping[str, Any] | None = None,
) -> bool:
    """Whether two answers are one.

    Args:
        one: An answer.
        other: Another.
        tolerance: Relative difference of two numbers that are one answer.
        alike: Whether two free texts say the same.
        schema: JSON schema of a structured output, or None.
    """
    kinds = {one.kind, other.kind}
    if kinds <= {"text", "prose"}:
        return bool(one.value == other.value) or alike(one.said, other.said)
    if len(kinds) > 1:
        return _number_in_text(one, other, tolerance)
    if one.kind == "number":
        return same_number(one.value, other.value, tolerance)
    if one.kind == "tools":
        return same_calls(one.value, other.value)
    if one.kind in ("json", "fields"):
        return same_value(one.value, other.value, alike, schema)
    return bool(one.value == other.value)


def _number_in_text(one: Answer, other: Answer, tolerance: float) -> bool:
    """Whether the one number of a text is the number beside it: "8", "8 apples"."""
    number, text = (one, other) if one.kind == "number" else (other, one)
    if number.kind != "number" or text.kind not in ("text", "prose"):
        return False
    found = numbers(tail(text.said))
    return len(found) == 1 and same_number(number.value, found[0], tolerance)


def majority(grouped: Sequence[int]) -> tuple[int, float]:
    """The largest group and its share of all generations; of equally large ones the first.

    Args:
        grouped: N groups' numbers, `NO_ANSWER` included in the N.

    Returns:
        The group and its share, 0..1; `NO_ANSWER` and 0 where no answer was read.
    """
    counts = Counter(group for group in grouped if group != NO_ANSWER)
    if not counts:
        return NO_ANSWER, 0.0
    group, count = max(counts.items(), key=lambda item: (item[1], -item[0]))
    return group, count / len(grouped)


def semantic_entropy(grouped: Sequence[int]) -> float:
    """How far generations are apart in meaning: the entropy of their groups (2302.09664).

    Args:
        grouped: N groups' numbers. One without an answer is a group of its own.

    Returns:
        Nats: 0 where all agree, ln N where none do.
    """
    counts = [*Counter(group for group in grouped if group != NO_ANSWER).values()]
    counts += [1] * sum(group == NO_ANSWER for group in grouped)
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) if total else 0.0


def fields(
    generations: Sequence[Generation], asked: Expected | None = None, *, alike: Alike = alike
) -> dict[str, FieldVote]:
    """The majority of each top-level field of structured outputs, and how many agree on it.

    Fields of free text are compared by meaning where a schema tells them apart; enums, numbers
    and the rest must be equal.

    Args:
        generations: N structured outputs, parsed or as text.
        asked: What was asked for; its schema tells free text from the rest.
        alike: Whether two free texts say the same.
    """
    answers = [answer_of(one, asked) for one in generations]
    objects = [a.value if a and isinstance(a.value, dict) else {} for a in answers]
    schema = asked.schema if asked else None
    voted: dict[str, FieldVote] = {}
    for name in dict.fromkeys(key for one in objects for key in one):
        inner = field_schema(schema, str(name))
        values = [one.get(name, _MISSING) for one in objects]
        numbered = _numbered(
            [None if value is _MISSING else [value] for value in values],
            partial(_same_member, alike=alike, schema=inner),
        )
        group, share = majority(numbered)
        voted[str(name)] = FieldVote(values[numbered.index(group)], share)
    return voted


_MISSING = object()


def _same_member(one: list[Any], other: list[Any], alike: Alike, schema: Mapping[str, Any]) -> bool:
    return same_value(one[0], other[0], alike, schema)


def _numbered(members: Sequence[Any], same: Callable[[Any, Any], bool]) -> tuple[int, ...]:
    """First-come numbers of groups; a member that is None is in no group."""
    first: list[Any] = []
    numbered = []
    for member in members:
        if member is None:
            numbered.append(NO_ANSWER)
            continue
        place = next((i for i, known in enumerate(first) if same(known, member)), len(first))
        if place == len(first):
            first.append(member)
        numbered.append(place)
    return tuple(numbered)
