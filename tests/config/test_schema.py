"""The schema of router files says what the classes say, and the shipped copy is current."""

from __future__ import annotations

import json
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, SecretStr, TypeAdapter

import llmroute
from llmroute import Capabilities, Escalation, Model, Policy, RouterChain
from llmroute.config import RouterConfig, router_schema, schema
from llmroute.config.schema import POLICIES, RULES
from llmroute.escalation import rules
from llmroute.escalation.rules import Rule
from llmroute.request.conversation import Conversation
from llmroute.state.cooldown import Cooldown

ROOT = Path(__file__).resolve().parents[2]

#: What a file describes, and the class that is made of it.
CONFIGS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (RouterConfig, RouterChain),
    (schema.ModelConfig, Model),
    (schema.CapabilitiesConfig, Capabilities),
    (schema.CooldownConfig, Cooldown),
    (schema.ConversationConfig, Conversation),
    (schema.EscalationConfig, Escalation),
    *((schema.NAMED[name], kind) for name, kind in {**POLICIES, **RULES}.items()),
]
#: Fields that only a file has, and fields of the classes that no file can hold.
OF_FILES = {"schema_url", "format", "init"}
NOT_IN_FILES = {
    *("callbacks", "custom_get_token_ids", "rate_limiter", "sessions", "observers"),
    *("litellm_router", "agreement"),
}
#: Fields that hold something else in a file: a name or an object in place of a Python value.
OTHER_TYPE = {
    *("pool", "policy", "scorer", "escalation", "rule", "rules", "check", "cache", "chat_model"),
    *("capabilities", "cooldown", "conversation"),
}
#: Descriptions that have more to say than the class's docstring, or something else.
OTHER_WORDS = {
    *("RouterConfig.pool", "RouterConfig.scorer", "RouterConfig.escalation"),
    *("RouterConfig.cooldown", "RouterConfig.max_tokens", "RouterConfig.stop"),
    *("RouterConfig.api_key_env", "ModelConfig.api_key_env", "ModelConfig.chat_model"),
    *("EscalationConfig.rule", "EscalationConfig.calibration", "DisagreementConfig.temperature"),
}


def fields_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The fields by the names they have in a file, but for those of its keys and of its kind."""
    fields = {info.alias or name: info for name, info in kind.model_fields.items()}
    return {
        f"{name}_env" if SecretStr in getattr(info.annotation, "__args__", ()) else name: info
        for name, info in fields.items()
    }


def limits(info: Any) -> dict[str, Any]:
    """A field's type and limits, as a schema."""
    shape = TypeAdapter(info.rebuild_annotation()).json_schema()
    return {name: value for name, value in shape.items() if name != "$defs"}


@pytest.mark.parametrize(("config", "kind"), CONFIGS, ids=lambda each: each.__name__)
class TestFieldsAreThoseOfTheClasses:
    def test_none_is_missing_or_too_many(
        self, config: type[BaseModel], kind: type[BaseModel]
    ) -> None:
        own = {"name"} if kind in {**POLICIES, **RULES}.values() else set()
        in_file = config.model_fields.keys() - OF_FILES - own
        assert in_file == fields_of(kind).keys() - NOT_IN_FILES

    def test_types_limits_and_defaults(
        self, config: type[BaseModel], kind: type[BaseModel]
    ) -> None:
        for name, theirs in fields_of(kind).items():
            if name in NOT_IN_FILES | OTHER_TYPE or name.endswith("_env"):
                continue
            ours = config.model_fields[name]
            assert limits(ours) == limits(theirs), name
            if theirs.default_factory is None or name == "params":
                default = theirs.get_default(call_default_factory=True)
                assert ours.get_default() == default, name

    def test_nested_defaults(self, config: type[BaseModel], kind: type[BaseModel]) -> None:
        for name in ("capabilities", "cooldown", "conversation"):
            if name in config.model_fields:
                ours, theirs = config.model_fields[name].default, kind.model_fields[name].default
                assert ours.model_dump() == theirs.model_dump(), name

    def test_descriptions(self, config: type[BaseModel], kind: type[BaseModel]) -> None:
        said = " ".join((getdoc(kind) or "").split())
        other_words = set()
        for name, info in config.model_fields.items():
            documented = f" {name}: " in said or f" {name.removesuffix('_env')}: " in said
            description = " ".join((info.description or "").split())
            if documented and name not in OF_FILES and f" {name}: {description}" not in said:
                other_words.add(f"{config.__name__}.{name}")
        assert other_words == {
            field for field in OTHER_WORDS if field.startswith(f"{config.__name__}.")
        }


def test_each_field_is_described() -> None:
    for config, _ in CONFIGS:
        for name, info in config.model_fields.items():
            assert info.description or name == "name", f"{config.__name__}.{name}"


def test_every_policy_and_rule_that_is_offered_can_be_named() -> None:
    offered = {name: getattr(llmroute, name) for name in llmroute.__all__}
    kinds = {n for n, k in offered.items() if isinstance(k, type) and issubclass(k, Policy | Rule)}
    assert kinds - {"Policy"} <= {*POLICIES, *RULES}
    written_here = {k.__name__ for k in vars(rules).values() if isinstance(k, type)}
    assert {n for n in written_here if issubclass(getattr(rules, n), Rule)} - {
        "Rule",
        "FunctionRule",
    } == {*RULES}


def test_the_schema_names_the_same_policies_and_rules() -> None:
    def named(definition: Any) -> set[str]:
        return set(definition["discriminator"]["mapping"])

    written = router_schema()
    assert named(written["$defs"]["AnyRule"]) == set(RULES)
    assert named(written["properties"]["policy"]["anyOf"][0]) == set(POLICIES)


class TestSchema:
    def test_the_shipped_copy_is_current(self) -> None:
        shipped = json.loads((ROOT / "docs" / "router.schema.json").read_text(encoding="utf-8"))
        assert shipped == router_schema(), (
            "write it again: python -m llmroute.config > docs/router.schema.json"
        )

    def test_it_is_a_schema_whose_descriptions_are_one_line(self) -> None:
        written = router_schema()
        Draft202012Validator.check_schema(written)
        for part in (written, *written["$defs"].values()):
            for name, field in part.get("properties", {}).items():
                assert "\n" not in field.get("description", ""), name
                assert "title" not in field, name

    def test_it_refuses_what_the_reader_refuses(self) -> None:
        validator = Draft202012Validator(router_schema())
        fine: dict[str, Any] = {"format": 1, "pool": ["a"]}
        assert validator.is_valid(fine)
        for wrong in (
            {"timeot": 3},
            {"pool": [{"name": "a", "api_key": "x"}]},
            {"policy": {"name": "Cheapest"}},
            {"escalation": {"rule": {"name": "Margin", "below": 3}}},
        ):
            assert not validator.is_valid({**fine, **wrong})
