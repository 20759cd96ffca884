"""Values that fit a JSON schema, and the rule that counts tokens."""

import pytest

from llmroute.testing.schema_values import fill
from llmroute.testing.tokens import count_tokens, split_tokens


def obj(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "minLength": 6}, "text text"),
        ({"type": "string", "format": "date"}, "2024-01-31"),
        ({"type": "integer"}, 3),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "integer", "exclusiveMinimum": 10}, 11),
        ({"type": "integer", "maximum": 2}, 2),
        ({"type": "integer", "exclusiveMinimum": -1000, "exclusiveMaximum": 1000}, 3),
        ({"type": "integer", "multipleOf": 5}, 5),
        ({"type": "number"}, 0.5),
        ({"type": "number", "minimum": 1, "maximum": 2}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"type": ["null", "integer"]}, 3),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "text"),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 3),
        ({"type": "array", "items": {"type": "integer"}}, [3]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [3, 3]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}]}, [3, None]),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "object"}, {}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"key": 3}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 3}),
        (
            obj(inner=obj(flag={"type": "boolean"}), many={"type": "array", "items": obj(n={})}),
            {"inner": {"flag": True}, "many": [{"n": "text"}]},
        ),
        (
            {"allOf": [obj(a={"type": "integer"}), obj(b={"type": "boolean"})]},
            {"a": 3, "b": True},
        ),
    ],
)
def test_kinds(schema, value):
    assert fill(schema, "text") == value


def test_references_are_followed():
    schema = obj(pet={"$ref": "#/$defs/Pet"}) | {"$defs": {"Pet": obj(name={"type": "string"})}}
    assert fill(schema, "Rex") == {"pet": {"name": "Rex"}}


def test_a_schema_that_refers_to_itself_ends():
    node = obj(
        value={"type": "integer"},
        next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        children={"type": "array", "items": {"$ref": "#/$defs/Node"}},
    )
    value = fill({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "text")
    depth = 0
    while value is not None:
        assert value["value"] == 3
        value, depth = value["next"], depth + 1
    assert 1 < depth < 20


def test_optional_properties_can_be_left_out():
    schema = obj(a={"type": "integer"})
    schema["properties"]["b"] = {"type": "integer"}
    assert fill(schema, "text", optional=False) == {"a": 3}
    assert fill(schema, "text") == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello", 1),
        ("Hello, world!", 4),
        ("  spaced\nout ", 3),
        ("3.14", 3),
        ("你好 世界", 2),
    ],
)
def test_tokens_are_words_and_marks(text, tokens):
    assert count_tokens(text) == tokens
    assert "".join(split_tokens(text)) == text
