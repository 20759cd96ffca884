"""Overrides of one call: what it asks for in place of the router's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field, field_validator

from llmroute import policies
from llmroute._imports import renamed
from llmroute.errors import ConfigurationError
from llmroute.policies import Policy
from llmroute.records import Estimates
from llmroute.validation import Frozen, readable_errors

#: How the names of overrides begin.
PREFIX = "llmroute_"
#: Where LangGraph and LangChain's message histories say which conversation a call belongs to.
_SESSIONS = ("session_id", "thread_id")


class Overrides(Frozen):
    """What one call asks for, by `config["configurable"]` or by arguments of the call.

        router.invoke(question, {"configurable": {"llmroute_cost": 0.01}})
        chain.with_config(configurable={"llmroute_models": ["small", "big"]})
        router.bind(llmroute_policy=CheapestAbove(quality=0.8))

    Each stands there under its name with `llmroute_` before it. An argument of the call comes
    before the config, and both before the router's settings.

    Args:
        policy: A `Policy`, or its record: `{"name": "CheapestAbove", "quality": 0.9}`.
        models: Names of the members that may be asked.
        cost: USD that one call may be expected to cost; dearer members are not asked.
        latency: Seconds that the full answer may be expected to take; and, with an escalation,
            seconds that the whole request may take.
        strong_share: Part of such calls that may go to the strongest model, 0..1; see
            `StrongCalls`. Not together with a policy.
        session: The conversation the call belongs to; otherwise `session_id` or `thread_id` of the
            config.

    Raises:
        ConfigurationError: An override of another name, or a value that cannot be used.
    """

    policy: Policy | None = None
    models: tuple[str, ...] | None = Field(default=None, min_length=1)
    cost: float | None = Field(default=None, ge=0)
    latency: float | None = Field(default=None, gt=0)
    strong_share: float | None = Field(default=None, ge=0, le=1)
    session: str | None = None

    @field_validator("policy", mode="before")
    @classmethod
    def _policy_of_a_record(cls, given: Any) -> Any:
        return policies.of_record(given) if isinstance(given, Mapping) else given

    @field_validator("models", mode="before")
    @classmethod
    def _one_name_is_a_list(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @classmethod
    def of(cls, configurable: Mapping[str, Any], arguments: Mapping[str, Any]) -> Overrides:
        """The overrides in a call's `configurable` and its arguments named `llmroute_…`."""
        given = {n: v for n, v in configurable.items() if n.startswith(PREFIX)} | dict(arguments)
        session = next((str(configurable[n]) for n in _SESSIONS if configurable.get(n)), None)
        if not given:
            return cls(session=session) if session else NO_OVERRIDES
        named = {name.removeprefix(PREFIX): value for name, value in given.items()}
        unknown = sorted(set(named) - set(cls.model_fields))
        if unknown:
            raise ConfigurationError(
                f"a call has no {', '.join(PREFIX + name for name in unknown)}; it may have "
                f"{', '.join(PREFIX + name for name in cls.model_fields)}."
            )
        if named.get("policy") is not None and named.get("strong_share") is not None:
            raise ConfigurationError("give llmroute_policy or llmroute_strong_share, not both.")
        with readable_errors("the call"):
            return cls(**{"session": session, **named})

    def check(self, members: tuple[str, ...]) -> None:
        """Raise ConfigurationError when they name a model that is none of the pool's members."""
        unknown = sorted(set(self.models or ()) - set(members))
        if unknown:
            raise ConfigurationError(
                f"llmroute_models names {', '.join(map(repr, unknown))}; the pool has "
                f"{', '.join(map(repr, members))}."
            )
        if self.policy is not None:
            self.policy.check(members)

    def excludes(self, estimates: Estimates) -> dict[str, str]:
        """The models that the overrides rule out for one prompt, each with why.

        What is unknown rules nothing out.
        """
        why: dict[str, str] = {}
        if self.models is not None:
            outside = [name for name in estimates.models if name not in self.models]
            why |= dict.fromkeys(outside, "not among the models this call may ask")
        for limit, column, text in (
            (self.cost, estimates.cost[0], "expected cost {:.2g} USD is over this call's {:.2g}"),
            (self.latency, estimates.latency[0], "expected latency {:.2g} s is over {:.2g} s"),
        ):
            for m in np.flatnonzero(column > limit) if limit is not None else ():
                why.setdefault(estimates.models[m], text.format(column[m], limit))
        return why


#: Of a call that asks for nothing.
NO_OVERRIDES = Overrides()

__getattr__ = renamed(__name__, {"Terms": "Overrides"})
