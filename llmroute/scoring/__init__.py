"""Scoring: prompt and pool in, expected quality, tokens, cost and latency of each model out.

    scorer = load_scorer("static")            # or a folder made by `llmroute train`
    estimates = scorer.estimate(["Prove that √2 is irrational."], pool)

Importing this package imports neither onnxruntime nor tokenizers; the first scorer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmroute._imports import lazy_face

if TYPE_CHECKING:
    from llmroute.scoring.ensemble_scorer import EnsembleScorer as EnsembleScorer
    from llmroute.scoring.latent import LatentAbilityScorer as LatentAbilityScorer
    from llmroute.scoring.registry import load_latent as load_latent
    from llmroute.scoring.registry import load_scorer as load_scorer
    from llmroute.scoring.scorer import Scorer as Scorer
    from llmroute.scoring.text import RoutingText as RoutingText
    from llmroute.scoring.text import routing_text as routing_text

_HOMES = {
    "EnsembleScorer": "llmroute.scoring.ensemble_scorer",
    "LatentAbilityScorer": "llmroute.scoring.latent",
    "RoutingText": "llmroute.scoring.text",
    "Scorer": "llmroute.scoring.scorer",
    "load_latent": "llmroute.scoring.registry",
    "load_scorer": "llmroute.scoring.registry",
    "routing_text": "llmroute.scoring.text",
}

__all__ = [
    "EnsembleScorer",
    "LatentAbilityScorer",
    "RoutingText",
    "Scorer",
    "load_latent",
    "load_scorer",
    "routing_text",
]

__getattr__ = lazy_face(__name__, _HOMES)
