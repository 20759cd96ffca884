"""JSON, tool calls and parsed structured output, compared as values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llmroute.answers.code import blocks

#: Whether two free texts say the same.
Alike = Callable[[str, str], bool]

#: Characters of a text that are parsed, brackets inside one another, and places tried.
_LONGEST, _DEEPEST, _TRIED = 200_000, 100, 8
#: What makes a string of a schema more than free text.
_STRICT = ("enum", "const", "format", "pattern")


def json_in(text: str) -> list[Any]:
    """The JSON value a text holds, in a list of one; an empty list where it holds none.

    The last fenced block that parses, or else all of the text, or else the first object or array
    that stands in it.

    Args:
        text: What a model said.
    """
    if len(text) > _LONGEST:
        return []
    for source in [*reversed([source for _, source in blocks(text)]), text]:
        if (value := _parsed(source)) is not _NOTHING:
            return [value]
    decoder = json.JSONDecoder()
    for start in _openings(text):
        try:
            return [decoder.raw_decode(text, start)[0]]
        except (ValueError, RecursionError):
            continue
    return []


def same_value(one: Any, other: Any, alike: Alike, schema: Mapping[str, Any] | None = None) -> bool:
    """Whether two values are one answer, in any order of keys: 1 is 1.0, and true is not 1.

    Args:
        one: A value of JSON.
        other: Another.
        alike: Compares strings that are free text by the schema.
        schema: JSON schema of both. Without one all strings must be equal.
    """
    try:
        return _same(one, other, alike, schema or {})
    except (RecursionError, OverflowError, ValueError, TypeError):
        return False  # nested without end, an integer no float can hold, or an object of its own


def same_calls(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two lists of tool calls are one: the same names and arguments, in any order.

    Args:
        one: (name, arguments) pairs.
        other: More of them.
    """
    left = list(other)
    for call in one:
        match = next((c for c in left if same_value(list(call), list(c), str.__eq__)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def field_schema(schema: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """The schema of one field of an object, empty where there is none.

    Args:
        schema: JSON schema of the object.
        name: The field's name.
    """
    found = ((schema or {}).get("properties") or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _same(one: Any, other: Any, alike: Alike, schema: Mapping[str, Any]) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        # NaN, which Python's JSON reader lets through, is equal to nothing, not even to itself.
        return one == other or (one != one and other != other) or math.isclose(one, other)
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip() or (_is_free(schema) and alike(one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            _same(one[key], other[key], alike, field_schema(schema, str(key))) for key in one
        )
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        items = schema.get("items")
        inner = items if isinstance(items, Mapping) else {}
        return len(one) == len(other) and all(
            _same(a, b, alike, inner) for a, b in zip(one, other, strict=True)
        )
    return bool(one == other)


def _is_free(schema: Mapping[str, Any]) -> bool:
    """Whether a schema's string is free text; one of several alternatives is enough."""
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(alternatives, list):
        return any(isinstance(s, Mapping) and _is_free(s) for s in alternatives)
    return schema.get("type") == "string" and not any(word in schema for word in _STRICT)


_NOTHING = object()


def _parsed(source: str) -> Any:
    if _too_deep(source):
        return _NOTHING
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return _NOTHING


def _openings(text: str) -> Iterator[int]:
    """Where an object or array may begin: the first few places, each of which is read once."""
    if _too_deep(text):
        return
    place = 0
    for _ in range(_TRIED):
        starts = [p for p in (text.find("{", place), text.find("[", place)) if p >= 0]
        if not starts:
            return
        yield min(starts)
        place = min(starts) + 1


def _too_deep(text: str) -> bool:
    depth = 0
    for sign in text:
        if sign in "[{":
            depth += 1
            if depth > _DEEPEST:
                return True
        elif sign in "]}":
            depth -= 1
    return False
