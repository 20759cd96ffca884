"""What may stand in a router's file: one pydantic model, with what each field means.

The fields are those of the classes that a file describes, under the same names, and most objects
are made of these classes and their docstrings. A test compares type, limits, default and meaning,
so that neither side changes alone. A key has no field: `api_key_env` names the environment variable
that holds it.
"""

# The classes made below are no types to a checker.
# mypy: disable-error-code="valid-type"

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from functools import reduce
from inspect import getdoc
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from langchain_core.language_models.model_profile import ModelProfile
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import TypeAliasType

from llmroute.escalation import rules
from llmroute.escalation.escalation import Escalation
from llmroute.escalation.rules import Rule
from llmroute.policies import BUILT_IN, Policy
from llmroute.pool import Capabilities, Model
from llmroute.request.conversation import Conversation
from llmroute.state.cooldown import Cooldown

_Name: TypeAlias = Annotated[str, Field(min_length=1)]
_Text = TypeVar("_Text")
_Object = TypeVar("_Object")


#: Told apart before they are read, so that the mistakes are those of the alternative that is meant.
_TextOr: TypeAlias = Annotated[
    Annotated[_Text, Tag("text")] | Annotated[_Object, Tag("object")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "object"),
]


class ConfigModel(BaseModel):
    """An object of a router's file; the text below a field is its description in the schema.

    Validated with a dict as context, it notes there which fields each object may have, under the
    object's `id`: for hints about those that are misspelt.
    """

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _note_fields(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, dict):
            info.context[id(given)] = [f.alias or name for name, f in cls.model_fields.items()]
        return given


