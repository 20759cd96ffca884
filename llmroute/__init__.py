"""llmroute: send each prompt to the cheapest model that will answer it well enough.

    from llmroute import RouterChain, route

    answer = route("Prove that √2 is irrational.", pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"])
    router = RouterChain(pool=["openai/gpt-4.1-nano", "openai/gpt-4.1"])   # a LangChain chat model

Importing this package imports nothing heavy: each name below is loaded when it is first used.
"""

from __future__ import annotations

import sys

from llmroute._imports import MovedModules, lazy_face
from llmroute._version import __version__ as __version__

#: Public name → the module it lives in.
_HOMES = {
    "Model": "llmroute.pool",
    "ModelPool": "llmroute.pool",
    "Capabilities": "llmroute.pool",
    "RouterChain": "llmroute.chain",
    "init_router": "llmroute.api",
    "route": "llmroute.api",
    "aroute": "llmroute.api",
    "route_batch": "llmroute.api",
    "Policy": "llmroute.policies",
    "Threshold": "llmroute.policies",
    "WillingnessToPay": "llmroute.policies",
    "CheapestAbove": "llmroute.policies",
    "BestWithin": "llmroute.policies",
    "Margin": "llmroute.escalation.rules",
    "Disagreement": "llmroute.escalation.rules",
    "CrossModel": "llmroute.escalation.rules",
    "SelfVerify": "llmroute.escalation.rules",
    "StrongShare": "llmroute.escalation.rules",
    "Refine": "llmroute.escalation.rules",
    "Escalation": "llmroute.escalation.escalation",
    "Decision": "llmroute.records",
    "CallRecord": "llmroute.records",
    "Estimates": "llmroute.records",
    "LLMRouteError": "llmroute.errors",
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

# Not typing's: importing that takes longer than all of this.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from llmroute.api import aroute, init_router, route, route_batch
    from llmroute.chain import RouterChain
    from llmroute.errors import LLMRouteError
    from llmroute.escalation.escalation import Escalation
    from llmroute.escalation.rules import (
        CrossModel,
        Disagreement,
        Margin,
        Refine,
        SelfVerify,
        StrongShare,
    )
    from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
    from llmroute.pool import Capabilities, Model, ModelPool
    from llmroute.records import CallRecord, Decision, Estimates


__getattr__ = lazy_face(__name__, _HOMES)
# First, because the folder of a package that has moved would give its modules a second time.
sys.meta_path.insert(0, MovedModules)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
