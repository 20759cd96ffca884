"""What the flag for unfamiliar prompts can tell apart, and what falling back to the prior costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmroute.metrics import Interval, Resamples, auroc_replicates, interval
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import ModelPool
from llmroute.scoring.latent import LatentAbilityScorer

_REPLICATES = 1000
_LEAST = 1e-6


@dataclass(frozen=True)
class Detection:
    """How well a set of texts is told apart from prompts like those trained on.

    Attributes:
        texts: How many there are.
        flagged: Part of them that is called unfamiliar.
        auroc: Probability that one of them is further off than a familiar prompt.
    """

    texts: int
    flagged: float
    auroc: Interval


@dataclass(frozen=True)
class Fallback:
    """What it is worth to answer flagged prompts with the prior.

    Attributes:
        flagged: Part of the prompts that is flagged.
        log_loss: Mean log loss of the scorer as it is.
        saved: How much lower that is than without the flag; negative where the flag costs.
        halfway: The same of a scorer that goes half of the way to the prior.
    """

    flagged: float
    log_loss: float
    saved: Interval
    halfway: Interval


def detection(
    scorer: LatentAbilityScorer, familiar: Sequence[str], sets: Mapping[str, Sequence[str]]
) -> dict[str, Detection]:
    """AUROC of the distance, each set against the familiar prompts.

    Args:
        scorer: The router.
        familiar: Test prompts of its training sources.
        sets: Texts by the set's name.
    """
    near = scorer.latent(familiar).distance
    found = {}
    for name, texts in sets.items():
        latent = scorer.latent(texts)
        distance = np.concatenate([near, latent.distance])
        strange = np.concatenate([np.zeros(len(near)), np.ones(len(texts))])
        resamples = Resamples([str(place) for place in range(len(distance))], _REPLICATES)
        values = auroc_replicates(distance, strange, resamples)
        found[name] = Detection(
            len(texts), float(latent.unfamiliar.mean()), interval(values, len(distance))
        )
    return found


def fallback(scorer: LatentAbilityScorer, outcomes: Outcomes, pool: ModelPool) -> Fallback:
    """Log loss with the fallback against log loss without it, on the same prompts.

    Args:
        scorer: The router.
        outcomes: What to measure on.
        pool: The outcomes' models.
    """
    latent = scorer.latent(outcomes.prompts)
    ignored = replace(latent, unfamiliar=np.zeros_like(latent.unfamiliar))
    used, without = (scorer.estimate_latent(one, pool).quality for one in (latent, ignored))
    losses = [
        _log_losses(quality, outcomes.score) for quality in (used, (used + without) / 2, without)
    ]
    resamples = Resamples(outcomes.prompt_ids, _REPLICATES)
    saved, halfway = (
        interval(resamples.means(losses[2] - loss), len(outcomes)) for loss in losses[:2]
    )
    return Fallback(
        flagged=float(latent.unfamiliar.mean()),
        log_loss=float(np.mean(losses[0])),
        saved=saved,
        halfway=halfway,
    )


def _log_losses(quality: Floats, score: Floats) -> Floats:
    """(P,) mean log loss of each prompt over the models that answered it."""
    known = ~np.isnan(score)
    likely = np.clip(quality, _LEAST, 1 - _LEAST)
    target = np.where(known, score, 0.0)
    cells = -(target * np.log(likely) + (1 - target) * np.log(1 - likely)) * known
    losses: Floats = cells.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return losses
