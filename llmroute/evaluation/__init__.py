"""Evaluation: recorded outcomes, the field's metrics, and routers replayed on the outcomes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmroute.evaluation.metrics import Interval as Interval
    from llmroute.evaluation.outcomes import Outcomes as Outcomes
    from llmroute.evaluation.outcomes import default_data as default_data
    from llmroute.evaluation.pools import pool_from_outcomes as pool_from_outcomes
    from llmroute.evaluation.replay import PoolReplay as PoolReplay
    from llmroute.evaluation.replay import TwoModelReplay as TwoModelReplay
    from llmroute.evaluation.replay import replay_pool as replay_pool
    from llmroute.evaluation.replay import replay_two as replay_two

_HOMES = {
    "Interval": "metrics",
    "Outcomes": "outcomes",
    "PoolReplay": "replay",
    "TwoModelReplay": "replay",
    "default_data": "outcomes",
    "pool_from_outcomes": "pools",
    "replay_pool": "replay",
    "replay_two": "replay",
}

__all__ = [
    "Interval",
    "Outcomes",
    "PoolReplay",
    "TwoModelReplay",
    "default_data",
    "pool_from_outcomes",
    "replay_pool",
    "replay_two",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
