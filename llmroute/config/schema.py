"""What may stand in a router's file: one pydantic model, with what each field means.

The fields are those of the classes that a file describes, under the same names. A test compares
them in type, limits, default and meaning, so that neither side changes alone. A key has no field:
`api_key_env` names the environment variable that holds it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from langchain_core.language_models.model_profile import ModelProfile
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import TypeAliasType

_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
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

    def stated(self) -> dict[str, Any]:
        """The fields that the file has, in plain types."""
        return {
            info.alias or name: _plain(getattr(self, name))
            for name, info in type(self).model_fields.items()
            if name in self.model_fields_set
        }


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigModel):
        return value.stated()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


class CheapestAboveConfig(ConfigModel):
    """The cheapest model whose expected quality is close enough to the best one's. The default."""

    name: Literal["CheapestAbove"]
    quality: _Share = 0.95
    """The share of the best eligible model's expected quality that is enough, 0..1."""


class WillingnessToPayConfig(ConfigModel):
    """The model with the greatest value × quality − cost (RouterBench, arXiv 2403.12031)."""

    name: Literal["WillingnessToPay"]
    usd: float = Field(gt=0)
    """What one good answer is worth, USD. RouterBench's λ."""


class BestWithinConfig(ConfigModel):
    """The best model whose expected cost and latency stay within limits."""

    name: Literal["BestWithin"]
    cost: float | None = Field(None, ge=0)
    """USD one call may be expected to cost."""
    latency: float | None = Field(None, gt=0)
    """Seconds to the full answer it may be expected to take."""


class ThresholdConfig(ConfigModel):
    """Two models: the strong one where it is likely enough to win (RouteLLM, arXiv 2406.18665)."""

    name: Literal["Threshold"]
    threshold: _Share
    """The win probability from which the strong model is asked, 0..1. Lower means more strong
    calls."""
    strong: str | None = None
    """The strong model's name; by default the one with the better standing."""
    weak: str | None = None
    """The weak model's name; by default the other one of a pool of two."""


class StrongCallsConfig(ConfigModel):
    """A share of the prompts goes to the strongest model: those that gain most by it."""

    name: Literal["StrongCalls"]
    share: _Share
    """Part of the prompts, 0..1."""


class PinnedConfig(ConfigModel):
    """One model takes every request; nothing is estimated."""

    name: Literal["Pinned"]
    model: str
    """The model's name in the pool."""


AnyPolicy: TypeAlias = Annotated[
    CheapestAboveConfig
    | WillingnessToPayConfig
    | BestWithinConfig
    | ThresholdConfig
    | StrongCallsConfig
    | PinnedConfig,
    Discriminator("name"),
]


class MarginConfig(ConfigModel):
    """The model is unsure of the token that decides (two-tier selection, arXiv 2405.02134)."""

    name: Literal["Margin"]
    below: _Share
    """Escalate below this, 0..1."""
    of: Literal["margin", "mean", "min"] = "margin"
    """What is compared: `"margin"`, the first token of the final answer, its probability minus the
    next likeliest token's, or, for prose, code, JSON and tool calls, the mean; `"mean"`, the
    geometric mean of all tokens' probabilities; `"min"`, the least of them."""


class StrongShareConfig(ConfigModel):
    """A share of the traffic goes to the strong model: the answers that are least certain."""

    name: Literal["StrongShare"]
    share: _Share
    """Part of the drafts that may be escalated, 0..1."""
    of: Literal["margin", "mean", "min"] = "margin"
    """What is compared; see `Margin`."""


class DisagreementConfig(ConfigModel):
    """The weak model's generations do not agree (cascades by disagreement, arXiv 2310.03094)."""

    name: Literal["Disagreement"]
    samples: int = Field(3, ge=2, le=64)
    """Generations in all, the draft among them, 2 or more."""
    agree: float = Field(0.6, gt=0, le=1)
    """The share of them that must agree, above 0..1."""
    temperature: float | None = Field(0.7, ge=0)
    """Sampling temperature of the further ones; null leaves it to the model."""
    styles: tuple[str, ...] = ("",)
    """Ways to ask, in turn: `""` as the user did, `"steps"` step by step, `"program"` by writing a
    program. Mixing them finds more mistakes than one alone."""
    sure: float = Field(1.0, gt=0.5, le=1)
    """Stop sampling early when the leading answer would win against the second with this
    probability, were there no end of samples (adaptive consistency, arXiv 2305.11860); 1 stops
    only when no further sample could change the outcome."""
    together: bool = False
    """Ask all further samples at once."""


class CrossModelConfig(ConfigModel):
    """Two cheap models differ: agreement of models is stronger than that of one model's samples."""

    name: Literal["CrossModel"]
    model: str | None = None
    """The second model; by default the cheapest eligible one beside the draft's and the
    strongest."""


class SelfVerifyConfig(ConfigModel):
    """The model, asked once, doubts that its answer is correct (AutoMix, arXiv 2310.12963)."""

    name: Literal["SelfVerify"]
    below: _Share = 0.5
    """Escalate below this probability of yes, 0..1."""


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


