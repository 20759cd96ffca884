"""llmroute: send each prompt to the cheapest model that will answer it well enough.

    from llmroute import RouterChain, route

    answer = route("Prove that √2 is irrational.", pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"])
    router = RouterChain(pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"])   # a LangChain chat model

Importing this package imports nothing heavy: each name below is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name → the module it lives in.
_HOME = {
    "Model": "pool",
    "ModelPool": "pool",
    "Capabilities": "pool",
    "RouterChain": "chain",
    "init_router": "call",
    "route": "call",
    "aroute": "call",
    "route_batch": "call",
    "Policy": "policies",
    "Threshold": "policies",
    "WillingnessToPay": "policies",
    "CheapestAbove": "policies",
    "BestWithin": "policies",
    "Margin": "escalation.rules",
    "Disagreement": "escalation.rules",
    "CrossModel": "escalation.rules",
    "SelfVerify": "escalation.rules",
    "StrongShare": "escalation.rules",
    "Refine": "escalation.rules",
    "Escalation": "escalation.tiers",
    "Decision": "decision",
    "CallRecord": "decision",
    "Estimates": "decision",
    "LLMRouteError": "errors",
}

__all__ = [
    "BestWithin",
    "CallRecord",
    "Capabilities",
    "CheapestAbove",
    "CrossModel",
    "Decision",
    "Disagreement",
    "Escalation",
    "Estimates",
    "LLMRouteError",
    "Margin",
    "Model",
    "ModelPool",
    "Policy",
    "Refine",
    "RouterChain",
    "SelfVerify",
    "StrongShare",
    "Threshold",
    "WillingnessToPay",
    "aroute",
    "init_router",
    "route",
    "route_batch",
]

if TYPE_CHECKING:
    from llmroute.call import aroute, init_router, route, route_batch
    from llmroute.chain import RouterChain
    from llmroute.decision import CallRecord, Decision, Estimates
    from llmroute.errors import LLMRouteError
    from llmroute.escalation.rules import (
        CrossModel,
        Disagreement,
        Margin,
        Refine,
        SelfVerify,
        StrongShare,
    )
    from llmroute.escalation.tiers import Escalation
    from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
    from llmroute.pool import Capabilities, Model, ModelPool


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'llmroute' has no attribute {name!r}")
    value = getattr(import_module(f"llmroute.{home}"), name)
    globals()[name] = value  # the next look-up is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
