"""Figures for the card, taken on the test split once a router is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.metrics import Interval, Resamples, apgr_interval, interval
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import ModelPool
from llmroute.scoring.artifact import Metric
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.latent_folder import Artifact

_REPLICATES = 500
_LEAST = 1e-6
#: How two qualities become one preference for the strong model: what it gains, that the weak one
#: fails, or both, which is what the policy `Threshold` goes by.
_PREFERENCES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "gain": lambda weak, strong: strong - weak,
    "failure": lambda weak, strong: 1.0 - weak,
    "win": lambda weak, strong: strong * (1.0 - weak),
}


def test_metrics(
    artifact: Artifact, folders: Sequence[Path], left_out: Sequence[str]
) -> dict[str, Metric]:
    """Log loss, and APGR where two models are compared, on the folders' test splits.

    Categories that were left out of training are measured apart: they show transfer.

    Returns:
        Metrics by name, such as `"routellm/gsm8k APGR (failure)"`. A folder without test prompts
        gives none.
    """
    scorer = LatentAbilityScorer(artifact)
    metrics: dict[str, Metric] = {}
    for folder in folders:
        try:
            outcomes = Outcomes.read(folder, "test")
        except ConfigurationError:  # no prompt with that split: nothing to measure
            continue
        for name, group in _groups(outcomes, left_out):
            quality = scorer.estimate(group.prompts, ModelPool(list(group.models))).quality
            metrics[f"{name} log loss"] = log_loss(quality, group.score)
            if len(group.models) == 2:
                for preference in _PREFERENCES:
                    key = f"{name} APGR ({preference})"
                    metrics[key] = _as_metric(_apgr(quality, group.score, preference))
    return metrics


def validation_metrics(quality: Floats, score: Floats, sources: Sequence[str]) -> dict[str, Metric]:
    """Log loss, and APGR where two models are compared, on the validation prompts.

    These are what settings are chosen by.

    Returns:
        Metrics by name, such as `"validation routellm log loss"`; of all of them first.
    """
    metrics = {"validation log loss": log_loss(quality, score)}
    names = np.array(sources)
    for name in dict.fromkeys(sources):
        rows = names == name
        asked = np.isfinite(score[rows]).any(axis=0)
        own_quality, own_score = quality[rows][:, asked], score[rows][:, asked]
        metrics[f"validation {name} log loss"] = log_loss(own_quality, own_score)
        if asked.sum() == 2:
            figure = _as_metric(_apgr(own_quality, own_score, "win"))
            metrics[f"validation {name} APGR (win)"] = figure
    return metrics


def _groups(outcomes: Outcomes, left_out: Sequence[str]) -> Iterator[tuple[str, Outcomes]]:
    lowered = np.array([category.lower() for category in outcomes.categories])
    trained_on = np.ones(len(outcomes), dtype=bool)
    for part in left_out:
        has = np.char.find(lowered, part.lower()) >= 0
        if has.any():
            yield f"{outcomes.source}/{part}", outcomes.select(has)
        trained_on &= ~has
    if trained_on.any():
        yield outcomes.source, outcomes.select(trained_on)


def _apgr(quality: Floats, score: Floats, preference: str) -> Interval:
    known = ~np.isnan(score).any(axis=1)
    quality, score = quality[known], score[known]
    weak, strong = np.argsort(score.mean(axis=0))
    preferred = _PREFERENCES[preference](quality[:, weak], quality[:, strong])
    return apgr_interval(preferred, score[:, weak], score[:, strong], replicates=_REPLICATES)


def log_loss(quality: Floats, score: Floats) -> Metric:
    """Mean over prompts of the mean log loss over the models that answered, out of (P, M)."""
    known = ~np.isnan(score)
    quality = np.clip(quality, _LEAST, 1 - _LEAST)
    target = np.where(known, score, 0.0)
    cells = -(target * np.log(quality) + (1 - target) * np.log(1 - quality)) * known
    asked = known.any(axis=1)
    each = cells[asked].sum(axis=1) / known[asked].sum(axis=1)
    resamples = Resamples([str(row) for row in range(len(each))], _REPLICATES)
    return _as_metric(interval(resamples.means(each), len(each)))


def _as_metric(figure: Interval) -> Metric:
    return Metric(
        value=round(figure.value, 5),
        low=round(figure.low, 5),
        high=round(figure.high, 5),
        prompts=figure.prompts,
    )
