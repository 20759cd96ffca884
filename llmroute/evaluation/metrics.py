"""The field's metrics, exact and vectorised, with bootstrap intervals over prompts.

Two models (RouteLLM, 2406.18665): strong-call share c, PGR(c) = (r(c) − r(weak)) / (r(strong) −
r(weak)), APGR = ∫ PGR dc, CPT(x) = the smallest c with PGR = x. Ties in a router's score are broken
at random, in expectation: the curve is a straight line through a group of equal scores, so a router
that says the same of every prompt has an APGR of exactly 0.5.

Many models (RouterBench, 2403.12031): the non-decreasing convex hull of (cost, quality) points and
the area under it, over the stated cost range c_min..c_max of the single models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Cells of (replicate, prompt) resampled at a time, to bound memory.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval.

    Attributes:
        value: The figure on all prompts.
        low: Lower end of the interval.
        high: Upper end.
        level: Probability the interval is made for.
        prompts: Prompts it was measured on.
    """

    value: float
    low: float
    high: float
    level: float
    prompts: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class StrongCallCurve:
    """Quality against strong-call share, piecewise linear between its points.

    Attributes:
        share: (N,) strong-call shares from 0 to 1.
        quality: (N,) mean quality at each.
        recovered: (N,) PGR at each: part of the gap between the models that is recovered.
    """

    share: Floats
    quality: Floats
    recovered: Floats


def strong_call_curve(preference: Floats, weak: Floats, strong: Floats) -> StrongCallCurve:
    """The curve a two-model router runs through as its threshold falls.

    Args:
        preference: (P,) the router's preference for the strong model; only its order counts.
        weak: (P,) score of the weak model's answer.
        strong: (P,) score of the strong model's answer.
    """
    order, ends = _ranking(preference, weak, strong)
    size = len(order)
    share = np.concatenate([[0.0], (ends + 1) / size])
    gained = np.concatenate([[0.0], np.cumsum((strong - weak)[order])[ends] / size])
    with np.errstate(divide="ignore", invalid="ignore"):
        recovered = gained / gained[-1]
    return StrongCallCurve(share, weak.mean() + gained, recovered)


def apgr(preference: Floats, weak: Floats, strong: Floats) -> float:
    """Average performance gap recovered, exact over all thresholds (2406.18665).

    Random routing has 0.5. NaN when the models are equally good, where the figure has no meaning.

    Args:
        preference: (P,) the router's preference for the strong model.
        weak: (P,) score of the weak model's answer.
        strong: (P,) score of the strong model's answer.
    """
    curve = strong_call_curve(preference, weak, strong)
    return float(_area(curve.share, curve.recovered))


def cpt(preference: Floats, weak: Floats, strong: Floats, part: float) -> float:
    """Call-performance threshold: the smallest strong-call share that recovers `part` of the gap.

    Args:
        preference: (P,) the router's preference for the strong model.
        weak: (P,) score of the weak model's answer.
        strong: (P,) score of the strong model's answer.
        part: Part of the gap to recover, 0..1.
    """
    curve = strong_call_curve(preference, weak, strong)
    return _first_crossing(curve.share, curve.recovered, part)


def apgr_interval(
    preference: Floats, weak: Floats, strong: Floats, *, replicates: int = 1000, seed: int = 0
) -> Interval:
    """`apgr` with a 95 % bootstrap interval over prompts.

    Args:
        preference: (P,) the router's preference for the strong model.
        weak: (P,) score of the weak model's answer.
        strong: (P,) score of the strong model's answer.
        replicates: Bootstrap replicates.
        seed: Seed of the resampling.
    """
    value = apgr(preference, weak, strong)
    return _curve_interval(value, _area, preference, weak, strong, replicates, seed)


