"""Many models: quality against cost (RouterBench, 2403.12031; LLMRouterBench, 2601.07206).

A picture is (N, 2) `points`, mean cost and mean quality, of a router's N settings; `singles` are
the (M, 2) points of always asking one model. Every function also takes a stack of pictures with
further axes in front, such as (R+1, N, 2) of bootstrap replicates, and then returns a stack of
figures; of one picture it returns a single number. The best single model and the hull are found
anew in each picture of a stack.

Costs are USD or any other spend. Qualities are 0..1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints

#: Qualities nearer than this are equal: sums of the same scores in another order differ by less.
_EQUAL = 1e-9


def convex_hull(points: Floats) -> Floats:
    """The non-decreasing convex hull: what mixing a router's settings at random can reach.

    NDCH of RouterBench (2403.12031): the smallest concave, non-decreasing curve over the points. It
    begins at the cheapest point, the best of equally cheap ones, and ends at the best quality.
    RouterBench's script (evaluation/AIQ.py) has the same curve, with the points beneath it lifted
    onto it.

    (H, 2) vertices, cost and quality both rising, slopes falling. In a stack (..., H, 2), where
    shorter hulls repeat their last vertex, and a picture with a NaN has a hull of NaN.
    ConfigurationError where there is no point, or no picture whose points are finite.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != 2 or not points.size:
        raise ConfigurationError(
            f"a hull needs (cost, quality) points of shape (N, 2), N ≥ 1, or a stack of such; got "
            f"shape {points.shape}."
        )
    finite = np.isfinite(points).all(axis=(-1, -2))
    if not finite.any():
        raise ConfigurationError(
            "a hull needs finite points; a cost or quality is NaN or infinite. Keep the prompts "
            "that every model answered (Outcomes.complete)."
        )
    whole = np.where(np.expand_dims(finite, (-1, -2)), points, np.nan)
    hulls = _hulls(whole.reshape(-1, *points.shape[-2:]))
    return hulls.reshape(*points.shape[:-2], *hulls.shape[1:])


def quality_at(points: Floats, cost: Floats | float) -> Floats:
    """Quality that mixing the points at random reaches at a cost: the hull at that cost.

    Of a cost, or (..., K) of them for each picture: (..., K), NaN below the cheapest point, where
    nothing can be had, and the best quality beyond the hull's end.
    """
    hull_cost, hull_quality, cost, single = _aligned(points, cost)
    segment = (hull_cost[..., None, :] <= cost[..., None]).sum(axis=-1) - 1
    found = _between(hull_cost, hull_quality, cost, segment)
    found = np.where(segment < 0, np.nan, found)
    return _number(found[..., 0] if single else found)


def cost_at(points: Floats, quality: Floats | float) -> Floats:
    """Least cost at which mixing the points at random reaches a quality: the hull read backwards.

    Of a quality, or (..., K) of them for each picture: (..., K), NaN above the best quality, and
    the least cost below the cheapest point's quality.
    """
    hull_cost, hull_quality, quality, single = _aligned(points, quality)
    best = hull_quality[..., -1:]
    # A quality that differs from the best by rounding is reached.
    reached = np.where(quality <= best + _EQUAL, np.minimum(quality, best), np.nan)
    segment = (hull_quality[..., None, :] < reached[..., None]).sum(axis=-1) - 1
    found = _between(hull_quality, hull_cost, reached, segment)
    found = np.where(segment < 0, hull_cost[..., :1], found)
    found = np.where(np.isnan(reached), np.nan, found)
    return _number(found[..., 0] if single else found)


