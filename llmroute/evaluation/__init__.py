"""Routers replayed on recorded outcomes, beside the baselines; figures, pictures and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmroute._imports import lazy_face

if TYPE_CHECKING:
    from llmroute.evaluation.evaluator import evaluate as evaluate
    from llmroute.evaluation.replayer import replay as replay
    from llmroute.evaluation.report import Report as Report
    from llmroute.evaluation.results import Evaluated as Evaluated
    from llmroute.evaluation.run import Run as Run
    from llmroute.metrics import Interval as Interval
    from llmroute.outcomes.outcomes import Outcomes as Outcomes
    from llmroute.outcomes.outcomes import default_data as default_data
    from llmroute.outcomes.table import Samples as Samples
    from llmroute.scoring.pool_fit import pool_from_outcomes as pool_from_outcomes

_HOMES = {
    "Evaluated": "llmroute.evaluation.results",
    "Interval": "llmroute.metrics",
    "Outcomes": "llmroute.outcomes.outcomes",
    "Report": "llmroute.evaluation.report",
    "Run": "llmroute.evaluation.run",
    "Samples": "llmroute.outcomes.table",
    "default_data": "llmroute.outcomes.outcomes",
    "evaluate": "llmroute.evaluation.evaluator",
    "pool_from_outcomes": "llmroute.scoring.pool_fit",
    "replay": "llmroute.evaluation.replayer",
}

__all__ = list(_HOMES)


__getattr__ = lazy_face(__name__, _HOMES)
