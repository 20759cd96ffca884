"""Confidences: what each says of an answer, and which are to be expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from llmroute.escalation.latent_difficulty import GRID, LEAST
from llmroute.numerics import Floats

#: Where confidences are cut when a plan imagines those to come.
_CUTS: Floats = np.array([-1.0, 0.0, 1.0])
#: No confidence counts for more than this many standard deviations.
_MOST = 2.4


@dataclass(frozen=True)
class ConfidenceModel:
    """How one kind of confidence of one model depends on whether its answer is good.

    A confidence becomes a standard score by its place among `knots`, evenly spaced quantiles of the
    model's confidences, or among those that were heard of it; where neither is known, by its logit.
    The score is normal about level + gap·good + load·d + both·good·d + prior·logit
    + tempted·(the answer is the tempting one).

    Attributes:
        knots: (K,) rising quantiles of the confidence, 0..1; empty where none are known.
        intercept: Mean of bad answers' scores.
        gap: How much higher good answers' lie.
        load: What d adds.
        both: What d adds for good answers.
        prior: What the prior logit adds.
        shared_error_rate: How much higher the scores of the tempting answer lie.
        spread: Standard deviation.
        centre: The logit whose score is 0, where no quantiles are known; 2.2 is 0.9.
        scale: Logits in one score, likewise.
    """

    knots: tuple[float, ...] = ()
    intercept: float = -0.6
    gap: float = 0.9
    load: float = 0.2
    both: float = 0.0
    prior: float = 0.0
    shared_error_rate: float = 0.3
    spread: float = 0.85
    centre: float = 2.2
    scale: float = 2.5


def standard_score(
    confidence_model: ConfidenceModel, confidence: float, place: float | None = None
) -> float:
    """A confidence as its curve counts it.

    Args:
        confidence_model: The curve.
        confidence: 0..1.
        place: The share of the model's confidences that lie below it, 0..1, where some were heard
            of a model whose quantiles are not known.
    """
    if confidence_model.knots:
        places = np.linspace(0, 1, len(confidence_model.knots))
        place = float(np.interp(confidence, confidence_model.knots, places))
    if place is not None:
        return max(-_MOST, min(_MOST, _quantile(place)))
    inside = min(max(confidence, LEAST), 1 - LEAST)
    score = (math.log(inside / (1 - inside)) - confidence_model.centre) / confidence_model.scale
    return max(-_MOST, min(_MOST, score))


def log_likelihoods(confidence_model: ConfidenceModel, score: float, logit: float) -> Floats:
    """(3, D) log-likelihoods of a confidence: answer good, tempting, else wrong.

    Args:
        confidence_model: The curve.
        score: Its standard score.
        logit: Logit of the model's prior.
    """
    away = score - _centres(confidence_model, logit)
    result: Floats = -0.5 * (away / confidence_model.spread) ** 2
    return result


def chances(confidence_model: ConfidenceModel, logit: float) -> tuple[Floats, Floats, Floats]:
    """(4, D) each: chance that a confidence falls between the cuts; good, tempting, wrong.

    Args:
        confidence_model: The curve.
        logit: Logit of the model's prior.
    """
    below = _normal(
        (_CUTS[:, None, None] - _centres(confidence_model, logit)) / confidence_model.spread
    )
    bins = np.diff(below, axis=0, prepend=0.0, append=1.0)
    return bins[:, 0], bins[:, 1], bins[:, 2]


def _centres(confidence_model: ConfidenceModel, logit: float) -> Floats:
    """(3, D) mean scores of a good answer, the tempting one, and another wrong one."""
    base = (
        confidence_model.intercept + confidence_model.prior * logit + confidence_model.load * GRID
    )
    return np.stack(
        [
            base + confidence_model.gap + confidence_model.both * GRID,
            base + confidence_model.shared_error_rate,
            base,
        ]
    )


def _normal(scores: Floats) -> Floats:
    """The normal distribution function, to three places, which is all that planning needs."""
    result: Floats = 0.5 * (1 + np.tanh(0.7978845608 * (scores + 0.044715 * scores**3)))
    return result


def _quantile(place: float) -> float:
    """The normal score of a place 0..1, within the scores that count."""
    inside = min(max(place, 1e-6), 1 - 1e-6)
    return NormalDist().inv_cdf(inside)
