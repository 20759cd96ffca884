"""Whether estimated qualities are what they say, and whether they tell good answers from bad.

An outcome is a score 0..1. A fractional one, such as 0.5, counts as that much of a good answer and
the rest of a bad one. In every function `estimate` is (P,) estimated probabilities of a good answer
and `outcome` (P,) scores, both 0..1; they raise ConfigurationError where lengths differ, there is
no prompt, or a figure is not in 0..1. Each figure also comes on bootstrap replicates of the P
prompts, (R+1,) with the sample first: `…_replicates`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.metrics.bootstrap import Ranking, Resamples, ranked
from llmroute.numerics import Floats, Ints


@dataclass(frozen=True)
class ReliabilityBins:
    """Estimates beside outcomes in B bins of equal width, without the empty ones."""

    expected: Floats  #: (B,) mean estimate in each bin, 0..1
    observed: Floats  #: (B,) mean outcome in it, 0..1
    prompts: Floats  #: (B,) prompts in it


def reliability_bins(estimate: Floats, outcome: Floats, bins: int = 10) -> ReliabilityBins:
    """What a reliability diagram shows (1706.04599).

    The bins are of equal width over 0..1, each closed on the right, the first on both sides.
    """
    which = _bin(estimate, outcome, bins)
    prompts = np.bincount(which, minlength=bins).astype(np.float64)
    expected = np.bincount(which, weights=estimate, minlength=bins)
    observed = np.bincount(which, weights=outcome, minlength=bins)
    some = prompts > 0
    return ReliabilityBins(
        expected[some] / prompts[some], observed[some] / prompts[some], prompts[some]
    )


def ece(estimate: Floats, outcome: Floats, bins: int = 10) -> float:
    """Expected calibration error: Σ_b |b|/P · |mean outcome − mean estimate| over equal bins.

    Naeini, Cooper and Hauskrecht 2015; Guo and others (1706.04599). 0 is calibrated. Even then a
    sample has some: it falls with more prompts and fewer bins.
    """
    which = _bin(estimate, outcome, bins)
    excess = np.bincount(which, weights=outcome - estimate, minlength=bins)
    return float(np.abs(excess).sum() / len(estimate))


def ece_replicates(
    estimate: Floats, outcome: Floats, resamples: Resamples, bins: int = 10
) -> Floats:
    """`ece` on the sample and on each bootstrap replicate.

    Resampling adds noise to each bin and `ece` takes it for miscalibration, so replicates lie above
    the sample on average, and the interval is a cautious one.
    """
    which = _bin(estimate, outcome, bins)
    columns = np.where(which[:, None] == np.arange(bins), (outcome - estimate)[:, None], 0.0)
    found: Floats = np.abs(resamples.means(columns)).sum(axis=1)
    return found


def brier(estimate: Floats, outcome: Floats) -> float:
    """Brier score: the mean of (estimate − outcome)² (Brier 1950). Lower is better."""
    _check(estimate, outcome)
    return float(((estimate - outcome) ** 2).mean())


def brier_replicates(estimate: Floats, outcome: Floats, resamples: Resamples) -> Floats:
    """`brier` on the sample and on each bootstrap replicate."""
    _check(estimate, outcome)
    return resamples.means((estimate - outcome) ** 2)


def auroc(estimate: Floats, outcome: Floats) -> float:
    """Probability that a good answer is estimated higher than a bad one, ties counting half.

    The Mann–Whitney statistic over the product of the numbers (Hanley and McNeil 1982). A prompt
    of outcome y stands for y good answers and 1 − y bad ones of the same estimate:
    Σᵢⱼ yᵢ(1 − yⱼ)·[eᵢ > eⱼ, ½ if equal] / (Σ yᵢ · Σ (1 − yⱼ)). 0.5 tells nothing. Estimates may be
    on any scale, since only their order counts. NaN when all answers are good, or all bad.
    """
    ranking = _ranking(estimate, outcome)
    good = np.add.reduceat(outcome[ranking.order], ranking.starts)
    bad = np.add.reduceat(1.0 - outcome[ranking.order], ranking.starts)
    return float(_above(good[None], bad[None])[0])


def auroc_replicates(estimate: Floats, outcome: Floats, resamples: Resamples) -> Floats:
    """`auroc` on the sample and on each replicate; NaN where all answers are good, or all bad."""
    ranking = _ranking(estimate, outcome)
    out = np.empty(len(resamples.weights))
    for rows, good, bad in resamples.group_sums(ranking, outcome, 1.0 - outcome):
        out[rows] = _above(good, bad)
    return out


def _above(good: Floats, bad: Floats) -> Floats:
    """(B,) AUROC from (B, G) good and bad answers of each estimate, the highest first."""
    # Good answers above each group's bad ones, its own counting half.
    above = np.cumsum(good, axis=1)
    all_good = above[:, -1].copy()
    beaten = np.einsum("bg,bg->b", bad, above) - np.einsum("bg,bg->b", bad, good) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = beaten / (all_good * bad.sum(axis=1))
    return found


def _ranking(estimate: Floats, outcome: Floats) -> Ranking:
    if np.isnan(estimate).any():
        raise ConfigurationError("an estimate is NaN: keep the prompts that have estimates.")
    _check(np.zeros(len(estimate)), outcome)
    return ranked(estimate)


def _bin(estimate: Floats, outcome: Floats, bins: int) -> Ints:
    """(P,) bin of each prompt: (b/B, (b+1)/B], and 0 in the first."""
    _check(estimate, outcome)
    if bins < 1:
        raise ConfigurationError(f"calibration needs at least 1 bin; got {bins}.")
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    return np.searchsorted(edges, estimate, side="left").astype(np.int64)


def _check(estimate: Floats, outcome: Floats) -> None:
    if len(estimate) != len(outcome) or not len(outcome):
        raise ConfigurationError(
            f"estimates and outcomes need the same length, at least 1; they have {len(estimate)} "
            f"and {len(outcome)}."
        )
    for name, figures in (("estimates", estimate), ("outcomes", outcome)):
        if not ((figures >= 0) & (figures <= 1)).all():
            raise ConfigurationError(
                f"{name} must lie in 0..1 and not be NaN: scale them, and keep the prompts that "
                "were answered."
            )
