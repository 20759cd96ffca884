"""The field's metrics, exact and vectorised, with bootstrap intervals over prompts.

- `bootstrap`: intervals that shards and shuffled rows agree on.
- `strong_calls`: two models, quality against the share of strong calls (RouteLLM).
- `cost_quality`: many models, quality against cost (RouterBench, LLMRouterBench).
- `calibration`: whether estimated qualities are what they say.
"""

from llmroute.metrics.bootstrap import Interval as Interval
from llmroute.metrics.bootstrap import Ranking as Ranking
from llmroute.metrics.bootstrap import Resamples as Resamples
from llmroute.metrics.bootstrap import interval as interval
from llmroute.metrics.bootstrap import ranked as ranked
from llmroute.metrics.calibration import ReliabilityBins as ReliabilityBins
from llmroute.metrics.calibration import auroc as auroc
from llmroute.metrics.calibration import auroc_replicates as auroc_replicates
from llmroute.metrics.calibration import brier as brier
from llmroute.metrics.calibration import brier_replicates as brier_replicates
from llmroute.metrics.calibration import ece as ece
from llmroute.metrics.calibration import ece_replicates as ece_replicates
from llmroute.metrics.calibration import reliability_bins as reliability_bins
from llmroute.metrics.cost_quality import aiq as aiq
from llmroute.metrics.cost_quality import aiq_routerbench as aiq_routerbench
from llmroute.metrics.cost_quality import best_single as best_single
from llmroute.metrics.cost_quality import closed_gap as closed_gap
from llmroute.metrics.cost_quality import convex_hull as convex_hull
from llmroute.metrics.cost_quality import cost_at as cost_at
from llmroute.metrics.cost_quality import cost_save as cost_save
from llmroute.metrics.cost_quality import gap_to_oracle as gap_to_oracle
from llmroute.metrics.cost_quality import oracle_choice as oracle_choice
from llmroute.metrics.cost_quality import over_zero as over_zero
from llmroute.metrics.cost_quality import pareto_dist as pareto_dist
from llmroute.metrics.cost_quality import perf_gain as perf_gain
from llmroute.metrics.cost_quality import quality_at as quality_at
from llmroute.metrics.strong_calls import StrongCallCurve as StrongCallCurve
from llmroute.metrics.strong_calls import apgr as apgr
from llmroute.metrics.strong_calls import apgr_interval as apgr_interval
from llmroute.metrics.strong_calls import apgr_replicates as apgr_replicates
from llmroute.metrics.strong_calls import apgr_routellm as apgr_routellm
from llmroute.metrics.strong_calls import cpt as cpt
from llmroute.metrics.strong_calls import cpt_interval as cpt_interval
from llmroute.metrics.strong_calls import cpt_replicates as cpt_replicates
from llmroute.metrics.strong_calls import cpt_routellm as cpt_routellm
from llmroute.metrics.strong_calls import strong_call_curve as strong_call_curve
