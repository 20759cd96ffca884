"""A scorer replayed on recorded outcomes: what its choices would have cost and been worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.evaluation.metrics import (
    Interval,
    aiq,
    apgr_interval,
    convex_hull,
    cpt_interval,
    oracle_choice,
    percentile_interval,
    resampling_weights,
)
from llmroute.evaluation.outcomes import Outcomes
from llmroute.pool import ModelPool
from llmroute.scoring.base import Scorer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: How two qualities become one preference for the strong model.
Preference = Literal["gain", "failure", "win"]

_SETTINGS = 65
_REPLICATES = 500


@dataclass(frozen=True)
class TwoModelReplay:
    """A scorer as a router between two models.

    Attributes:
        weak: The weak model.
        strong: The strong model.
        preference: How its qualities were turned into a preference.
        apgr: Average performance gap recovered; random is 0.5.
        cpt50: Strong-call share that recovers half of the gap.
        cpt80: Likewise, four fifths.
        oracle_apgr: APGR of the router that knows the scores.
        category_apgr: APGR of the router that knows each category's mean gain on these very
            prompts: what a perfect category label would be worth.
        weak_quality: Mean score of the weak model.
        strong_quality: Mean score of the strong model.
        unfamiliar: Part of the prompts the scorer called unfamiliar.
    """

    weak: str
    strong: str
    preference: Preference
    apgr: Interval
    cpt50: Interval
    cpt80: Interval
    oracle_apgr: float
    category_apgr: float
    weak_quality: float
    strong_quality: float
    unfamiliar: float


@dataclass(frozen=True)
class PoolReplay:
    """A scorer as a router among all models of a pool, by willingness to pay.

    Attributes:
        curve: (N, 2) mean cost in USD and mean quality at each willingness to pay.
        cost_range: Mean cost of the cheapest and of the dearest single model: the range of AIQ.
        aiq: AIQ of the scorer.
        random: AIQ of choosing a model at random, one point.
        zero: AIQ of the zero router: mixing single models at random.
        best_single: AIQ of the best single model, one point.
        oracle: AIQ of the router that knows every score and cost beforehand, over all λ.
        gain_over_zero: The scorer's AIQ less the zero router's, on the same replicates.
        closed: Part of the gap from zero router to oracle that the scorer closes.
        singles: Model name → mean cost and mean quality.
        unfamiliar: Part of the prompts the scorer called unfamiliar.
    """

    curve: Floats
    cost_range: tuple[float, float]
    aiq: Interval
    random: Interval
    zero: Interval
    best_single: Interval
    oracle: Interval
    gain_over_zero: Interval
    closed: Interval
    unfamiliar: float
    singles: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def replay_two(
    pool: ModelPool, scorer: Scorer, outcomes: Outcomes, preference: Preference = "win"
) -> TwoModelReplay:
    """APGR and CPT of a scorer between the two models of an outcomes table.

    The strong model is the one with the better mean score. Only its place is taken from the
    scores; the preferences come from the scorer alone.

    Args:
        pool: A pool that has both models under the names of the table.
        scorer: The scorer.
        outcomes: Answers of two models.
        preference: `"win"`, what the policy `Threshold` goes by, is the probability that only the
            strong model is right, q(strong)·(1 − q(weak)); `"gain"` is q(strong) − q(weak),
            `"failure"` 1 − q(weak).

    Raises:
        ConfigurationError: Not two models, or a model that the pool lacks.
    """
    if len(outcomes.models) != 2:
        raise ConfigurationError(
            f"APGR compares two models; {outcomes.source} has {len(outcomes.models)}."
        )
    whole = outcomes.complete()
    means = whole.score.mean(axis=0)
    weak, strong = (0, 1) if means[1] >= means[0] else (1, 0)
    estimates = scorer.estimate(whole.prompts, pool)
    columns = _columns(estimates.models, whole.models)
    quality = estimates.quality[:, columns]
    preferred = preference_for_strong(quality[:, weak], quality[:, strong], preference)
    low, high = whole.score[:, weak], whole.score[:, strong]
    return TwoModelReplay(
        weak=whole.models[weak],
        strong=whole.models[strong],
        preference=preference,
        apgr=apgr_interval(preferred, low, high),
        cpt50=cpt_interval(preferred, low, high, 0.5),
        cpt80=cpt_interval(preferred, low, high, 0.8),
        oracle_apgr=apgr_interval(high - low, low, high, replicates=1).value,
        category_apgr=apgr_interval(
            _category_gain(whole.categories, high - low), low, high, replicates=1
        ).value,
        weak_quality=float(means[weak]),
        strong_quality=float(means[strong]),
        unfamiliar=float(estimates.unfamiliar.mean()),
    )


def preference_for_strong(weak: Floats, strong: Floats, preference: Preference) -> Floats:
    """One number per prompt that ranks prompts for the strong model.

    Args:
        weak: (P,) estimated quality of the weak model.
        strong: (P,) estimated quality of the strong model.
        preference: See `replay_two`.
    """
    if preference == "gain":
        return strong - weak
    if preference == "failure":
        return 1.0 - weak
    if preference == "win":
        return strong * (1.0 - weak)
    raise ConfigurationError(f"preference is 'gain', 'failure' or 'win'; {preference!r} was given.")


def replay_pool(pool: ModelPool, scorer: Scorer, outcomes: Outcomes) -> PoolReplay:
    """Cost and quality of choosing argmax λ·quality − cost among a table's models, over all λ.

    Args:
        pool: A pool with the table's models and their prices; see `pool_from_outcomes`.
        scorer: The scorer.
        outcomes: Answers and costs of at least two models.

    Raises:
        ConfigurationError: No recorded cost, a model without a price, or one the pool lacks.
    """
    whole = outcomes.complete()
    if whole.cost is None:
        raise ConfigurationError(
            f"{outcomes.source} has no costs; a cost–quality curve needs them. "
            "For two models use replay_two, which counts calls."
        )
    estimates = scorer.estimate(whole.prompts, pool)
    columns = _columns(estimates.models, whole.models)
    quality, expected = estimates.quality[:, columns], estimates.cost[:, columns]
    if np.isnan(expected).any():
        unpriced = [m for m, c in zip(whole.models, expected.T, strict=True) if np.isnan(c).any()]
        raise ConfigurationError(
            f"no price is known for {', '.join(unpriced)}; give input_price and output_price."
        )
    return _summary(
        whole, whole.cost, _choices(quality, expected), float(estimates.unfamiliar.mean())
    )


def _choices(quality: Floats, cost: Floats) -> Ints:
    """(N, P) argmax λ·quality − cost at each of N willingnesses to pay."""
    return np.stack(
        [np.argmax(pay * quality - cost, axis=1) for pay in _willingness(quality, cost)]
    )


def _willingness(quality: Floats, cost: Floats) -> Floats:
    """Values of λ, USD per unit of quality, from "only cost counts" to "only quality counts"."""
    spread = max(float(np.ptp(cost, axis=1).max()), 1e-12)
    finest = max(float(np.ptp(quality, axis=1).max()), 1e-6)
    inner = np.geomspace(spread / finest * 1e-4, spread / finest * 1e4, _SETTINGS - 1)
    return np.concatenate([[0.0], inner])


def _summary(outcomes: Outcomes, cost: Floats, choices: Ints, unfamiliar: float) -> PoolReplay:
    prompts = np.arange(len(outcomes))
    score = outcomes.score
    # Knowing everything, the last point is the cheapest of the best; the sweep comes as near to it
    # as its largest λ.
    oracle = np.vstack([_choices(score, cost), oracle_choice(score, cost)])
    every = np.vstack([choices, oracle])
    # (P, settings) columns whose means are points of the picture: the router's settings first,
    # then the oracle's, then the single models.
    costs = np.column_stack([*(cost[prompts, chosen] for chosen in every), cost])
    scores = np.column_stack([*(score[prompts, chosen] for chosen in every), score])
    counts = len(choices), len(oracle)
    figures = _figures(costs.mean(axis=0), scores.mean(axis=0), counts)
    weights = resampling_weights(len(outcomes), _REPLICATES, seed=0) / len(outcomes)
    replicates = [
        _figures(c, s, counts) for c, s in zip(weights @ costs, weights @ scores, strict=True)
    ]
    intervals = {
        name: percentile_interval(value, np.array([r[name] for r in replicates]), len(outcomes))
        for name, value in figures.items()
    }
    means = np.column_stack([costs.mean(axis=0), scores.mean(axis=0)])
    singles = means[sum(counts) :]
    return PoolReplay(
        curve=means[: counts[0]],
        cost_range=(float(singles[:, 0].min()), float(singles[:, 0].max())),
        unfamiliar=unfamiliar,
        singles={
            name: (float(c), float(q))
            for name, (c, q) in zip(outcomes.models, singles, strict=True)
        },
        **intervals,
    )


def _figures(cost: Floats, quality: Floats, counts: tuple[int, int]) -> dict[str, float]:
    """AIQ of each router from mean costs and qualities laid out as `_summary` does."""
    points = np.column_stack([cost, quality])
    router, oracle, singles = np.split(points, np.cumsum(counts))
    low, high = float(singles[:, 0].min()), float(singles[:, 0].max())
    # Always sending everything to the cheapest model is open to every router.
    cheapest = singles[np.argmin(singles[:, 0])]
    random = singles.mean(axis=0)
    best = singles[np.argmax(singles[:, 1])]

    def area(*rows: Floats) -> float:
        return aiq(np.vstack([cheapest, *rows]), low, high)

    figures = {
        "aiq": area(router),
        "random": area(random),
        "zero": area(singles),
        "best_single": area(best),
        "oracle": area(oracle),
    }
    figures["gain_over_zero"] = figures["aiq"] - figures["zero"]
    figures["closed"] = figures["gain_over_zero"] / (figures["oracle"] - figures["zero"])
    return figures


def _columns(pool: tuple[str, ...], models: tuple[str, ...]) -> list[int]:
    missing = [name for name in models if name not in pool]
    if missing:
        raise ConfigurationError(
            f"the pool lacks {', '.join(missing)}, which the outcomes have. "
            "Make the pool from the same folder: ModelPool.from_outcomes."
        )
    return [pool.index(name) for name in models]


def _category_gain(categories: tuple[str, ...], gain: Floats) -> Floats:
    names, which = np.unique(np.array(categories), return_inverse=True)
    totals = np.bincount(which, weights=gain, minlength=len(names))
    means: Floats = (totals / np.bincount(which, minlength=len(names)))[which]
    return means


__all__ = [
    "PoolReplay",
    "Preference",
    "TwoModelReplay",
    "convex_hull",
    "preference_for_strong",
    "replay_pool",
    "replay_two",
]
