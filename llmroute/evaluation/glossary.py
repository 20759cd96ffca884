"""What the figures of a report are called and what they mean, in a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

#: How a figure is written: a part as a percentage, a difference of parts in points with its sign,
#: a plain number, one with its sign, or spend in the outcomes' unit.
Kind = Literal["part", "gain", "points", "number", "signed", "spend"]

#: Metric → what it is called in a table. Metrics of one model, such as `auroc:MODEL`, are under
#: the part before the colon.
LABELS: dict[str, str] = {
    "quality": "Quality",
    "quality_at_cost": "Quality at the router's spend",
    "cost": "Spend",
    "strong_share": "Strong calls",
    "saved": "Saved",
    "kept": "Quality kept",
    "over_zero": "Over zero router",
    "zero_at_cost": "Zero router at this spend",
    "gap_oracle": "Gap to oracle",
    "aiq": "AIQ",
    "aiq_over_zero": "AIQ over zero router",
    "aiq_closed": "AIQ gap closed",
    "aiq_routerbench": "AIQ, RouterBench's script",
    "perf_gain": "PerfGain",
    "cost_save": "CostSave",
    "pareto_dist": "ParetoDist",
    "quality_at_half": "Quality at half the spend",
    "cost_at_95": "Spend for 95 % of quality",
    "cost_at_100": "Spend for 100 % of quality",
    "apgr": "APGR",
    "cpt50": "CPT(50 %)",
    "cpt80": "CPT(80 %)",
    "apgr_routellm": "APGR, RouteLLM's script",
    "cpt50_routellm": "CPT(50 %), RouteLLM's script",
    "cpt80_routellm": "CPT(80 %), RouteLLM's script",
    "ece": "ECE",
    "brier": "Brier score",
    "auroc": "AUROC",
    "aiq_drop": "AIQ lost",
    "apgr_drop": "APGR lost",
}

#: Metric → formula and source. The best single model is the one with the best mean score.
GLOSSARY: dict[str, str] = {
    "quality": "Mean score of the answers that were returned, as configured.",
    "quality_at_cost": (
        "For a way to choose that is configured at no setting: quality of its hull at the spend of "
        "the router that was asked about."
    ),
    "cost": "Mean spend of a prompt, all its calls together, as configured.",
    "strong_share": "Part of the prompts for which the best single model was called.",
    "saved": "1 − spend / spend of the best single model. Negative where more is spent.",
    "kept": "Quality / quality of the best single model.",
    "over_zero": (
        "Quality less the zero router's at the same spend, in percentage points. The zero router "
        "mixes single models at random; its curve is their non-decreasing convex hull (RouterBench,"
        " arXiv 2403.12031). A router below it is of no use."
    ),
    "zero_at_cost": "Quality of the zero router at the spend of this one (arXiv 2403.12031).",
    "gap_oracle": (
        "1 − quality / quality of the oracle, which asks the cheapest of the models that score "
        "best. Gap@O of LLMRouterBench (arXiv 2601.07206), here over all prompts."
    ),
    "aiq": (
        "Average improvement in quality: area under the non-decreasing convex hull of the "
        "settings and of always asking the cheapest model, over the spend of the cheapest to that "
        "of the dearest single model, divided by this range (arXiv 2403.12031, with our range)."
    ),
    "aiq_over_zero": "AIQ less that of the zero router.",
    "aiq_closed": (
        "(AIQ − AIQ of the zero router) / (AIQ of the oracle − AIQ of the zero router): 0 % is the "
        "zero router, 100 % the oracle."
    ),
    "aiq_routerbench": (
        "AIQ as RouterBench's script has it: the range runs from 0 to the largest spend among the "
        "routers compared, so it changes with the company."
    ),
    "perf_gain": (
        "Best quality of any setting / quality of the best single model − 1. PerfGain of "
        "LLMRouterBench (arXiv 2601.07206)."
    ),
    "cost_save": (
        "1 − least spend of a setting as good as the best single model / spend of that model; "
        "empty where no setting is as good. CostSave of LLMRouterBench (arXiv 2601.07206)."
    ),
    "pareto_dist": (
        "Mean L1 distance of the settings to the Pareto frontier of all routers compared, quality "
        "and log spend scaled to 0..1. ParetoDist of LLMRouterBench (arXiv 2601.07206), as we read "
        "it; it changes with the company."
    ),
    "quality_at_half": "Quality of the hull at half the spend of the best single model.",
    "cost_at_95": (
        "Least spend of the hull for 95 % of the best single model's quality, as part of that "
        "model's spend."
    ),
    "cost_at_100": (
        "Least spend of the hull for the best single model's quality, as part of that model's "
        "spend; empty where it is not reached."
    ),
    "apgr": (
        "∫ PGR(c) dc over the strong-call share c in 0..1, PGR(c) = (r(c) − r(weak)) / (r(strong) "
        "− r(weak)); exact over all thresholds. Random has 0.5 (RouteLLM, arXiv 2406.18665)."
    ),
    "cpt50": "Least strong-call share with PGR = 50 % (arXiv 2406.18665).",
    "cpt80": "Least strong-call share with PGR = 80 % (arXiv 2406.18665).",
    "apgr_routellm": (
        "APGR as RouteLLM's script has it: eleven thresholds, trapezoidal rule. For its tables."
    ),
    "cpt50_routellm": "CPT(50 %) as RouteLLM's script has it: eleven thresholds, interpolated.",
    "cpt80_routellm": "CPT(80 %) as RouteLLM's script has it: eleven thresholds, interpolated.",
    "ece": (
        "Expected calibration error: Σ_b |b|/P · |mean score − mean estimate| over ten bins of "
        "equal width, mean over the models (arXiv 1706.04599). 0 is calibrated."
    ),
    "brier": "Mean of (estimate − score)², mean over the models (Brier 1950). Lower is better.",
    "auroc": (
        "Probability that the model's good answers are estimated higher than its bad ones, ties "
        "counting half (Hanley and McNeil 1982). 0.5 tells nothing."
    ),
    "aiq_drop": "AIQ on ground the router knows less that on ground it does not, paired.",
    "apgr_drop": "APGR on ground the router knows less that on ground it does not, paired.",
}

_KINDS: Mapping[str, Kind] = {
    "cost": "spend",
    "over_zero": "points",
    "perf_gain": "gain",
    "aiq": "number",
    "aiq_over_zero": "signed",
    "aiq_routerbench": "number",
    "pareto_dist": "number",
    "apgr": "number",
    "apgr_routellm": "number",
    "ece": "number",
    "brier": "number",
    "auroc": "number",
    "aiq_drop": "signed",
    "apgr_drop": "signed",
}


def kind_of(metric: str) -> Kind:
    """How a metric is written.

    Args:
        metric: Its name; of `auroc:MODEL`, the part before the colon counts.
    """
    return _KINDS.get(metric.partition(":")[0], "part")