def _descriptions(kind: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a class says of its arguments, each in one line; none under -OO."""
    described = (getdoc(kind) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    arguments = (text.partition(": ") for text in re.split(r"(?:^|\n) {4}(?=\w)", described))
    return {name: " ".join(text.split()) for name, _, text in arguments}


def _config_of(
    kind: type[BaseModel], *, without: Set[str] = frozenset(), doc: str = "", **own: Any
) -> type[ConfigModel]:
    """The fields of a class as a file has them, with what its docstring says of each.

    Args:
        kind: The class.
        without: Its fields that no file can hold.
        doc: What the object is, where it is not the first line of the class's docstring.
        own: By name, (type, default, description) of fields that are something else in a file, or
            the description of one that only has another.
    """
    described, fields = _descriptions(kind), dict(own)
    for name, info in kind.model_fields.items():
        if isinstance(description := own.get(name, described.get(name)), str | None):
            default = ... if info.is_required() else info.get_default(call_default_factory=True)
            fields[name] = (info.rebuild_annotation(), default, description)
    made: type[ConfigModel] = create_model(  # type: ignore[call-overload]
        f"{kind.__name__}Config",
        __base__=ConfigModel,
        __doc__=doc or (getdoc(kind) or "").partition("\n")[0],
        __module__=__name__,
        **{
            name: (shape, Field(default, description=description))
            for name, (shape, default, description) in fields.items()
            if name not in without
        },
    )
    return made


def _one_of(names: Iterable[str]) -> Any:
    """One of several objects, which its field `name` tells apart."""
    return Annotated[reduce(or_, (NAMED[name] for name in names)), Discriminator("name")]


#: The policies and rules that a file can name. A function cannot be written down.
POLICIES: dict[str, type[Policy]] = {kind.__name__: kind for kind in BUILT_IN}
RULES: dict[str, type[Rule]] = {
    kind.__name__: kind
    for kind in (
        *(rules.Margin, rules.StrongShare, rules.Disagreement, rules.CrossModel),
        *(rules.SelfVerify, rules.Refine, rules.Either, rules.Both),
    )
}
#: Policy or rule → what a file may say of it.
NAMED = {
    name: _config_of(kind, name=(Literal[name], ..., None))
    for name, kind in {**POLICIES, **RULES}.items()
    if name not in ("Disagreement", "Refine", "Either", "Both")
}
NAMED["Disagreement"] = _config_of(
    rules.Disagreement,
    name=(Literal["Disagreement"], ..., None),
    temperature="Sampling temperature of the further ones; null leaves it to the model.",
)
AnyPolicy: Any = _one_of(POLICIES)


class RefineConfig(ConfigModel):
    """A rung between weak and strong: the model criticises and rewrites its draft first."""

    name: Literal["Refine"]
    check: AnyRule
    """When an answer is good enough."""


class JoinedRulesConfig(ConfigModel):
    """Several rules: `Either` (`|`) escalates when one wants to, `Both` (`&`) when all want to."""

    name: Literal["Either", "Both"]
    rules: tuple[AnyRule, ...]
    """In the order they are asked; later ones are not asked where earlier ones settle it."""


NAMED["Refine"] = RefineConfig
NAMED["Either"] = NAMED["Both"] = JoinedRulesConfig
# A type with a name, since rules hold rules.
AnyRule = TypeAliasType("AnyRule", _one_of(RULES))
EscalationConfig = _config_of(
    Escalation,
    without={"agreement"},
    doc="When and how a model's answer is looked at before the user sees it.",
    rule=(
        _TextOr[Literal["auto"], AnyRule],  # type: ignore[misc]
        ...,
        'When an answer is good enough: a rule; or `"auto"`, which plans every call by what it is '
        "expected to gain and cost.",
    ),
    calibration=f"{_descriptions(Escalation).get('calibration')} Relative to this file.",
)
CapabilitiesConfig = _config_of(
    Capabilities,
    doc="What a model can do: true, false, or null for unknown. Unknown never rules a model out.",
    tools="Tool calls.",
    vision="Images as input.",
    audio="Audio as input.",
    pdf="PDF files as input.",
    json_schema="Answers that keep to a JSON Schema.",
    reasoning="Reasoning before the answer.",
    logprobs="Log-probabilities of the answer's tokens.",
    several="Several generations in one call, n>1.",
    streaming="Streams.",
)
ModelConfig = _config_of(
    Model,
    without={"litellm_router", "api_key"},
    doc="One member of a pool. Prices and limits that are left out are those of LiteLLM's table.",
    name=(_Name, ..., _descriptions(Model).get("name")),
    chat_model=(
        bool,
        False,
        "Whether a LangChain chat model answers for it, which is given to "
        "`from_file(chat_models=...)` under its name.",
    ),
    init=(
        dict[str, Any] | None,
        None,
        "Arguments of `langchain.chat_models.init_chat_model`, which makes the chat model that "
        "answers for it. Needs the extra `langchain`.",
    ),
    api_key_env=(
        str | None,
        None,
        "Name of the environment variable that holds the provider's key; otherwise LiteLLM reads "
        "its usual environment variable.",
    ),
    params=(dict[str, Any], {}, _descriptions(Model).get("params")),
    capabilities=(CapabilitiesConfig, CapabilitiesConfig(), "What it can do."),
)
CooldownConfig, ConversationConfig = _config_of(Cooldown), _config_of(Conversation)


class RouterConfig(ConfigModel):
    """A chat model that sends each request to the cheapest model that answers it well enough."""

    schema_url: str | None = Field(None, alias="$schema")
    """Where an editor finds the JSON Schema of this file."""
    format: Literal[1]
    """Version of the format of this file."""
    pool: list[_TextOr[_Name, ModelConfig]] = Field(min_length=1)
    """The models a request may go to: LiteLLM names, or objects."""
    policy: AnyPolicy | None = None
    """How to choose; by default `CheapestAbove(quality=0.95)`."""
    scorer: str = "static"
    """Name of a bundled scorer, or the folder of a trained one; a folder is written with a slash
    (./mine) and is relative to this file."""
    escalation: _TextOr[Literal["auto"], EscalationConfig] | None = "auto"
    """What looks at an answer before the user sees it, and asks a stronger model when it is not
    good enough. By default `"auto"`: every call, draft and check is planned by what it is expected
    to gain and cost. Or an object with a rule; or null, for answers as they come."""
    timeout: float = Field(120.0, gt=0)
    """Seconds to wait for the provider's next word in one attempt, for members that set none. A
    member that is a chat model of your own keeps its own timeout."""
    max_retries: int = Field(1, ge=0)
    """Further tries on the same model after 429, 5xx or a lost connection, before the next model is
    asked."""
    max_retry_wait: float = Field(8.0, ge=0)
    """Seconds; when a provider asks to wait longer, the next model is asked."""
    cooldown: CooldownConfig | None = CooldownConfig()
    """When a model that keeps failing is not asked for a while; null asks it every time."""
    when_refused: str | None = None
    """The member to ask when a provider's content policy refused a request; by default the refusal
    is raised."""
    empty_stream_fails: bool = False
    """Ask the next model when a stream ends properly without any content. A whole answer with
    nothing in it always counts as failed, outside of a tool loop."""
    conversation: ConversationConfig = ConversationConfig()
    """How a conversation stays with its model."""
    temperature: float | None = None
    """Passed on to the chosen model, when set."""
    max_tokens: int | None = None
    """Tokens of an answer; passed on to the chosen model, when set."""
    stop: list[str] | None = None
    """Texts at which an answer ends; passed on to the chosen model, when set."""
    streaming: bool = False
    """Let members stream internally even when the whole answer is asked for."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key for members given by name that have none
    of their own."""
    name: str | None = None
    """The router's name in traces."""
    cache: bool | None = None
    """Whether answers are kept in LangChain's global cache; null keeps them where one is set."""
    verbose: bool = False
    """Whether LangChain prints what it does."""
    tags: list[str] | None = None
    """Tags of every run, in traces."""
    metadata: dict[str, Any] | None = None
    """Metadata of every run, in traces."""
    disable_streaming: bool | Literal["tool_calling"] = False
    """Answer a stream with the whole answer in one piece; `"tool_calling"`: only where tools are
    sent along."""
    output_version: str | None = None
    """Version of the format in which LangChain gives an answer's content, such as `"v1"`."""
    profile: ModelProfile | None = None
    """What the router can do; by default, what all its members can."""


class _Schema(GenerateJsonSchema):
    """Descriptions in one line, and no titles, which only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        described = super().model_schema(schema)
        for field in described["properties"].values():
            if "description" in field:
                field["description"] = " ".join(field["description"].split())
        return described


def router_schema() -> JsonSchemaValue:
    """The JSON Schema (draft 2020-12) of a router's file; docs/router.schema.json is a copy."""
    schema = RouterConfig.model_json_schema(schema_generator=_Schema)
    return {"$schema": _Schema.schema_dialect, **schema, "title": "A router of llmroute"}
