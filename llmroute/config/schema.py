"""What may stand in a router's file: forms derived from the classes themselves, and their schema.

A form is a pydantic model with the fields of a class (`Model`, a policy, a rule, the router) that
a file can hold; what they mean is read off the class's docstring. A setting that is added to a
class stands in files from then on.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from copy import copy
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import TypeAliasType

from llmroute.config.source import ENV
from llmroute.escalation import rules
from llmroute.escalation.escalation import AUTO, Escalation
from llmroute.escalation.rules import Rule
from llmroute.policies import BUILT_IN, Policy
from llmroute.pool import Model
from llmroute.routing.router import Router

FORMAT = 1
#: The type of a field that names the environment variable of a key, and of no other field.
VARIABLE: Any = Annotated[str, "environment variable"] | None


#: The policies and rules that a file can name. A function cannot be written down.
POLICIES: dict[str, type[Policy]] = {kind.__name__: kind for kind in BUILT_IN}
RULES: dict[str, type[Rule]] = {
    name: kind
    for name, kind in vars(rules).items()
    if inspect.isclass(kind) and issubclass(kind, Rule) and kind not in (Rule, rules.FunctionRule)
}


class AnswerForm(BaseModel):
    """A part of a router's file.

    Validated with a dict as context, it notes there which fields each object may have, under the
    object's `id`: for hints about those that are misspelt.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _says_what_it_knows(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, dict):
            info.context[id(given)] = [f.alias or name for name, f in cls.model_fields.items()]
        return given


def _form_of(
    kind: type[BaseModel],
    leave_out: frozenset[str] = frozenset(),
    turned: Callable[[Any], Any] = lambda annotation: annotation,
    **more: Any,
) -> type[AnswerForm]:
    """A form with the fields of a class that are plain values; keys become variables' names."""
    meanings, fields = meanings_in(kind), dict(more)
    for name, info in kind.model_fields.items():
        meaning = meanings.get(name, info.description)
        if name in leave_out:
            continue
        if SecretStr in (info.annotation, *get_args(info.annotation)):
            text = f"Name of the environment variable that holds the key. {meaning or ''}".strip()
            fields[name + ENV] = (VARIABLE, Field(default=None, description=text))
        elif (annotation := turned(_plain_part(info.annotation))) is not None:
            fields[name] = (annotation, _described(info, meaning))
    doc = (inspect.getdoc(kind) or "").partition("\n")[0]
    form: type[AnswerForm] = create_model(kind.__name__, __base__=AnswerForm, __doc__=doc, **fields)
    return form


def _described(info: FieldInfo, meaning: str | None) -> FieldInfo:
    described = copy(info)
    described.description = meaning
    return described


def _plain_part(annotation: Any) -> Any:
    """The alternatives of a type that JSON can hold; None when there are none."""
    is_union = get_origin(annotation) in (Union, UnionType)
    parts = get_args(annotation) if is_union else (annotation,)
    plain = [_nested(part) for part in parts if _has_schema(part)]
    if not set(plain) - {type(None)}:
        return None
    return Union[tuple(plain)]  # noqa: UP007 - the number of parts is not known here


def _nested(part: Any) -> Any:
    return _form_of(part) if inspect.isclass(part) and issubclass(part, BaseModel) else part


def _has_schema(annotation: Any) -> bool:
    try:
        TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        return False
    return True


def meanings_in(kind: type) -> dict[str, str]:
    """What each argument of a class is for, from the `Args:` of its docstring.

    Args:
        kind: The class.
    """
    _, _, listed = (inspect.getdoc(kind) or "").partition("\nArgs:\n")
    block = re.split(r"\n(?=\S)", listed)[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", block, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def _named(kind: type[BaseModel]) -> dict[str, Any]:
    """The field by which a policy or rule of a file is told."""
    return {"name": (Literal[kind.__name__], ...)}


def _rule_within(annotation: Any) -> Any:
    """A rule's fields that may hold anything hold rules; the types do not say so."""
    of_rules = {Any: AnyRule, tuple[Any, ...]: tuple[AnyRule, ...]}
    return of_rules.get(annotation, annotation)


def _one_of(forms: list[Any]) -> Any:
    return Annotated[Union[tuple(forms)], Discriminator("name")]  # noqa: UP007


AnyRule: Any = TypeAliasType("AnyRule", "_AnyRule")  # rules hold rules
_rule_forms: list[Any] = [
    _form_of(kind, turned=_rule_within, **_named(kind)) for kind in RULES.values()
]
_AnyRule = _one_of(_rule_forms)
for _form in _rule_forms:
    _form.model_rebuild(_types_namespace={"_AnyRule": _AnyRule})

AnyPolicy = _one_of([_form_of(kind, **_named(kind)) for kind in POLICIES.values()])


def _text_or_object(value: Any) -> str:
    return "text" if isinstance(value, str) else "object"


def _or_text(text: Any, form: Any) -> Any:
    """A text, or an object: told apart first, so that mistakes are those of the one meant."""
    return Annotated[
        Annotated[text, Tag("text")] | Annotated[form, Tag("object")],
        Discriminator(_text_or_object),
    ]


_Auto = Literal["auto"]
EscalationForm = _form_of(
    Escalation,
    frozenset({"rule"}),
    rule=(
        _or_text(_Auto, AnyRule),
        Field(description=meanings_in(Escalation)["rule"]),
    ),
)
MemberForm = _form_of(
    Model,
    frozenset({"chat_model", "litellm_router"}),
    chat_model=(
        bool,
        Field(
            default=False,
            description="Whether a LangChain chat model answers for it, which is given to "
            "`from_file(chat_models=...)` under its name.",
        ),
    ),
    init=(
        dict[str, Any] | None,
        Field(
            default=None,
            description="Arguments of `langchain.chat_models.init_chat_model`, which makes the "
            "chat model that answers for it. Needs the extra `langchain`.",
        ),
    ),
)
_Name = Annotated[str, Field(min_length=1)]


@cache
def router_form(kind: type[Router]) -> type[AnswerForm]:
    """What a file of a router may hold.

    Args:
        kind: `RouterChain`, or a class of its kind.
    """
    meanings = meanings_in(kind)

    def field(name: str, annotation: Any, default: Any, text: str = "") -> tuple[Any, Any]:
        return annotation, Field(default=default, description=text or meanings.get(name))

    members: Any = Annotated[list[_or_text(_Name, MemberForm)], Field(min_length=1)]  # type: ignore[misc]

    return _form_of(
        kind,
        frozenset({"pool", "policy", "scorer", "escalation"}),
        schema_url=(str | None, Field(default=None, alias="$schema")),
        format=field("format", Literal[1], ..., "Version of the format of this file."),
        pool=field(
            "pool", members, ..., "The models a request may go to: LiteLLM names, or objects."
        ),
        policy=field("policy", AnyPolicy | None, None),
        scorer=field(
            "scorer",
            str,
            "static",
            "Name of a bundled scorer, or the folder of a trained one; a folder is written with a "
            "slash (./mine) and is relative to this file.",
        ),
        escalation=field("escalation", _or_text(_Auto, EscalationForm) | None, AUTO),
    )


class _Schema(GenerateJsonSchema):
    """Without titles, which only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def router_schema() -> JsonSchemaValue:
    """The JSON Schema (draft 2020-12) of a router's file; docs/router.schema.json is a copy."""
    from llmroute.chain import RouterChain

    schema = router_form(RouterChain).model_json_schema(schema_generator=_Schema)
    about = {"$schema": _Schema.schema_dialect, "title": "A router of llmroute"}
    return {**about, **{name: value for name, value in schema.items() if name != "title"}}
