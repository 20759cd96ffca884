"""Model calls as tracing tools record them, and how to read what they write in many ways."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

Json = dict[str, Any]

#: Keys of inputs and outputs that hold a text, the likelier ones first.
INPUTS = ("messages", "input", "prompt", "prompts", "question", "query", "text")
OUTPUTS = ("generations", "choices", "output", "content", "text", "messages", "answer")
_OF_A_MESSAGE = ("content", "message", "text")
#: Nesting up to which a text is looked for inside inputs and outputs.
_DEPTH = 8
#: What the first of a message's two parts says, where it is written as a pair.
_ROLES = ("system", "human", "user", "ai", "assistant", "tool")


@dataclass
class Call:
    """One call of a model.

    Attributes:
        row: Index of the entry it stands in.
        key: Its id.
        trace: Id of its trace.
        model: The model's name; empty when none is recorded.
        prompt: The text it was asked; empty when none is recorded.
        response: Its answer, or None.
        numbers: Column name → number, or None when it is not recorded.
        scores: Feedback on this call: name → value.
    """

    row: int
    key: str
    trace: str
    model: str
    prompt: str
    response: str | None
    numbers: dict[str, float | None]
    scores: dict[str, float]


def text_of(value: Any, keys: Sequence[str]) -> str:
    """The text of a call's inputs or outputs: of all messages, in their order; or an empty one.

    Args:
        value: What was recorded: a text, messages, an object that holds them, or one of these as
            JSON.
        keys: Under which an object may hold them, the likelier ones first.
    """
    opened = _opened(value)
    text = _inner_text(opened, keys, _DEPTH)
    if not text and isinstance(opened, dict):
        texts = [part for part in opened.values() if isinstance(part, str)]
        text = texts[0] if len(texts) == 1 else ""
    # A prompt may look like JSON and be none of these.
    return text or (value if isinstance(value, str) else "")


def _inner_text(value: Any, keys: Sequence[str], depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        if len(value) == 2 and value[0] in _ROLES and isinstance(value[1], str):
            return value[1]
        parts = [_inner_text(part, keys, depth - 1) for part in value]
        return "\n\n".join(filter(None, parts))
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("kwargs"), dict):  # a LangChain object, as its load module writes it
        value = value["kwargs"]
    key = next((key for key in (*_OF_A_MESSAGE, *keys) if value.get(key)), None)
    return "" if key is None else _inner_text(value[key], keys, depth - 1)


def _opened(value: Any) -> Any:
    """JSON inside of a text, which exports into flat files have."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def json_object(value: Any) -> Json:
    """An object, also one that stands in a text as JSON; an empty one for anything else."""
    value = _opened(value)
    return value if isinstance(value, dict) else {}


def json_objects(value: Any) -> list[Json]:
    """The objects of a list; none for anything else."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def either(entry: Json, *names: str) -> Any:
    """The first of some fields that is there, or None."""
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def first_number(*values: Any) -> float | None:
    """The first number among some fields, also one that is written as a text, or None."""
    for value in values:
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                continue
        if is_number(value):
            return float(value)
    return None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a field is a finite number."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def seconds_between(start: Any, end: Any) -> float | None:
    """Seconds between two times, or None, also where the second is the earlier one.

    Args:
        start: ISO 8601, without a zone in UTC; or milliseconds of the epoch.
        end: The same.
    """
    if is_number(start) and is_number(end):
        seconds = float(end - start) / 1000
    else:
        try:
            start, end = (datetime.fromisoformat(time) for time in (start, end))
        except (TypeError, ValueError):
            return None
        start, end = (t if t.tzinfo else t.replace(tzinfo=UTC) for t in (start, end))
        seconds = (end - start).total_seconds()
    return seconds if seconds >= 0 else None
