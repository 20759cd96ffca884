"""Recorded outcomes through the router: what its choices would have been worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.chain import RouterChain
from llmroute.evaluation import Evaluated, Interval, Outcomes, Report, evaluate, pool_from_outcomes
from llmroute.policies import CheapestAbove
from llmroute.pool import ModelPool
from llmroute.scoring.latent import LatentAbilityScorer

#: The shares of the best expected quality that are replayed; the last is the default.
QUALITIES = (0.8, 0.9, CheapestAbove().quality)
_REPLICATES = 500
#: Figure of the report → what the demo calls it, for two models whose calls are counted and for a
#: pool with costs.
_CALLS = {"apgr": "APGR", "cpt50": "CPT(50)", "cpt80": "CPT(80)"}
_COSTS = {"aiq": "AIQ", "aiq_over_zero": "AIQ over zero router"}


@dataclass(frozen=True)
class Line:
    """One way to choose, on all prompts.

    Attributes:
        label: What it is.
        quality: Mean score.
        usd_per_1000: Mean cost of a thousand calls, or None where none was recorded.
        strong_share: Part of the prompts that go to the best single model.
        over_zero: Quality less the zero router's at the same spend, for the router's own lines.
    """

    label: str
    quality: Interval
    usd_per_1000: Interval | None = None
    strong_share: Interval | None = None
    over_zero: Interval | None = None


@dataclass(frozen=True)
class Study:
    """One folder of outcomes, replayed.

    Attributes:
        name: The folder's name.
        prompts: Test prompts that every model answered.
        models: Models to choose from.
        strong: The best single model on the train split.
        lines: The ways to choose.
        figures: The field's figures for the router's whole curve.
        unfamiliar: Part of the prompts the scorer called unfamiliar.
        trained_on: Whether the scorer was trained on this folder's train split.
        limits: What these outcomes cannot tell.
    """

    name: str
    prompts: int
    models: int
    strong: str
    lines: tuple[Line, ...]
    figures: dict[str, Interval | float]
    unfamiliar: float
    trained_on: bool
    limits: str

    def to_json(self) -> dict[str, Any]:
        """The study as plain JSON types."""
        return asdict(self)


def study(folder: Path, scorer: LatentAbilityScorer, limits: str) -> Study:
    """Fit a pool's abilities on the train split, and replay the router on the test split.

    Args:
        folder: A folder of outcomes, of two models or with costs.
        scorer: The scorer.
        limits: What these outcomes cannot tell.

    Raises:
        ConfigurationError: The folder cannot be read.
        MissingExtra: pyarrow is not installed.
    """
    train, test = Outcomes.read(folder, "train"), Outcomes.read(folder, "test").complete()
    trained_on = folder.name in {source.name for source in scorer.card.data}
    pool = pool_from_outcomes(train, scorer)
    routers = {
        _label(quality): RouterChain(
            pool=pool, policy=CheapestAbove(quality=quality), scorer=scorer
        )
        for quality in QUALITIES
    }
    own = _label(QUALITIES[-1])
    report = evaluate(
        routers.pop(own),
        test,
        train=train,
        name=own,
        others=routers,
        replicates=_REPLICATES,
        classic=False,
    )
    figures = {**_figures(report), **(_by_part(pool, scorer, test) if test.cost is None else {})}
    return Study(
        name=folder.name,
        prompts=report.prompts,
        models=len(report.models),
        strong=report.strongest,
        lines=_lines(report, list(routers)),
        figures=figures,
        unfamiliar=float(scorer.estimate(test.prompts, pool).unfamiliar.mean()),
        trained_on=trained_on,
        limits=limits,
    )


def _label(quality: float) -> str:
    default = " (default)" if quality == QUALITIES[-1] else ""
    return f"llmroute, {quality:.0%}{default}"


def _lines(report: Report, cheaper: list[str]) -> tuple[Line, ...]:
    names = list(report.singles)
    cheapest = min(names, key=lambda name: report.singles[name][0])
    strong = report.strongest
    others = report.baselines
    priced = report.unit == "USD"
    zero = Line(
        "zero router, default's spend",
        report.metrics["zero_at_cost"],
        _thousand(report.metrics["cost"]) if priced else None,
    )
    return (
        _line(f"always {_bare(cheapest)}", others[cheapest], priced),
        _line("a random model", others["random"], priced),
        zero,
        *(_line(name, others[name], priced, routed=True) for name in cheaper),
        _line(report.router.name, report.router, priced, routed=True),
        _line(f"always {_bare(strong)}", others[strong], priced),
        _line("oracle", others["oracle"], priced),
    )


def _line(label: str, one: Evaluated, priced: bool, *, routed: bool = False) -> Line:
    figures = one.metrics
    return Line(
        label,
        quality=figures["quality"],
        usd_per_1000=_thousand(figures["cost"]) if priced else None,
        strong_share=figures["strong_share"],
        over_zero=figures["over_zero"] if routed else None,
    )


def _thousand(one: Interval) -> Interval:
    return Interval(1000 * one.value, 1000 * one.low, 1000 * one.high, one.level, one.prompts)


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1]


def _figures(report: Report) -> dict[str, Interval | float]:
    """The field's figures for the router's whole curve, and for those it is compared with."""
    shown = _COSTS if report.unit == "USD" else _CALLS
    found: dict[str, Interval | float] = {
        label: report.metrics[name] for name, label in shown.items() if name in report.metrics
    }
    name, label = next(iter(shown.items()))
    for other in ("random", "category", "zero", report.strongest, "oracle"):
        figure = report.baselines[other].metrics.get(name)
        if figure is not None:
            title = "best single" if other == report.strongest else other
            found[f"{label} {title}"] = figure
    return found


def _by_part(
    pool: ModelPool, scorer: LatentAbilityScorer, test: Outcomes
) -> dict[str, Interval | float]:
    figures: dict[str, Interval | float] = {}
    router = RouterChain(pool=pool, scorer=scorer)
    for name, part in _parts(test).items():
        found = evaluate(router, part, replicates=_REPLICATES, classic=False)
        figures[f"APGR on {name} alone ({len(part):,})"] = found.metrics["apgr"]
        figures[f"APGR oracle on {name}"] = found.baselines["oracle"].metrics["apgr"].value
    return figures


def _parts(test: Outcomes) -> Mapping[str, Outcomes]:
    """The benchmarks a table is made of, by the first word of the categories; none if it is one."""
    names = np.array([category.split("_")[0] for category in test.categories])
    parts = list(dict.fromkeys(names.tolist()))
    return {name: test.select(names == name) for name in parts} if len(parts) > 1 else {}
