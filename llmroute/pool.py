"""The pool: the models a request may go to, each with price, limits and capabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from langchain_core.language_models import BaseChatModel
from pydantic import ConfigDict, Field, FiniteFloat, SecretStr, field_validator, model_validator

from llmroute.backends.prices import lookup
from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.validation import Frozen, readable_errors

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from llmroute.outcomes.outcomes import Outcomes


class Capabilities(Frozen):
    """What a model can do: True, False, or None for unknown. Unknown never rules a model out."""

    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    pdf: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    logprobs: bool | None = None
    several: bool | None = Field(default=None, description="Several generations in one call, n>1.")
    streaming: bool | None = None


class Model(Frozen):
    """One member of a pool.

    Three kinds: a LiteLLM model name, any LangChain chat model, or a `litellm.Router` of the
    user's own that balances deployments of one model.

        Model("openai/gpt-4.1-nano")
        Model("ollama/llama3.2", input_price=0, output_price=0)
        Model("claude", chat_model=ChatAnthropic(model="claude-sonnet-4-5"))
        Model("gpt", litellm_router=my_router)         # "gpt" is the router's model group

    Prices, limits and capabilities that are not given come from LiteLLM's packaged table; what the
    table does not know stays unknown. The docs' pool page says what follows from "unknown".

    Args:
        name: The name in this pool, and the LiteLLM model name unless `model` says otherwise.
        model: The LiteLLM model name, when two members share one.
        chat_model: A LangChain chat model that answers for this member.
        litellm_router: A `litellm.Router` that answers for this member, under the group `name`
            (or `model`).
        api_base: The provider's URL.
        api_key: The provider's key; otherwise LiteLLM reads its usual environment variable.
        params: Further arguments of every call, such as `{"temperature": 0}`.
        timeout: Seconds one attempt may take; by default the router's. A chat model of your own
            keeps its own.
        input_price: USD per million input tokens.
        cached_input_price: USD per million input tokens read from the provider's prompt cache.
        output_price: USD per million output tokens.
        context_window: Tokens of input it takes.
        max_output_tokens: Tokens of output it gives.
        capabilities: What it can do.
        tier: `"weak"` or `"strong"`, when its ability is not otherwise known.
        ability: Its ability, 0 for an average model, about -2 for a 7B model of 2023 and +2 for a
            frontier model; or a full ability vector of the scorer in use.
        verbosity: Output tokens relative to the average model.
        first_token_s: Seconds to its first token.
        tokens_per_s: Output tokens per second.

    Raises:
        ConfigurationError: A negative price, two ways to answer, or an impossible limit.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = Field(min_length=1)
    model: str | None = None
    chat_model: BaseChatModel | None = None
    litellm_router: Any = Field(default=None, repr=False)
    api_base: str | None = None
    api_key: SecretStr | None = None
    params: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    timeout: float | None = Field(default=None, gt=0)
    input_price: float | None = None
    cached_input_price: float | None = None
    output_price: float | None = None
    context_window: int | None = Field(default=None, gt=0)
    max_output_tokens: int | None = Field(default=None, gt=0)
    capabilities: Capabilities = Capabilities()
    tier: Literal["weak", "strong"] | None = None
    ability: FiniteFloat | tuple[FiniteFloat, ...] | None = None
    verbosity: float = Field(default=1.0, gt=0)
    first_token_s: float | None = Field(default=None, ge=0)
    tokens_per_s: float | None = Field(default=None, gt=0)

    def __init__(self, name: str, /, **data: Any) -> None:
        with readable_errors(f"model {name!r}"):
            super().__init__(**{"name": name, **data})

    @model_validator(mode="before")
    @classmethod
    def _fill_from_table(cls, data: dict[str, Any]) -> dict[str, Any]:
        known = lookup(_table_name(data))
        if data.get("input_price") is not None:
            # The table's price of cached input belongs to the table's price of input.
            known = {**known, "cached_input_price": None}
        stated = data.get("capabilities") or {}
        if isinstance(stated, Capabilities):
            stated = stated.model_dump(exclude_unset=True)
        merged = {**known, **{k: v for k, v in data.items() if v is not None}}
        merged["capabilities"] = {**known.get("capabilities", {}), **stated}
        return merged

    @field_validator("input_price", "cached_input_price", "output_price")
    @classmethod
    def _price_is_not_negative(cls, price: float | None) -> float | None:
        if price is not None and not (0 <= price < float("inf")):
            raise ConfigurationError(
                f"a price is USD per million tokens, 0 or more; {price} was given. "
                "For a free local model give 0."
            )
        return price

    @model_validator(mode="after")
    def _one_way_to_answer(self) -> Self:
        if self.chat_model is not None and self.litellm_router is not None:
            raise ConfigurationError(
                f"model {self.name!r} has both a chat_model and a litellm_router; give one of them."
            )
        settings = ("api_base", "api_key", "params", "timeout")
        ignored = [name for name in settings if getattr(self, name)]
        if self.chat_model is not None and ignored:
            raise ConfigurationError(
                f"model {self.name!r} answers by its own chat model, which knows nothing of "
                f"{', '.join(ignored)}; set that on the chat model."
            )
        return self

    @cached_property
    def litellm_name(self) -> str:
        """The name LiteLLM knows the model by; for a chat model, the one it reports to traces."""
        return _table_name({"name": self.name, "model": self.model, "chat_model": self.chat_model})

    @cached_property
    def runnable(self) -> BaseChatModel:
        """The chat model that answers for this member."""
        if self.chat_model is not None:
            return self.chat_model
        from llmroute.backends.litellm import LiteLLMChat  # noqa: PLC0415  # a decision needs none of it

        return LiteLLMChat(
            model=self.litellm_name,
            api_base=self.api_base,
            api_key=self.api_key,
            params=dict(self.params),
            litellm_router=self.litellm_router,
        )

    @property
    def profile(self) -> dict[str, Any]:
        """What it can do, in the words of LangChain's model profiles; only what is known."""
        if self.chat_model is not None:
            return dict(self.chat_model.profile or {})
        can = self.capabilities
        facts = {
            "max_input_tokens": self.context_window,
            "max_output_tokens": self.max_output_tokens,
            "tool_calling": can.tools,
            "structured_output": can.json_schema,
            "image_inputs": can.vision,
            "audio_inputs": can.audio,
            "pdf_inputs": can.pdf,
            "reasoning_output": can.reasoning,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def price(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0
    ) -> float | None:
        """USD for these tokens, or None when a price that is needed is unknown.

        Args:
            prompt_tokens: All input tokens, the cached ones included.
            completion_tokens: Output tokens.
            cached_tokens: Input tokens read from the provider's prompt cache.
        """
        if self.input_price is None or self.output_price is None:
            return None
        cached_price = (
            self.cached_input_price if self.cached_input_price is not None else self.input_price
        )
        fresh = max(prompt_tokens - cached_tokens, 0)
        usd_per_million = (
            fresh * self.input_price
            + cached_tokens * cached_price
            + completion_tokens * self.output_price
        )
        return round(usd_per_million / 1e6, 12)  # a price list has no more digits than that


def _table_name(data: Mapping[str, Any]) -> str:
    chat_model = data.get("chat_model")
    if isinstance(chat_model, BaseChatModel):
        # The name a chat model reports to traces is the one the provider knows.
        params = chat_model._get_ls_params()
        name = params.get("ls_model_name") or data["name"]
        return f"{params.get('ls_provider')}/{name}"
    return str(data.get("model") or data["name"])


@dataclass(frozen=True)
class PoolArrays:
    """A pool's numbers as arrays of M, NaN where unknown. Prices are USD per single token here."""

    input_price: Floats
    output_price: Floats
    verbosity: Floats
    first_token_s: Floats
    tokens_per_s: Floats


def _from_above(name: str) -> Callable[..., ModelPool]:
    """A function that makes a pool, by its dotted name: it is in a room that builds on this one."""
    function: Callable[..., ModelPool] = resolve_name(name)
    return function


class ModelPool(Frozen):
    """The models a request may go to.

    Args:
        models: `Model`s, LiteLLM names, or both, in any order.

    Raises:
        ConfigurationError: No model, two with one name, or tiers that contradict abilities.

    Warns:
        UserWarning: A strong model that is cheaper than a weak one.
    """

    models: tuple[Model, ...]

    def __init__(self, models: Sequence[Model | str] | ModelPool, /) -> None:
        if isinstance(models, str):
            raise ConfigurationError(
                f"a pool is a list of models; the string {models!r} was given. "
                f"Write ModelPool([{models!r}, ...])."
            )
        members = tuple(m if isinstance(m, Model) else Model(m) for m in models)
        with readable_errors("the pool"):
            super().__init__(**{"models": members})

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, scorer: str = "static") -> ModelPool:
        """A pool of the models in recorded outcomes, with fitted abilities and effective prices.

        For replays: fit it on the train split, and replay on the test split.

        Args:
            outcomes: Answers of the models, and what they cost.
            scorer: Name or folder of the scorer under which abilities are fitted.

        Raises:
            ConfigurationError: A model without a single answer.
        """
        return _from_above("llmroute.scoring.pool_fit:pool_from_outcomes")(outcomes, scorer)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.models:
            raise ConfigurationError("the pool is empty: give at least one model.")
        repeated = sorted({n for n in self.names if self.names.count(n) > 1})
        if repeated:
            raise ConfigurationError(
                f"two models share the name {', '.join(map(repr, repeated))}. Give one of them "
                'another name and its LiteLLM name: Model("backup", model="openai/gpt-4o").'
            )
        self._check_tiers()
        return self

    def _check_tiers(self) -> None:
        for strong in (m for m in self.models if m.tier == "strong"):
            for weak in (m for m in self.models if m.tier == "weak"):
                if (
                    isinstance(strong.ability, float)
                    and isinstance(weak.ability, float)
                    and strong.ability < weak.ability
                ):
                    raise ConfigurationError(
                        f"{strong.name!r} is marked strong with ability {strong.ability}, below "
                        f"{weak.name!r}, marked weak with {weak.ability}. Swap the tiers."
                    )
                if (
                    strong.output_price is not None
                    and weak.output_price is not None
                    and strong.output_price < weak.output_price
                ):
                    warnings.warn(
                        f"{strong.name!r} (strong) costs less than {weak.name!r} (weak): "
                        f"{strong.output_price} against {weak.output_price} USD per million output "
                        "tokens. Nothing will be saved unless the tiers or the prices are wrong.",
                        stacklevel=4,
                    )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The members' names, in order."""
        return tuple(m.name for m in self.models)

    def with_profiles(self, path: str | Path, *, scorer: str | Path = "static") -> ModelPool:
        """The pool with the abilities that `llmroute profile` measured; see docs/profile.md.

        Args:
            path: The profile file.
            scorer: Name or folder of the scorer the pool is used with.

        Raises:
            ConfigurationError: The file cannot be used, or is of another scorer.
        """
        return _from_above("llmroute.profiling:with_profiles")(self, path, scorer=scorer)

    def fit_abilities(self, outcomes: Outcomes, scorer: str | Path = "static") -> ModelPool:
        """The pool with abilities fitted from recorded answers; a model without any stays.

        Args:
            outcomes: Recorded answers, under the names of the pool.
            scorer: Name or folder of the scorer the pool is used with.

        Raises:
            ConfigurationError: No model of the pool has an answer.
        """
        return _from_above("llmroute.profiling:fit_abilities")(self, outcomes, scorer)

    def without_prices(self) -> ModelPool:
        """The pool with no price known: where calls are counted, known prices of some would weigh.

        Returns:
            Another pool of the same members.
        """
        none = {"input_price": None, "cached_input_price": None, "output_price": None}
        return ModelPool([model.model_copy(update=none) for model in self])

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Model]:  # type: ignore[override]
        return iter(self.models)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Model:
        try:
            return self._by_name[name]
        except KeyError:
            raise ConfigurationError(
                f"no model {name!r} in the pool; it has {', '.join(map(repr, self.names))}."
            ) from None

    @cached_property
    def _by_name(self) -> dict[str, Model]:
        return {m.name: m for m in self.models}

    @cached_property
    def arrays(self) -> PoolArrays:
        """The numbers estimates are made of, as arrays."""

        def column(values: list[float | None], scale: float = 1.0) -> Floats:
            return np.array([np.nan if v is None else v * scale for v in values], dtype=np.float64)

        return PoolArrays(
            input_price=column([m.input_price for m in self.models], 1e-6),
            output_price=column([m.output_price for m in self.models], 1e-6),
            verbosity=column([m.verbosity for m in self.models]),
            first_token_s=column([m.first_token_s for m in self.models]),
            tokens_per_s=column([m.tokens_per_s for m in self.models]),
        )

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What estimates depend on, hashable: for scorers that keep what they derive from it."""
        return tuple(
            (m.name, m.litellm_name, m.tier, m.ability, m.input_price, m.output_price, m.verbosity)
            for m in self.models
        )
