"""JSON, tool calls and parsed structured output, compared as values."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmroute.answers.code import blocks, nesting

#: Whether two free texts mean the same.
Alike = Callable[[str, str], bool]

#: Characters of a text that are parsed, brackets inside one another, and starts that are tried.
_LONGEST, _DEEPEST, _TRIED = 200_000, 100, 8
#: What makes a string of a schema more than free text.
_STRICT = ("enum", "const", "format", "pattern")
_OPENING = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder()


def json_in(text: str) -> list[Any]:
    """The JSON value a text holds, in a list of one; an empty list where it holds none.

    The last fenced block that parses, or else all of the text, or else the first object or array
    that stands in it.
    """
    if len(text) > _LONGEST:
        return []
    for source in [*reversed([source for _, source in blocks(text)]), text]:
        if nesting(source, "[{", "]}") <= _DEEPEST:
            try:
                return [json.loads(source)]
            except (ValueError, RecursionError):
                pass
    if nesting(text, "[{", "]}") <= _DEEPEST:
        for opening in itertools.islice(_OPENING.finditer(text), _TRIED):
            try:
                return [_DECODER.raw_decode(text, opening.start())[0]]
            except (ValueError, RecursionError):
                pass
    return []


def same_value(a: Any, b: Any, alike: Alike, schema: Mapping[str, Any] | None = None) -> bool:
    """Whether two values of JSON are the same answer, in any order of keys.

    1 is 1.0, and true is not 1.

    Args:
        a: A value.
        b: Another.
        alike: Compares strings that are free text by the schema.
        schema: JSON schema of both. Without one all strings must be equal.
    """
    try:
        return _same(a, b, alike, schema or {})
    except (RecursionError, OverflowError, ValueError, TypeError):
        return False  # nested without end, an integer no float can hold, or an object of its own


def same_calls(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists of tool calls have the same names and arguments, in any order.

    Args:
        a: (name, arguments) pairs.
        b: Others.
    """
    left = list(b)
    for call in a:
        match = next((c for c in left if same_value(list(call), list(c), str.__eq__)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _same(a: Any, b: Any, alike: Alike, schema: Mapping[str, Any]) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        # NaN, which Python's JSON reader lets through, is equal to nothing, not even to itself.
        return a == b or (a != a and b != b) or math.isclose(a, b)
    if isinstance(a, str) and isinstance(b, str):
        return a.strip() == b.strip() or (_is_free(schema) and alike(a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        inner = schema.get("properties") or {}
        return a.keys() == b.keys() and all(
            _same(a[key], b[key], alike, _mapping(inner.get(str(key)))) for key in a
        )
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        items = _mapping(schema.get("items"))
        return len(a) == len(b) and all(
            _same(*each, alike, items) for each in zip(a, b, strict=True)
        )
    return bool(a == b)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_free(schema: Mapping[str, Any]) -> bool:
    """Whether a schema's string is free text; one of several alternatives is enough."""
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(alternatives, list):
        return any(isinstance(s, Mapping) and _is_free(s) for s in alternatives)
    return schema.get("type") == "string" and not any(word in schema for word in _STRICT)