def cpt_interval(
    preference: Floats,
    weak: Floats,
    strong: Floats,
    part: float,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Interval:
    """`cpt` with a 95 % bootstrap interval over prompts.

    Args:
        preference: (P,) the router's preference for the strong model.
        weak: (P,) score of the weak model's answer.
        strong: (P,) score of the strong model's answer.
        part: Part of the gap to recover, 0..1.
        replicates: Bootstrap replicates.
        seed: Seed of the resampling.
    """

    def figure(share: Floats, recovered: Floats) -> float:
        return _first_crossing(share, recovered, part)

    value = cpt(preference, weak, strong, part)
    return _curve_interval(value, figure, preference, weak, strong, replicates, seed)


def convex_hull(points: Floats) -> Floats:
    """The non-decreasing convex hull: what mixing a router's settings at random can reach.

    Args:
        points: (N, 2) cost and quality.

    Returns:
        (H, 2) vertices, cost and quality both rising, slopes falling.

    Raises:
        ConfigurationError: No point, or one that is not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise ConfigurationError(
            f"a hull needs finite (cost, quality) points of shape (N, 2), N ≥ 1; got shape "
            f"{points.shape}."
        )
    # Cheapest first, best of equal cost first.
    points = points[np.lexsort((-points[:, 1], points[:, 0]))]
    hull: list[tuple[float, float]] = []
    for cost, quality in points.tolist():
        if hull and quality <= hull[-1][1]:
            continue
        while len(hull) > 1 and _is_below(hull[-2], hull[-1], (cost, quality)):
            hull.pop()
        hull.append((cost, quality))
    return np.array(hull)


def aiq(points: Floats, c_min: float, c_max: float) -> float:
    """Area under the hull over c_min..c_max, divided by that range (2403.12031).

    The range is that of the pool's single models, so a router's figure does not depend on which
    other routers it is compared with. The hull is extended flat beyond its last point. Before its
    first point nothing can be reached, and the area there counts as zero.

    Args:
        points: (N, 2) cost and quality of the router's settings.
        c_min: Mean cost of the cheapest single model.
        c_max: Mean cost of the dearest.

    Raises:
        ConfigurationError: An empty range, or no point.
    """
    if not c_max > c_min:
        raise ConfigurationError(
            f"AIQ needs single models of different cost; their range is {c_min}..{c_max}."
        )
    hull = convex_hull(points)
    inside = hull[(hull[:, 0] > c_min) & (hull[:, 0] < c_max), 0]
    start = max(c_min, hull[0, 0])
    if start >= c_max:
        return 0.0
    grid = np.concatenate([[start], inside[inside > start], [c_max]])
    return float(_area(grid, np.interp(grid, hull[:, 0], hull[:, 1])) / (c_max - c_min))


def oracle_choice(score: Floats, cost: Floats | None = None) -> Ints:
    """Per prompt the cheapest of the models with the best score.

    Args:
        score: (P, M) scores.
        cost: (P, M) USD; None takes the first of the best.

    Returns:
        (P,) model indices.
    """
    best = score >= score.max(axis=1, keepdims=True)
    chosen: Ints = np.argmin(np.where(best, 0.0 if cost is None else cost, np.inf), axis=1)
    return chosen


def resampling_weights(prompts: int, replicates: int, seed: int) -> Floats:
    """How often each prompt is drawn in each bootstrap replicate.

    Args:
        prompts: P.
        replicates: R.
        seed: Seed of the resampling.

    Returns:
        (R, P) counts; each row sums to P.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=replicates).astype(
        np.float64
    )


def percentile_interval(value: float, replicates: Floats, prompts: int) -> Interval:
    """A figure with the middle 95 % of its bootstrap replicates.

    Args:
        value: The figure on all prompts.
        replicates: (R,) the figure on each replicate; NaN where it has no meaning.
        prompts: P.
    """
    known = replicates[~np.isnan(replicates)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), 0.95, prompts)


def _ranking(preference: Floats, weak: Floats, strong: Floats) -> tuple[Ints, Ints]:
    """Prompts by falling preference, and where each group of equal preferences ends."""
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
    order = np.argsort(-preference, kind="stable")
    ranked = preference[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return order, ends


def _curve_interval(
    value: float,
    figure: Callable[[Floats, Floats], float],
    preference: Floats,
    weak: Floats,
    strong: Floats,
    replicates: int,
    seed: int,
) -> Interval:
    order, ends = _ranking(preference, weak, strong)
    gain = (strong - weak)[order]
    size = len(order)
    values: list[float] = []
    per_block = max(_BLOCK_CELLS // size, 1)
    for number, start in enumerate(range(0, replicates, per_block)):
        count = min(per_block, replicates - start)
        weights = resampling_weights(size, count, seed + number)
        share = np.cumsum(weights, axis=1)[:, ends] / size
        gained = np.cumsum(weights * gain, axis=1)[:, ends] / size
        for row_share, row_gained in zip(share, gained, strict=True):
            if row_gained[-1] == 0:
                values.append(np.nan)
                continue
            values.append(
                figure(
                    np.concatenate([[0.0], row_share]),
                    np.concatenate([[0.0], row_gained / row_gained[-1]]),
                )
            )
    return percentile_interval(value, np.array(values), size)


def _area(x: Floats, y: Floats) -> float:
    return float(np.sum((y[1:] + y[:-1]) * np.diff(x)) / 2)


def _first_crossing(share: Floats, recovered: Floats, part: float) -> float:
    reached = recovered >= part
    if not reached.any():
        return float("nan")
    after = int(np.argmax(reached))
    if after == 0:
        return float(share[0])
    rise = recovered[after] - recovered[after - 1]
    along = (part - recovered[after - 1]) / rise
    return float(share[after - 1] + along * (share[after] - share[after - 1]))


def _is_below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies on or below the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
