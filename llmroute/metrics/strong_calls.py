"""Two models: quality against the share of strong calls (RouteLLM, 2406.18665).

Strong-call share c, PGR(c) = (r(c) − r(weak)) / (r(strong) − r(weak)), APGR = ∫₀¹ PGR dc, CPT(x) =
the smallest c with PGR(c) = x.

In every function `preference` is (P,) the router's preference for the strong model, of which only
the order counts, and `weak` and `strong` are (P,) scores of the two models' answers, 0..1. They
raise ConfigurationError where the lengths differ, there is no prompt, or one is NaN.

`apgr` and `cpt` are exact: they run through every threshold there is. Ties in a router's
preference are broken at random, in expectation, so the curve is a straight line through a group of
equal preferences, and a router that says the same of every prompt has an APGR of exactly 0.5.
`apgr_routellm` and `cpt_routellm` are what RouteLLM's own evaluation script prints, which looks at
eleven thresholds; they are for comparing with its tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.metrics.bootstrap import Interval, Ranking, Resamples, interval, ranked
from llmroute.numerics import Floats

#: Models whose mean scores are nearer than this count as equally good: what is left of the
#: difference is rounding, and a part of it has no meaning.
_EQUAL = 1e-9


@dataclass(frozen=True)
class StrongCallCurve:
    """Quality against strong-call share, piecewise linear between its points.

    At (N,) shares from 0 to 1 the mean quality, and PGR: the part of the gap between the models
    that is recovered, NaN where they are equally good.
    """

    share: Floats
    quality: Floats
    recovered: Floats


def strong_call_curve(preference: Floats, weak: Floats, strong: Floats) -> StrongCallCurve:
    """The curve a two-model router runs through as its threshold falls."""
    sizes, gains = (np.append(0.0, each[0]) for each in _sample(preference, weak, strong))
    gained = np.cumsum(gains)
    return StrongCallCurve(
        share=np.cumsum(sizes) / len(weak),
        quality=weak.mean() + gained / len(weak),
        recovered=gained / _gap(len(weak), gained[-1]),
    )


def apgr(preference: Floats, weak: Floats, strong: Floats) -> float:
    """Average performance gap recovered, ∫₀¹ PGR(c) dc, exact over all thresholds (2406.18665).

    Random routing has 0.5. NaN when the models are equally good, where the figure has no meaning.
    """
    return float(_area(*_sample(preference, weak, strong))[0])


def cpt(preference: Floats, weak: Floats, strong: Floats, part: float) -> float:
    """Call-performance threshold: the smallest strong-call share with PGR = `part` (2406.18665).

    `part` is a part of the gap, 0..1. NaN when the models are equally good.
    """
    return float(_crossings(*_sample(preference, weak, strong), [part])[0, 0])


def apgr_replicates(
    preference: Floats, weak: Floats, strong: Floats, resamples: Resamples
) -> Floats:
    """(R+1,) `apgr` on the sample and on each bootstrap replicate.

    NaN in a replicate where the models are equally good.
    """
    ranking = _ranking(preference, weak, strong)
    out = np.empty(len(resamples.weights))
    for rows, sizes, gains in resamples.group_sums(ranking, np.ones(len(weak)), strong - weak):
        out[rows] = _area(sizes, gains)
    return out


def cpt_replicates(
    preference: Floats, weak: Floats, strong: Floats, resamples: Resamples, parts: Sequence[float]
) -> Floats:
    """(R+1, parts) `cpt` of several parts, 0..1, on the sample and on each bootstrap replicate.

    NaN in a replicate where the models are equally good.
    """
    ranking = _ranking(preference, weak, strong)
    out = np.empty((len(resamples.weights), len(parts)))
    for rows, sizes, gains in resamples.group_sums(ranking, np.ones(len(weak)), strong - weak):
        out[rows] = _crossings(sizes, gains, parts)
    return out


def apgr_interval(
    preference: Floats, weak: Floats, strong: Floats, *, replicates: int = 1000, seed: int = 0
) -> Interval:
    """`apgr` with a 95 % bootstrap interval over prompts that have no ids but their row."""
    resamples = _by_row(preference, weak, strong, replicates, seed)
    return interval(apgr_replicates(preference, weak, strong, resamples), len(weak))


def cpt_interval(
    preference: Floats,
    weak: Floats,
    strong: Floats,
    part: float,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Interval:
    """`cpt` with a 95 % bootstrap interval over prompts that have no ids but their row."""
    resamples = _by_row(preference, weak, strong, replicates, seed)
    values = cpt_replicates(preference, weak, strong, resamples, [part])
    return interval(values[:, 0], len(weak))


def apgr_routellm(preference: Floats, weak: Floats, strong: Floats, bins: int = 10) -> float:
    """APGR as RouteLLM's evaluation script has it (lm-sys/RouteLLM, evals/evaluate.py).

    The thresholds are the `bins` + 1 quantiles of the preference, linearly interpolated, those of
    `pandas.qcut` before pandas 3, which rounds them up by the last bit. A prompt goes to the strong
    model from the threshold on (≥); at the last threshold, the highest preference, only above it
    (>), so the curve runs from share 1 to 0. APGR = (AUC − r(weak)) / (r(strong) − r(weak)), AUC by
    the trapezoidal rule over share. (The paper's formula, the plain mean of PGR at ten evenly
    spaced shares, is another one.)

    Different from `apgr`: eleven points rather than all, so the curve's bends between them are cut
    off; and a group of equal preferences goes over as a whole, at the first threshold that is not
    above it, so the points need not be evenly spaced. Where two quantiles are equal, the script
    stops with an error; here they are one point.

    `bins` are bins of equally many prompts, the script's `--num-results`; none is a
    ConfigurationError. NaN when the models are equally good.
    """
    share, quality, low, high = _routellm_points(preference, weak, strong, bins)
    area = np.sum(np.diff(share / 100) * (quality[1:] + quality[:-1])) / 2
    return float((area - low) / (high - low))


def cpt_routellm(
    preference: Floats, weak: Floats, strong: Floats, part: float, bins: int = 10
) -> float:
    """CPT as RouteLLM's evaluation script has it (lm-sys/RouteLLM, evals/evaluate.py).

    The points are those of `apgr_routellm`; CPT is `numpy.interp` of share over quality at
    r(weak) + x·(r(strong) − r(weak)).

    Different from `cpt`: eleven points; and `numpy.interp` wants quality to rise from point to
    point, which a router's need not. Where it falls, the script's figure is the crossing that a
    bisection happens on, not the smallest share; beyond the ends it is 0 or 1.

    `part` is a part of the gap, 0..1; `bins` as in `apgr_routellm`. A strong-call share, 0..1; NaN
    when the models are equally good.
    """
    share, quality, low, high = _routellm_points(preference, weak, strong, bins)
    return float(np.interp(part * (high - low) + low, quality, share) / 100)


def _routellm_points(
    preference: Floats, weak: Floats, strong: Floats, bins: int
) -> tuple[Floats, Floats, float, float]:
    """Share and quality at each threshold by rising share, and both models' quality, in percent.

    The models' are NaN where they are equally good.
    Percent and `numpy.percentile` as in the script: a prompt on a threshold, or a point on the
    target, then falls to the same side to the last bit.
    """
    _ranking(preference, weak, strong)
    if bins < 1:
        raise ConfigurationError(f"RouteLLM's curve needs at least 1 bin; got {bins}.")
    thresholds = np.percentile(preference, np.linspace(0, 1, bins + 1) * 100)
    calls = preference >= thresholds[:, None]
    calls[-1] = preference > thresholds[-1]
    share = calls.sum(axis=1) / len(preference) * 100
    quality = np.where(calls, strong, weak).sum(axis=1) / len(preference) * 100
    low, high = (float(score.sum() / len(score) * 100) for score in (weak, strong))
    if abs(high - low) < 100 * _EQUAL:
        low = high = float("nan")
    return share[::-1], quality[::-1], low, high


def _by_row(
    preference: Floats, weak: Floats, strong: Floats, replicates: int, seed: int
) -> Resamples:
    _ranking(preference, weak, strong)  # its error before that of the resamples
    return Resamples([str(row) for row in range(len(weak))], replicates, seed)


def _ranking(preference: Floats, weak: Floats, strong: Floats) -> Ranking:
    """Prompts by falling preference, once the input has been looked at."""
    if not len(preference) == len(weak) == len(strong) or not len(weak):
        raise ConfigurationError(
            f"preference, weak and strong need the same length, at least 1; they have "
            f"{len(preference)}, {len(weak)} and {len(strong)}."
        )
    if np.isnan(preference).any() or np.isnan(weak).any() or np.isnan(strong).any():
        raise ConfigurationError(
            "a preference or score is NaN: keep the prompts both models answered "
            "(Outcomes.complete)."
        )
    return ranked(preference)


def _sample(preference: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
    """(1, G) prompts and gain of each group of equal preferences, the most preferred first."""
    ranking = _ranking(preference, weak, strong)
    sizes = np.diff(np.append(ranking.starts, len(weak))).astype(np.float64)
    gains = np.add.reduceat((strong - weak)[ranking.order], ranking.starts)
    return sizes[None], gains[None]


def _gap(total_size: Floats | float, total_gain: Floats) -> Floats:
    """Total gain, NaN where the models are equally good or no prompt was drawn."""
    return np.where(np.abs(total_gain) < _EQUAL * total_size, np.nan, total_gain)


def _area(sizes: Floats, gains: Floats) -> Floats:
    """(B,) area under PGR over share: Σ size·(gain before + gain after)/2 over totals.

    Of (B, G) weights of the groups of equal preferences, the most preferred first, and what the
    strong model gains on them.
    """
    gained = np.cumsum(gains, axis=1)
    twice = np.einsum("bg,bg->b", sizes, gained)
    twice += np.einsum("bg,bg->b", sizes[:, 1:], gained[:, :-1])
    total = sizes.sum(axis=1)
    with np.errstate(invalid="ignore"):
        area: Floats = twice / (2 * total * _gap(total, gained[:, -1]))
    return area


def _crossings(sizes: Floats, gains: Floats, parts: Sequence[float]) -> Floats:
    """(B, parts) share where PGR first reaches each part, on the line from group to group."""
    share, recovered = np.cumsum(sizes, axis=1), np.cumsum(gains, axis=1)
    total = share[:, -1].copy()
    rows = np.arange(len(share))
    with np.errstate(divide="ignore", invalid="ignore"):
        recovered /= _gap(total, recovered[:, -1])[:, None]
        out = np.empty((len(share), len(parts)))
        for number, part in enumerate(parts):
            after = np.argmax(recovered >= part, axis=1)
            there = recovered[rows, after]
            rise = there - np.where(after > 0, recovered[rows, after - 1], 0.0)
            # Back along the line from the group that reaches the part.
            found = (share[rows, after] - (there - part) / rise * sizes[rows, after]) / total
            out[:, number] = np.where(there >= part, found, np.nan) if part > 0 else 0.0
    out[np.isnan(recovered[:, -1])] = np.nan
    return out
