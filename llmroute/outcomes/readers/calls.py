"""Model calls as tracing tools record them, and how to read what they write in many ways."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
_TIME = re.compile(r"^(.{19})(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?$")


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
        numbers: Column name → number, as far as recorded.
        scores: Feedback on this call: name → value.
    """

    row: int
    key: str
    trace: str
    model: str
    prompt: str
    response: str | None = None
    numbers: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


def text_of(value: Any, keys: Sequence[str]) -> str:
    """The text of a call's inputs or outputs: of all messages, in their order; or an empty one.

    Args:
        value: What was recorded: a text, messages, an object that holds them, or one of these as
            JSON.
        keys: Under which an object may hold them, the likelier ones first.
    """
    opened = _opened(value)
    found = _inner_text(opened, keys, _DEPTH)
    if not found and isinstance(opened, dict):
        texts = [part for part in opened.values() if isinstance(part, str)]
        found = texts[0] if len(texts) == 1 else ""
    # A prompt may look like JSON and be none of these.
    return found or (value if isinstance(value, str) else "")


def json_object(value: Any) -> Json:
    """An object, also one that stands in a text as JSON; an empty one for anything else.

    Args:
        value: A field of an entry.
    """
    value = _opened(value)
    return value if isinstance(value, dict) else {}


def json_objects(value: Any) -> list[Json]:
    """The objects of a list; none for anything else.

    Args:
        value: A field of an entry.
    """
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def either(entry: Json, *names: str) -> Any:
    """The first of some fields that is there, or None.

    Args:
        entry: An object.
        names: Names that the field may have.
    """
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def first_number(*values: Any) -> float | None:
    """The first number among some fields, or None.

    Args:
        values: Fields, the more trusted ones first.
    """
    return next((n for n in map(number_of, values) if n is not None), None)


def number_of(value: Any) -> float | None:
    """A number, also one that is written as a text, or None.

    Args:
        value: A field of an entry.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if is_number(value) else None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a field is a finite number.

    Args:
        value: A field of an entry.
    """
    return isinstance(value, int | float) and abs(value) < float("inf")


def seconds_between(start: Any, end: Any) -> float | None:
    """Seconds between two times, or None, also where the second is the earlier one.

    Args:
        start: ISO 8601, without a zone in UTC; or milliseconds of the epoch.
        end: The same.
    """
    if is_number(start) and is_number(end):
        seconds = float(end - start) / 1000
    else:
        times = [_time(value) for value in (start, end)]
        if times[0] is None or times[1] is None:
            return None
        seconds = (times[1] - times[0]).total_seconds()
    return seconds if seconds >= 0 else None


def _inner_text(value: Any, keys: Sequence[str], depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        if len(value) == 2 and value[0] in _ROLES and isinstance(value[1], str):
            return value[1]
        parts = [_inner_text(part, keys, depth - 1) for part in value]
        return "\n\n".join(part for part in parts if part)
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


def _time(value: Any) -> datetime | None:
    # Python 3.10 reads neither Z nor any number of digits.
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    moment, fraction, zone = found.groups()
    zone = "+00:00" if zone in (None, "Z") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        return datetime.fromisoformat(f"{moment}.{(fraction or '0')[:6]:<06}{zone}")
    except ValueError:
        return None
