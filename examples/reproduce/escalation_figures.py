"""What is read off a sweep of escalation, and the plain cascade it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.evaluation.run import Run
from llmroute.metrics import aiq, cost_at, quality_at
from llmroute.metrics.bootstrap import Interval, Resamples, interval
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

#: Stands for the cost of what is not reached at any cost.
NEVER = 1e6
#: Thresholds of a sweep of a plain confidence.
_THRESHOLDS: Floats = np.linspace(0, 1, 41)


@dataclass(frozen=True)
class Figures:
    """A way to choose against the best single model.

    Attributes:
        name: The way.
        same: Cost at its accuracy, as a share of its cost.
        nearly: The same at a part of its accuracy.
        within: Highest accuracy within 85 % of its cost.
    """

    name: str
    same: Interval
    nearly: Interval
    within: Interval


def figures(run: Run, outcomes: Outcomes, resamples: Resamples, best: int, part: float) -> Figures:
    """The figures of a sweep, with intervals over prompts.

    Args:
        run: The sweep.
        outcomes: The prompts.
        resamples: Draws of them.
        best: The single model it is held against.
        part: Of its accuracy.
    """
    assert outcomes.cost is not None
    points = np.stack([resamples.means(run.cost.T), resamples.means(run.score.T)], axis=-1)
    score, cost = resamples.means(outcomes.score[:, best]), resamples.means(outcomes.cost[:, best])
    count = len(outcomes)
    return Figures(
        name=run.name,
        same=interval(reached(cost_at(points, score[:, None])[:, 0] / cost), count),
        nearly=interval(reached(cost_at(points, part * score[:, None])[:, 0] / cost), count),
        within=interval(quality_at(points, 0.85 * cost[:, None])[:, 0], count),
    )


def reached(share: Floats) -> Floats:
    """Costs with a large number where the accuracy is not reached, so that they can be ordered.

    Args:
        share: Costs; NaN where the accuracy is not reached.
    """
    return np.nan_to_num(share, nan=NEVER)


def plain_cascade(outcomes: Outcomes, chain: Sequence[str]) -> Run:
    """Each model's confidence against one threshold; a confidence that costs is paid for.

    Args:
        outcomes: The prompts.
        chain: Names of the models, in the order they are asked.
    """
    column = [outcomes.models.index(name) for name in chain]
    score, cost = np.zeros((2, len(_THRESHOLDS) + 1, len(outcomes)))
    assert outcomes.cost is not None
    assert outcomes.confidence is not None
    assert outcomes.confidence_cost is not None
    for number, threshold in enumerate([*_THRESHOLDS.tolist(), 2.0]):
        still = np.ones(len(outcomes), dtype=np.bool_)
        for place, m in enumerate(column):
            last = place == len(column) - 1
            check = np.zeros(len(outcomes)) if last else outcomes.confidence_cost[:, m]
            cost[number] += still * (outcomes.cost[:, m] + check)
            accepted = still & (last | (outcomes.confidence[:, m] >= threshold))
            score[number, accepted] = outcomes.score[accepted, m]
            still = still & ~accepted
    parameter = np.append(_THRESHOLDS, 2.0)
    return Run("plain confidence cascade", score, cost, np.zeros_like(cost), parameter)


def area(run: Run, outcomes: Outcomes) -> float:
    """Area under a sweep's cost–quality curve, from the cheapest to the dearest model's cost.

    Args:
        run: The sweep; the single models are put beside it.
        outcomes: The prompts.
    """
    assert outcomes.cost is not None
    single = np.stack([outcomes.cost.mean(axis=0), outcomes.score.mean(axis=0)], axis=1)
    points = np.stack([run.cost.mean(axis=1), run.score.mean(axis=1)], axis=1)
    spend = single[:, 0]
    return float(aiq(np.vstack([points, single]), float(spend.min()), float(spend.max())))