def aiq(points: Floats, c_min: Floats | float, c_max: Floats | float) -> Floats:
    """Area under the hull over c_min..c_max, divided by that range (2403.12031).

    AIQ = 1/(c_max − c_min) ∫ NDCH(c) dc. The range is that of the pool's single models, so a
    router's figure does not depend on which other routers it is compared with. The hull is extended
    flat beyond its last point. Before its first point nothing can be reached, and the area there
    counts as zero.

    `c_min` and `c_max` are the mean costs of the cheapest and of the dearest single model, (...,)
    in a stack. NaN in a picture whose range is empty; ConfigurationError where the range is empty
    in every picture, or there is no point.
    """
    low, high = np.asarray(c_min, dtype=np.float64), np.asarray(c_max, dtype=np.float64)
    if not (high > low).any():
        raise ConfigurationError(
            f"AIQ needs single models of different cost; their range is {c_min}..{c_max}."
        )
    hull = convex_hull(points)
    cost, quality = hull[..., 0], hull[..., 1]
    # Each segment's part within the range; the last one runs flat from the last vertex on.
    ends = np.clip(cost, low[..., None], high[..., None])
    width = np.diff(ends, axis=-1)
    run = np.diff(cost, axis=-1)
    slope = np.diff(quality, axis=-1) / np.where(run > 0, run, 1.0)
    middle = (ends[..., 1:] + ends[..., :-1]) / 2
    area = (width * (quality[..., :-1] + slope * (middle - cost[..., :-1]))).sum(axis=-1)
    area += (high - ends[..., -1]) * quality[..., -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return _number(np.where(high > low, area / (high - low), np.nan))


def aiq_routerbench(points: Floats, c_max: Floats | float) -> Floats:
    """AIQ as RouterBench's script has it (withmartian/routerbench, evaluation/AIQ.py).

    The area under the hull from its own first point to c_max, divided by c_max; the hull is
    extended flat to c_max. c_max is the largest cost on any of the hulls that are compared, so the
    figure changes with the company. (The paper's formula divides by c_max − c_min.)
    (...,) in a stack; ConfigurationError where c_max is not above 0, or there is no point.
    """
    return aiq(points, np.zeros(np.shape(c_max)), c_max)


def best_single(singles: Floats) -> Ints:
    """Index of the single model with the best quality, the cheapest of equally good ones."""
    cost, quality = singles[..., 0], singles[..., 1]
    best = quality >= quality.max(axis=-1, keepdims=True) - _EQUAL
    chosen: Ints = np.argmin(np.where(best, cost, np.inf), axis=-1)
    return chosen


def perf_gain(points: Floats, singles: Floats) -> Floats:
    """Best quality of any setting over the best single model's: max q / q_best − 1.

    PerfGain of LLMRouterBench (2601.07206; its README: best achievable improvement over Best
    Single, at the highest-accuracy configuration). Its quality is the unweighted mean over data
    sets; here it is that of the points. Negative for a router that never reaches the best single
    model; NaN where no single model is ever right.
    """
    best = singles[..., 1].max(axis=-1)
    return _ratio(points[..., 1].max(axis=-1) - best, best)


def cost_save(points: Floats, singles: Floats) -> Floats:
    """Largest saving at the best single model's quality: 1 − min{c : q ≥ q_best} / c_best.

    CostSave of LLMRouterBench (2601.07206; its README: maximal cost reduction while maintaining
    Best Single's accuracy). Settings count, not mixes of them; with mixes it is
    1 − `cost_at`(points, q_best) / c_best. Negative where quality is reached at a higher cost; NaN
    where no setting is as good, or where that model costs nothing.
    """
    which = best_single(singles)[..., None, None]
    best = np.take_along_axis(singles, which, axis=-2)
    reached = points[..., 1] >= best[..., 1] - _EQUAL
    least = np.where(reached, points[..., 0], np.inf).min(axis=-1)
    least = np.where(np.isinf(least), np.nan, least)
    return _ratio(best[..., 0, 0] - least, best[..., 0, 0])


def pareto_dist(points: Floats, others: Floats) -> Floats:
    """Mean distance of a router's settings to the Pareto frontier of all that are compared.

    ParetoDist of LLMRouterBench (2601.07206). Its repository has no code for it and its README says
    only "average distance to Pareto frontier (smaller is better)". Ours, after what others who read
    the paper report of it: quality and log cost are each scaled to 0..1 over all configurations
    compared; the frontier is those that no other is both cheaper than and as good as; the L1
    distance of each setting to the nearest of them is averaged. 0 is on the frontier. A log scale
    has no 0: NaN where a cost is not positive. `others` are the (K, 2) points of all others that
    are compared, or a stack of such.
    """
    stack = points.shape[:-2]
    others = np.broadcast_to(others, (*stack, *others.shape[-2:]))
    mine = points.reshape(-1, *points.shape[-2:])
    theirs = others.reshape(-1, *others.shape[-2:])
    found = [_pareto_dist(one, rest) for one, rest in zip(mine, theirs, strict=True)]
    return _number(np.array(found).reshape(stack))


def gap_to_oracle(quality: Floats | float, oracle: Floats | float) -> Floats:
    """What a router lacks of the oracle: 1 − q / q_oracle.

    Gap@O of LLMRouterBench (2601.07206), which takes it on each data set and averages. Of numbers
    or arrays; NaN where the oracle's quality is 0.
    """
    quality, oracle = np.asarray(quality, np.float64), np.asarray(oracle, np.float64)
    return _ratio(oracle - quality, oracle)


def closed_gap(figure: Floats | float, zero: Floats | float, oracle: Floats | float) -> Floats:
    """Part of the gap from zero router to oracle closed: (f − f_zero) / (f_oracle − f_zero).

    Of a figure such as AIQ or the quality at a cost, and the same of the zero router (the hull of
    the single models) and of the oracle. Of the arguments' shape: 0 for the zero router, 1 for the
    oracle, negative below the zero router; NaN where the two are equally good.
    """
    figure, zero, oracle = (np.asarray(each, np.float64) for each in (figure, zero, oracle))
    gap = oracle - zero
    return _ratio(figure - zero, np.where(np.abs(gap) < _EQUAL, 0.0, gap))


def over_zero(points: Floats, singles: Floats) -> Floats:
    """Quality of each setting less the zero router's at the same spend.

    The zero router (RouterBench, 2403.12031) mixes the single models at random: q − NDCH(c). A
    setting that spends less than the cheapest single model is compared with that model, to its
    disadvantage: no mix spends as little. (..., N); negative where the router is of no use.
    """
    cheapest = singles[..., 0].min(axis=-1, keepdims=True)
    gained: Floats = points[..., 1] - quality_at(singles, np.maximum(points[..., 0], cheapest))
    return gained


def oracle_choice(score: Floats, cost: Floats | None = None) -> Ints:
    """(P,) per prompt the cheapest of the models with the best score, (P, M) both.

    Without costs the first of the best.
    """
    best = score >= score.max(axis=1, keepdims=True)
    chosen: Ints = np.argmin(np.where(best, 0.0 if cost is None else cost, np.inf), axis=1)
    return chosen


def _hulls(points: Floats) -> Floats:
    """(B, H, 2) hulls of (B, N, 2) points; a shorter one repeats its last vertex.

    A point on or under the line between its neighbours is no vertex, whatever becomes of them. All
    such points are taken away at once, in all pictures, until none is left.
    """
    order = np.lexsort((-points[:, :, 1], points[:, :, 0]), axis=-1)
    points = np.take_along_axis(points, order[:, :, None], axis=1)
    keep = np.ones(points.shape[:2], dtype=np.bool_)
    # Nothing that is dearer and no better; then both rise from point to point.
    keep[:, 1:] = points[:, 1:, 1] > np.maximum.accumulate(points[:, :-1, 1], axis=1)
    while True:
        points = _packed(points, keep)
        before, after = points[:, 1:-1] - points[:, :-2], points[:, 2:] - points[:, :-2]
        under = before[:, :, 1] * after[:, :, 0] <= after[:, :, 1] * before[:, :, 0]
        under &= points[:, 1:-1, 0] < points[:, -1:, 0]  # a repeated last vertex is not under
        if not under.any():
            return points
        keep = np.ones(points.shape[:2], dtype=np.bool_)
        keep[:, 1:] = points[:, 1:, 0] > points[:, :-1, 0]
        keep[:, 1:-1] &= ~under


def _packed(points: Floats, keep: npt.NDArray[np.bool_]) -> Floats:
    """The points to keep, moved to the front; where that leaves room, the last is repeated."""
    kept = keep.sum(axis=1)
    place = np.argsort(~keep, axis=1, kind="stable")
    place = np.take_along_axis(place, np.minimum(np.arange(kept.max()), kept[:, None] - 1), axis=1)
    return np.take_along_axis(points, place[:, :, None], axis=1)


def _aligned(points: Floats, at: Floats | float) -> tuple[Floats, Floats, Floats, bool]:
    """The hull's costs and qualities, (..., K) places to read it at, and whether K was left out.

    A number, or as many as there are pictures, is one place for each picture.
    """
    hull = convex_hull(points)
    places = np.asarray(at, dtype=np.float64)
    single = places.ndim < hull.ndim - 1
    if single:
        places = places[..., None]
    stack = np.broadcast_shapes(hull.shape[:-2], places.shape[:-1])
    hull = np.broadcast_to(hull, (*stack, *hull.shape[-2:]))
    places = np.broadcast_to(places, (*stack, places.shape[-1]))
    return hull[..., 0], hull[..., 1], places, single


def _between(x: Floats, y: Floats, at: Floats, segment: Ints) -> Floats:
    """Linear interpolation within given segments of (..., H) polylines; flat beyond the last."""
    first = np.clip(segment, 0, x.shape[-1] - 1)
    second = np.minimum(first + 1, x.shape[-1] - 1)
    x0, x1 = np.take_along_axis(x, first, -1), np.take_along_axis(x, second, -1)
    y0, y1 = np.take_along_axis(y, first, -1), np.take_along_axis(y, second, -1)
    run = x1 - x0
    along = np.clip((at - x0) / np.where(run > 0, run, 1.0), 0.0, 1.0)
    return y0 + np.where(run > 0, along, 0.0) * (y1 - y0)


def _pareto_dist(mine: Floats, theirs: Floats) -> float:
    union = np.vstack([mine, theirs])
    if not (np.isfinite(union).all() and (union[:, 0] > 0).all()):
        return float("nan")
    union = np.column_stack([np.log(union[:, 0]), union[:, 1]])
    spread = np.ptp(union, axis=0)
    scaled = (union - union.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    # Cheapest first: on the frontier is what is better than all that is cheaper.
    in_order = scaled[np.lexsort((-scaled[:, 1], scaled[:, 0]))]
    best_before = np.maximum.accumulate(np.append(-np.inf, in_order[:-1, 1]))
    frontier = in_order[in_order[:, 1] > best_before]
    apart = np.abs(scaled[: len(mine), None] - frontier).sum(axis=-1)
    return float(apart.min(axis=1).mean())


def _ratio(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, NaN where the whole is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _number(np.where(np.abs(whole) > 0, part / whole, np.nan))


def _number(figures: Floats) -> Floats:
    """An array as it is; one without axes, the figure of a single picture, as a number."""
    found: Floats = figures[()]
    return found
