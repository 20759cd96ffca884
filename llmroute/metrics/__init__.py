"""The field's metrics, exact and vectorised, with bootstrap intervals over prompts.

- `bootstrap`: intervals that shards and shuffled rows agree on.
- `strong_calls`: two models, quality against the share of strong calls (RouteLLM).
- `cost_quality`: many models, quality against cost (RouterBench, LLMRouterBench).
- `calibration`: whether estimated qualities are what they say.
"""

from llmroute.metrics.bootstrap import Interval, Ranking, Resamples, interval, ranked
from llmroute.metrics.calibration import (
    ReliabilityBins,
    auroc,
    auroc_replicates,
    brier,
    brier_replicates,
    ece,
    ece_replicates,
    reliability_bins,
)
from llmroute.metrics.cost_quality import (
    aiq,
    aiq_routerbench,
    best_single,
    closed_gap,
    convex_hull,
    cost_at,
    cost_save,
    gap_to_oracle,
    oracle_choice,
    over_zero,
    pareto_dist,
    perf_gain,
    quality_at,
)
from llmroute.metrics.strong_calls import (
    StrongCallCurve,
    apgr,
    apgr_interval,
    apgr_replicates,
    apgr_routellm,
    cpt,
    cpt_interval,
    cpt_replicates,
    cpt_routellm,
    strong_call_curve,
)

__all__ = [
    "Interval",
    "Ranking",
    "ReliabilityBins",
    "Resamples",
    "StrongCallCurve",
    "aiq",
    "aiq_routerbench",
    "apgr",
    "apgr_interval",
    "apgr_replicates",
    "apgr_routellm",
    "auroc",
    "auroc_replicates",
    "best_single",
    "brier",
    "brier_replicates",
    "closed_gap",
    "convex_hull",
    "cost_at",
    "cost_save",
    "cpt",
    "cpt_interval",
    "cpt_replicates",
    "cpt_routellm",
    "ece",
    "ece_replicates",
    "gap_to_oracle",
    "interval",
    "oracle_choice",
    "over_zero",
    "pareto_dist",
    "perf_gain",
    "quality_at",
    "ranked",
    "reliability_bins",
    "strong_call_curve",
]
