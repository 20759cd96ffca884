"""A router's settings, checked, and what callers ask of it as a chat model."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Self

from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from llmroute.errors import ConfigurationError
from llmroute.policies import CheapestAbove, Policy
from llmroute.pool import ModelPool
from llmroute.request.capabilities import count_tokens
from llmroute.request.conversation import DEFAULT, Conversation
from llmroute.request.request import BoundTools, Tool
from llmroute.scoring.scorer import Scorer
from llmroute.state.cooldown import Cooldown
from llmroute.state.observers import Observer
from llmroute.state.router_state import RouterState
from llmroute.state.sessions import MemorySessions, Sessions
from llmroute.validation import readable_errors


class RouterSettings(BaseChatModel):
    """A router's settings, checked, and what it is as a chat model that others ask about.

    The docstring of `RouterChain` says what the settings mean.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    pool: ModelPool
    policy: Policy = Field(default_factory=CheapestAbove)
    scorer: Any = "static"
    escalation: Any = Field(default="auto", validate_default=True)
    timeout: float = Field(default=120.0, gt=0)
    max_retries: int = Field(default=1, ge=0)
    max_retry_wait: float = Field(default=8.0, ge=0)
    cooldown: Cooldown | None = Cooldown()
    when_refused: str | None = None
    empty_stream_fails: bool = False
    conversation: Conversation = DEFAULT
    sessions: Sessions = Field(default_factory=MemorySessions, repr=False)
    observers: tuple[Observer, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    api_key: SecretStr | None = None

    # What `scorer` names, and the scorer itself once it is loaded.
    _loaded: tuple[Any, Any] = PrivateAttr(default=(None, None))
    _state: RouterState = PrivateAttr(default_factory=RouterState)

    def __init__(self, **settings: Any) -> None:
        with readable_errors(type(self).__name__):
            super().__init__(**settings)

    def __getstate__(self) -> dict[Any, Any]:
        # A loaded scorer holds an ONNX session, which stays in its process; the copy loads its own.
        state = super().__getstate__()
        private = {**(state.get("__pydantic_private__") or {}), "_loaded": (None, None)}
        return {**state, "__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        fresh = self.__copy__()
        fresh._loaded = (None, None)
        return BaseChatModel.__deepcopy__(fresh, memo)

    @field_validator("pool", mode="before")
    @classmethod
    def _pool_of_names(cls, pool: Any) -> Any:
        return ModelPool(pool) if isinstance(pool, (list, tuple, str)) else pool

    @field_validator("scorer")
    @classmethod
    def _is_a_scorer(cls, scorer: Any) -> Any:
        if isinstance(scorer, (str, PathLike, Scorer)):
            return scorer
        raise ConfigurationError(
            "scorer is a name, the folder of a trained router, or an object with `name`, "
            f"`version` and `estimate(prompts, pool)`; a {type(scorer).__name__} was given."
        )

    @field_validator("escalation")
    @classmethod
    def _escalation_of_a_rule(cls, escalation: Any) -> Any:
        if escalation is None:
            return None
        # Imported here, because a router without it needs none of its rules.
        from llmroute.escalation.escalation import escalation_of  # noqa: PLC0415

        return escalation_of(escalation)

    @model_validator(mode="after")
    def _settings_fit_pool(self) -> Self:
        self.policy.check(self.pool.names)
        if self.when_refused is not None and self.when_refused not in self.pool:
            raise ConfigurationError(
                f"when_refused is {self.when_refused!r}, which is not in the pool; it has "
                f"{', '.join(map(repr, self.pool.names))}."
            )
        if self.escalation is not None:
            self.escalation.check(self.pool.names)
        return self

    # Callers that cut a conversation to a length count its tokens with the model it goes to.

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Tool] | None = None
    ) -> int:
        """Tokens of the messages, by the member that counts most; without a network.

        Args:
            messages: The messages.
            tools: Tools that are sent along, counted by the size of their schemas.
        """
        extra = BoundTools.of(tools).characters // 4 if tools else 0
        return max(count_tokens(member.litellm_name, messages) for member in self.pool) + extra

    def get_num_tokens(self, text: str) -> int:
        """Tokens of a text, by the member that counts most; without a network."""
        return self.get_num_tokens_from_messages([HumanMessage(text)])

    # A cached answer, a trace or a serialised chain names the router by these.

    @property
    def _llm_type(self) -> str:
        return "llmroute"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "pool": self.pool.names,
            "policy": self.policy.to_record(),
            "escalation": self.escalation and self.escalation.to_record(),
            "scorer": (
                str(self.scorer)
                if isinstance(self.scorer, (str, PathLike))
                else f"{self.scorer.name} {self.scorer.version}"
            ),
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "llmroute"
        params.setdefault("ls_model_name", "router")
        if stop := (stop or self.stop):
            params["ls_stop"] = stop
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        """What every member can do: callers such as `create_agent` plan by it."""
        profiles = [m.profile for m in self.pool]
        shared = set(profiles[0]).intersection(*profiles[1:])
        profile: Any = {
            name: min(p[name] for p in profiles)
            for name in shared
            if all(isinstance(p[name], int) for p in profiles)  # limits, and capabilities as bools
        }
        return profile or None
