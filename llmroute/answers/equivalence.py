"""Which model outputs give one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmroute.answers.answer_type import Expected
from llmroute.answers.extract import Answer, ModelOutput, answer_of
from llmroute.answers.normalize import tail
from llmroute.answers.numbers import TOLERANCE, numbers, same_number
from llmroute.answers.similarity import alike
from llmroute.answers.structured import Alike, same_calls, same_value
from llmroute.answers.votes import NO_ANSWER

#: A user's own measure: whether two outputs agree.
Agreement = Callable[[Any, Any], bool]


def groups(
    outputs: Sequence[ModelOutput],
    asked: Expected | None = None,
    *,
    agreement: Agreement | None = None,
    tolerance: float = TOLERANCE,
    alike: Alike = alike,
) -> tuple[int, ...]:
    """Numbers of the groups of outputs that agree, in the order in which they first appear.

    Each output joins the first group whose first member it agrees with, as semantic entropy's
    clusters are made (2302.09664).

    Args:
        outputs: N texts, messages, or parsed structured outputs.
        asked: What the prompt asks for, from `expected(request)`; None where nothing is known.
        agreement: Your own measure of two outputs, in place of all that stands here.
        tolerance: Relative difference of two numbers that are one answer.
        alike: Whether two free texts mean the same; the bundled encoder's measure by default.

    Returns:
        N numbers, 0, 1, 2, …; `NO_ANSWER` where no answer could be read, which agrees with nothing.
    """
    if agreement is not None:
        return _grouped(list(outputs), lambda a, b: bool(agreement(a, b)))
    answers = [answer_of(output, asked) for output in outputs]
    schema = asked.schema if asked else None
    return _grouped(answers, lambda a, b: same_answer(a, b, tolerance, alike, schema))


def same_answer(
    a: Answer,
    b: Answer,
    tolerance: float = TOLERANCE,
    alike: Alike = alike,
    schema: Mapping[str, Any] | None = None,
) -> bool:
    """Whether two answers are the same.

    Args:
        a: An answer.
        b: Another.
        tolerance: Relative difference of two numbers that are one answer.
        alike: Whether two free texts mean the same.
        schema: JSON schema of a structured output, or None.
    """
    kinds = {a.kind, b.kind}
    if kinds <= {"text", "prose"}:
        return bool(a.value == b.value) or alike(a.text, b.text)
    if len(kinds) > 1:
        return _number_in_text(a, b, tolerance) or _number_in_text(b, a, tolerance)
    if a.kind == "number":
        return same_number(a.value, b.value, tolerance)
    if a.kind == "tools":
        return same_calls(a.value, b.value)
    if a.kind in ("json", "fields"):
        return same_value(a.value, b.value, alike, schema)
    return bool(a.value == b.value)


def _number_in_text(number: Answer, text: Answer, tolerance: float) -> bool:
    """Whether the one number of a text is the number beside it: "8", "8 apples"."""
    if number.kind != "number" or text.kind not in ("text", "prose"):
        return False
    read = numbers(tail(text.text))
    return len(read) == 1 and same_number(number.value, read[0], tolerance)


def _grouped(members: Sequence[Any], same: Callable[[Any, Any], bool]) -> tuple[int, ...]:
    """Each member's group, numbered as they first appear; a member that is None is in none."""
    first: list[Any] = []
    grouped = []
    for member in members:
        if member is None:
            grouped.append(NO_ANSWER)
            continue
        group = next((i for i, known in enumerate(first) if same(known, member)), len(first))
        if group == len(first):
            first.append(member)
        grouped.append(group)
    return tuple(grouped)
