"""Which model outputs give one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmroute.answers.answer_type import Expected
from llmroute.answers.extract import Answer, ModelOutput, answer_of
from llmroute.answers.normalize import tail
from llmroute.answers.numbers import numbers, same_number
from llmroute.answers.similarity import alike
from llmroute.answers.structured import same_calls, same_value
from llmroute.answers.votes import NO_ANSWER


def groups(
    outputs: Sequence[ModelOutput],
    asked: Expected | None = None,
    *,
    agreement: Callable[[Any, Any], bool] | None = None,
) -> tuple[int, ...]:
    """Numbers of the groups of outputs that agree, in the order in which they first appear.

    Each output joins the first group whose first member it agrees with, as semantic entropy's
    clusters are made (2302.09664).

    Args:
        outputs: N texts, messages, or parsed structured outputs.
        asked: What the prompt asks for, from `expected(request)`; None where nothing is known.
        agreement: Your own measure of whether two outputs agree, in place of this one.

    Returns:
        N numbers, 0, 1, 2, …; `NO_ANSWER` where no answer could be read, which agrees with nothing.
    """
    if agreement is not None:
        return _grouped(list(outputs), lambda a, b: bool(agreement(a, b)))
    answers = [answer_of(output, asked) for output in outputs]
    schema = asked.schema if asked else None
    return _grouped(answers, lambda a, b: same_answer(a, b, schema))


def same_answer(a: Answer, b: Answer, schema: Mapping[str, Any] | None = None) -> bool:
    """Whether two answers are the same; `schema` is the JSON schema of structured outputs."""
    kinds = {a.kind, b.kind}
    if kinds <= {"text", "prose"}:
        return bool(a.value == b.value) or alike(a.text, b.text)
    if len(kinds) > 1:
        return _number_in_text(a, b) or _number_in_text(b, a)
    if a.kind == "number":
        return same_number(a.value, b.value)
    if a.kind == "tools":
        return same_calls(a.value, b.value)
    if a.kind in ("json", "fields"):
        return same_value(a.value, b.value, alike, schema)
    return bool(a.value == b.value)


def _number_in_text(number: Answer, text: Answer) -> bool:
    """Whether the one number of a text is the number beside it: "8", "8 apples"."""
    if number.kind != "number" or text.kind not in ("text", "prose"):
        return False
    read = numbers(tail(text.text))
    return len(read) == 1 and same_number(number.value, read[0])


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
