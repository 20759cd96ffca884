"""From runs to figures: every way to choose, measured on the same prompts and replicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from llmroute import metrics
from llmroute.evaluation.results import Evaluated
from llmroute.evaluation.run import Run, spend_of, strongest
from llmroute.metrics import Resamples
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

#: Parts of the gap that CPT is reported for.
_PARTS = (0.5, 0.8)
#: Parts of the best single model's quality that the least spend is reported for.
_KEPT = (0.95, 1.0)
_HALF = 0.5


class Ground:
    """What every run is measured against: P prompts that all M models answered, and replicates."""

    def __init__(self, outcomes: Outcomes, resamples: Resamples) -> None:
        self.outcomes, self.resamples, self.strong = outcomes, resamples, strongest(outcomes)
        spend, quality = resamples.means(spend_of(outcomes)), resamples.means(outcomes.score)
        #: (R+1, M, 2) mean spend and mean quality of each model, and (R+1, 2) the strongest's.
        self.singles: Floats = np.stack([spend, quality], axis=-1)
        self.best: Floats = self.singles[:, self.strong]
        #: (R+1,) mean spend of the cheapest and of the dearest model.
        self.low: Floats = spend.min(axis=1)
        self.high: Floats = spend.max(axis=1)

    def aiq(self, points: Floats) -> Floats:
        """AIQ of (R+1, N, 2) points; always asking the cheapest model is open to every router."""
        if not (self.high > self.low).any():
            return np.full(len(points), np.nan)
        cheapest = self.singles[:, [int(np.argmin(self.singles[0, :, 0]))]]
        return metrics.aiq(np.concatenate([cheapest, points], axis=1), self.low, self.high)


@dataclass(frozen=True)
class Measured:
    """The means of a run, on the sample and on every replicate."""

    run: Run  #: without its (N, P) and (P, M) arrays
    points: Floats  #: (R+1, N, 2) mean spend and mean quality at each setting
    strong: Floats  #: (R+1, N) share of the prompts for which the strongest model was called
    own: Mapping[str, Floats]  #: figures that need more than means
    categories: Floats  #: (C, N) mean quality in each category

    @property
    def typical_spend(self) -> Floats:
        """(R+1,) spend as configured; of a sweep alone, that of its middle setting."""
        setting = len(self.run) // 2 if self.run.setting is None else self.run.setting
        spend: Floats = self.points[:, setting, 0]
        return spend


def measured(ground: Ground, run: Run) -> Measured:
    """The means of a run on the ground's prompts, after which its own arrays can be let go."""
    spend, quality, strong = (
        ground.resamples.means(np.ascontiguousarray(rows.T))
        for rows in (run.cost, run.score, run.strong)
    )
    none = np.empty((len(run), 0))
    return Measured(
        run=replace(run, score=none, cost=none, strong=none, quality=None, preference=None),
        points=np.stack([spend, quality], axis=-1),
        strong=strong,
        own=dict(_own_figures(ground, run)),
        categories=_by_category(ground.outcomes.categories, run.score),
    )


def evaluated(
    ground: Ground, everyone: Mapping[str, Measured], spend: Floats
) -> dict[str, Evaluated]:
    """The figures of all runs by name, `oracle` among them.

    Figures that compare, such as the distance to the common frontier, are taken among these without
    the oracle and the cascades with a simulated judge, which are no routers that one could have.
    `spend` is the router's, (R+1,): there a sweep without a setting of its own is shown.
    """
    field = _Field(ground, everyone, spend)
    return {name: _evaluated(ground, field, one) for name, one in everyone.items()}


class _Field:
    """What figures that compare need to know of all runs."""

    def __init__(self, ground: Ground, everyone: Mapping[str, Measured], spend: Floats) -> None:
        self.by_name, self.spend = everyone, spend
        routers = [each.points for each in everyone.values() if not each.run.simulated]
        oracle = everyone["oracle"].points
        self.points: Floats = np.concatenate(routers, axis=1)
        self.dearest: Floats = np.max([metrics.convex_hull(p)[:, -1, 0] for p in routers], axis=0)
        self.oracle_aiq, self.zero_aiq = ground.aiq(oracle), ground.aiq(ground.singles)
        self.oracle_quality: Floats = oracle[..., 1].max(axis=-1)


def _evaluated(ground: Ground, field: _Field, means: Measured) -> Evaluated:
    run, home = means.run, field.by_name.get(means.run.home or "")
    figures = chain(
        _at_setting(ground, field, means),
        _of_sweep(ground, field, means),
        means.own.items(),
        () if home is None else _drops(ground, home, means),
    )
    shown = run.setting
    if shown is None:
        shown = int(np.argmin(np.abs(means.points[0, :, 0] - field.spend[0])))
    names = sorted(set(ground.outcomes.categories))
    low, high = np.nanquantile(means.points[..., 1], [0.025, 0.975], axis=0)
    return Evaluated(
        name=run.name,
        metrics={
            name: metrics.interval(values, len(ground.outcomes))
            for name, values in figures
            if not np.isnan(values[0])
        },
        curve=means.points[0],
        band=np.stack([low, high], axis=1),
        parameter=run.parameter,
        setting=run.setting,
        categories=dict(zip(names, means.categories[:, shown].tolist(), strict=True)),
    )


