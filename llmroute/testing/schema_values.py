"""A value that fits a JSON schema: the arguments of a tool call, a structured answer.

Covers what tool and answer schemas are made of: objects, arrays, strings, numbers, booleans, null,
``enum``, ``const``, ``$ref`` into ``$defs``, ``anyOf``/``oneOf``/``allOf`` and the usual bounds.
``pattern``, ``not`` and ``if`` are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A model calls for magic_function(3) in LangChain's standard tests, hence the 3.
_INTEGER = 3
_NUMBER = 0.5
# Deeper than any sensible answer; a schema that refers to itself ends here.
_DEPTH = 8

_FORMATS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def fill(schema: Mapping[str, Any], text: str, *, optional: bool = True) -> object:
    """Make a value that fits ``schema``.

    Args:
        schema: A JSON schema; its references are looked up inside it.
        text: What strings say, cut or repeated to fit their bounds.
        optional: Whether properties that are not required are filled too.
    """
    return _Filler(schema, text, optional).value(schema, 0)


@dataclass(frozen=True)
class _Filler:
    root: Mapping[str, Any]
    text: str
    optional: bool

    def value(self, schema: object, depth: int) -> object:
        if not isinstance(schema, Mapping):
            return self.text
        schema = self._plain(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if branches := schema.get("anyOf") or schema.get("oneOf"):
            return self.value(self._branch(branches, depth), depth + 1)
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return int(_within(schema, _INTEGER, schema.get("multipleOf") or 1))
            case "number":
                return _within(schema, _NUMBER, schema.get("multipleOf"))
            case "boolean":
                return True
        return None

    def _plain(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema with its references followed and its ``allOf`` folded in."""
        for _ in range(_DEPTH):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = {**self._lookup(schema["$ref"]), **rest}
        if not schema.get("allOf"):
            return schema
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in map(self._plain, schema["allOf"]):
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged = {**merged, **part}
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _lookup(self, reference: str) -> Mapping[str, Any]:
        node: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                node = node.get(step, {}) if isinstance(node, Mapping) else {}
        return node if isinstance(node, Mapping) else {}

    def _branch(self, branches: list[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
        """The first branch that is not null; null once the value is too deep."""
        wants_null = depth >= _DEPTH
        fitting = (b for b in branches if (b.get("type") == "null") == wants_null)
        return next(fitting, branches[0])

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, object]:
        properties = schema.get("properties") or {}
        required = set(schema.get("required") or ())
        extra = schema.get("additionalProperties")
        if not properties and isinstance(extra, Mapping) and depth < _DEPTH:
            return {"key": self.value(extra, depth + 1)}
        # Past the depth only what is required is worth the risk of going round again.
        every = self.optional and depth < _DEPTH
        return {
            name: self.value(inner, depth + 1)
            for name, inner in properties.items()
            if (every or name in required) and depth < 2 * _DEPTH
        }

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[object]:
        least, most = schema.get("minItems") or 0, schema.get("maxItems", float("inf"))
        if depth >= _DEPTH and not least:
            return []
        first = [self.value(item, depth + 1) for item in schema.get("prefixItems") or ()]
        wanted = min(max(least, 1), most) - len(first)
        rest = schema.get("items", {"type": "string"})
        if rest is False or (first and "items" not in schema):
            return first
        return first + [self.value(rest, depth + 1) for _ in range(int(max(wanted, 0)))]

    def _string(self, schema: Mapping[str, Any]) -> str:
        text = _FORMATS.get(schema.get("format", ""), self.text)
        least = schema.get("minLength") or 0
        while len(text) < least:
            text = f"{text} {text}" if text else "."
        return text[: schema.get("maxLength")]


def _within(schema: Mapping[str, Any], wish: float, step: float | None) -> float:
    """The number nearest to ``wish`` that the bounds and the step allow."""
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    # Without a step, one that stays strictly between two open ends.
    nudge = step or (1.0 if above is None or below is None else (below - above) / 4)
    # Where a closed and an open bound are equal, the open one counts.
    low = sum(max(_bounds((schema.get("minimum"), 0), (above, nudge)), default=(-math.inf,)))
    high = sum(min(_bounds((schema.get("maximum"), 0), (below, -nudge)), default=(math.inf,)))
    value = min(max(wish, low), high)
    if step:
        # Round up towards the least value, and down when that leaves the range.
        value = -(-value // step) * step
        if value > high:
            value = high // step * step
    return value


def _bounds(*bounds: tuple[float | None, float]) -> list[tuple[float, ...]]:
    return [(bound, gap) for bound, gap in bounds if bound is not None]
