"""Evaluation: recorded outcomes, the field's metrics, and routers replayed on the outcomes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmroute.evaluation.evaluating import evaluate as evaluate
    from llmroute.evaluation.metrics import Interval as Interval
    from llmroute.evaluation.outcomes import Outcomes as Outcomes
    from llmroute.evaluation.outcomes import Samples as Samples
    from llmroute.evaluation.outcomes import default_data as default_data
    from llmroute.evaluation.pools import pool_from_outcomes as pool_from_outcomes
    from llmroute.evaluation.replaying import replay as replay
    from llmroute.evaluation.report import Evaluated as Evaluated
    from llmroute.evaluation.report import Report as Report
    from llmroute.evaluation.run import Run as Run

_HOMES = {
    "Evaluated": "report",
    "Interval": "metrics",
    "Outcomes": "outcomes",
    "Report": "report",
    "Run": "run",
    "Samples": "outcomes",
    "default_data": "outcomes",
    "evaluate": "evaluating",
    "pool_from_outcomes": "pools",
    "replay": "replaying",
}

__all__ = [
    "Evaluated",
    "Interval",
    "Outcomes",
    "Report",
    "Run",
    "Samples",
    "default_data",
    "evaluate",
    "pool_from_outcomes",
    "replay",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