def _at_setting(ground: Ground, field: _Field, means: Measured) -> Iterator[tuple[str, Floats]]:
    """The router as it was configured; a run of one point is that point."""
    setting = 0 if len(means.run) == 1 else means.run.setting
    if setting is None:
        # Mixing settings at random, as the zero router does, reaches every spend between them.
        yield "quality_at_cost", metrics.quality_at(means.points, field.spend)
        return
    point = means.points[:, setting]
    yield "quality", point[:, 1]
    yield "cost", point[:, 0]
    yield "strong_share", means.strong[:, setting]
    with np.errstate(divide="ignore", invalid="ignore"):
        yield "saved", 1 - point[:, 0] / ground.best[:, 0]
        yield "kept", point[:, 1] / ground.best[:, 1]
    over = metrics.over_zero(point[:, None], ground.singles)[:, 0]
    yield "over_zero", over
    yield "zero_at_cost", point[:, 1] - over
    yield "gap_oracle", metrics.gap_to_oracle(point[:, 1], field.oracle_quality)


def _of_sweep(ground: Ground, field: _Field, means: Measured) -> Iterator[tuple[str, Floats]]:
    """Figures of the whole curve."""
    if not (ground.high > ground.low).any():
        return
    area = ground.aiq(means.points)
    yield "aiq", area
    yield "aiq_over_zero", area - field.zero_aiq
    yield "aiq_closed", metrics.closed_gap(area, field.zero_aiq, field.oracle_aiq)
    yield "aiq_routerbench", metrics.aiq_routerbench(means.points, field.dearest)
    yield "perf_gain", metrics.perf_gain(means.points, ground.singles)
    yield "cost_save", metrics.cost_save(means.points, ground.singles)
    yield "pareto_dist", metrics.pareto_dist(means.points, field.points)
    yield "quality_at_half", metrics.quality_at(means.points, _HALF * ground.best[:, 0])
    for part in _KEPT:
        with np.errstate(divide="ignore", invalid="ignore"):
            least = metrics.cost_at(means.points, part * ground.best[:, 1]) / ground.best[:, 0]
        yield f"cost_at_{part:.0%}".rstrip("%"), least


def _drops(ground: Ground, home: Measured, away: Measured) -> Iterator[tuple[str, Floats]]:
    """What a router loses on ground it does not know, paired."""
    yield "aiq_drop", ground.aiq(home.points) - ground.aiq(away.points)
    if "apgr" in home.own and "apgr" in away.own:
        yield "apgr_drop", home.own["apgr"] - away.own["apgr"]


def _own_figures(ground: Ground, run: Run) -> Iterator[tuple[str, Floats]]:
    """Figures that are taken from estimates, prompt by prompt."""
    outcomes, resamples = ground.outcomes, ground.resamples
    preference = run.preference_for(ground.strong)
    if preference is not None and len(outcomes.models) == 2:
        weak, strong = outcomes.score[:, 1 - ground.strong], outcomes.score[:, ground.strong]
        yield "apgr", metrics.apgr_replicates(preference, weak, strong, resamples)
        shares = metrics.cpt_replicates(preference, weak, strong, resamples, _PARTS)
        for part, share in zip(_PARTS, shares.T, strict=True):
            yield f"cpt{100 * part:.0f}", share
        # RouteLLM's own, on the sample only: its script has no intervals.
        yield "apgr_routellm", np.array([metrics.apgr_routellm(preference, weak, strong)])
        for part in _PARTS:
            value = metrics.cpt_routellm(preference, weak, strong, part)
            yield f"cpt{100 * part:.0f}_routellm", np.array([value])
    if run.quality is None:
        return
    models = range(len(outcomes.models))
    pairs = [(run.quality[:, m], outcomes.score[:, m]) for m in models]
    yield "ece", np.mean([metrics.ece_replicates(*pair, resamples) for pair in pairs], axis=0)
    yield "brier", np.mean([metrics.brier_replicates(*pair, resamples) for pair in pairs], axis=0)
    for name, pair in zip(outcomes.models, pairs, strict=True):
        yield f"auroc:{name}", metrics.auroc_replicates(*pair, resamples)


def _by_category(categories: tuple[str, ...], score: Floats) -> Floats:
    """(C, N) mean of (N, P) scores in each category, by name."""
    names, which = np.unique(categories, return_inverse=True)
    member = np.eye(len(names))[which]
    means: Floats = (score @ (member / member.sum(axis=0))).T
    return means