AnyRule = TypeAliasType(  # a type with a name, since rules hold rules
    "AnyRule",
    Annotated[
        MarginConfig
        | StrongShareConfig
        | DisagreementConfig
        | CrossModelConfig
        | SelfVerifyConfig
        | RefineConfig
        | JoinedRulesConfig,
        Discriminator("name"),
    ],
)


class EscalationConfig(ConfigModel):
    """When and how a model's answer is looked at before the user sees it."""

    rule: _TextOr[Literal["auto"], AnyRule]
    """When an answer is good enough: a rule; or `"auto"`, which plans every call by what it is
    expected to gain and cost."""
    keep: bool = True
    """When no stronger model can be had, return the rejected answer, marked `unchecked` in the
    record; otherwise raise."""
    buys: tuple[Literal["verify", "sample"], ...] = ("verify", "sample")
    """For `"auto"`: what further evidence it may buy of an answer beside other models' answers:
    verification calls, further samples, both or neither."""
    latency: float | None = Field(None, gt=0)
    """Seconds the whole request may take. Where a draft and the strongest model after it are not
    expected to fit in, the strongest model is asked at once; where further evidence would not fit,
    it is not gathered and the draft counts as rejected."""
    calibration: str | None = None
    """For `"auto"`: a file made by `llmroute calibrate`, with what your own recorded answers say of
    evidence and success. Without it rounded general numbers serve. Relative to this file."""


class CapabilitiesConfig(ConfigModel):
    """What a model can do: true, false, or null for unknown. Unknown never rules a model out."""

    tools: bool | None = None
    """Tool calls."""
    vision: bool | None = None
    """Images as input."""
    audio: bool | None = None
    """Audio as input."""
    pdf: bool | None = None
    """PDF files as input."""
    json_schema: bool | None = None
    """Answers that keep to a JSON Schema."""
    reasoning: bool | None = None
    """Reasoning before the answer."""
    logprobs: bool | None = None
    """Log-probabilities of the answer's tokens."""
    several: bool | None = None
    """Several generations in one call, n>1."""
    streaming: bool | None = None
    """Streams."""


class ModelConfig(ConfigModel):
    """One member of a pool. Prices and limits that are left out are those of LiteLLM's table."""

    name: _Name
    """The name in this pool, and the LiteLLM model name unless `model` says otherwise."""
    model: str | None = None
    """The LiteLLM model name, when two members share one."""
    chat_model: bool = False
    """Whether a LangChain chat model answers for it, which is given to
    `from_file(chat_models=...)` under its name."""
    init: dict[str, Any] | None = None
    """Arguments of `langchain.chat_models.init_chat_model`, which makes the chat model that answers
    for it. Needs the extra `langchain`."""
    api_base: str | None = None
    """The provider's URL."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the provider's key; otherwise LiteLLM reads its
    usual environment variable."""
    params: dict[str, Any] = {}
    """Further arguments of every call, such as `{"temperature": 0}`."""
    timeout: float | None = Field(None, gt=0)
    """Seconds one attempt may take; by default the router's. A chat model of your own keeps its
    own."""
    input_price: float | None = None
    """USD per million input tokens."""
    cached_input_price: float | None = None
    """USD per million input tokens read from the provider's prompt cache."""
    output_price: float | None = None
    """USD per million output tokens."""
    context_window: int | None = Field(None, gt=0)
    """Tokens of input it takes."""
    max_output_tokens: int | None = Field(None, gt=0)
    """Tokens of output it gives."""
    capabilities: CapabilitiesConfig = CapabilitiesConfig()
    """What it can do."""
    tier: Literal["weak", "strong"] | None = None
    """`"weak"` or `"strong"`, when its ability is not otherwise known."""
    ability: FiniteFloat | tuple[FiniteFloat, ...] | None = None
    """Its ability, 0 for an average model, about -2 for a 7B model of 2023 and +2 for a frontier
    model; or a full ability vector of the scorer in use."""
    verbosity: float = Field(1.0, gt=0)
    """Output tokens relative to the average model."""
    first_token_s: float | None = Field(None, ge=0)
    """Seconds to its first token."""
    tokens_per_s: float | None = Field(None, gt=0)
    """Output tokens per second."""


class CooldownConfig(ConfigModel):
    """When a failing model is no longer asked, and for how long."""

    after: int = Field(5, ge=1)
    """Failures in a row (429, 5xx, no connection, timeout) from which it is not asked for a
    while."""
    seconds: float = Field(10.0, gt=0)
    """How long. When a provider asks with its 429 for a longer wait than the router's
    `max_retry_wait`, it is not asked from then on, for as long as the provider says."""


class ConversationConfig(ConfigModel):
    """How a conversation stays with its model."""

    pin_tool_loops: bool = True
    """Ask the model that called the tools until the user speaks again."""
    count_cache: bool = True
    """Let the last model's input count at its cached price."""
    cache_seconds: float = Field(300.0, ge=0)
    """How long a provider is expected to keep a prompt."""
    cache_tokens: int = Field(1024, ge=0)
    """The shortest conversation that providers keep, tokens."""


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
