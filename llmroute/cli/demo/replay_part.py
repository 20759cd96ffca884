"""The demo's second part: recorded outcomes through the router, where they are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from llmroute.chain import RouterChain
from llmroute.cli.render import clip, interval, progress, table, terminal
from llmroute.errors import MissingExtra
from llmroute.evaluation import Interval, Outcomes, Report, default_data, evaluate
from llmroute.evaluation.glossary import LIMITS
from llmroute.files import plain
from llmroute.policies import CheapestAbove
from llmroute.pool import ModelPool
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.pool_fit import pool_from_outcomes
from llmroute.scoring.registry import load_latent

if TYPE_CHECKING:
    from rich.table import Table

#: Characters from which there is room for intervals.
_WIDE = 110
#: The folders that are replayed.
_FOLDERS = ("routellm", "routerbench")
_ABSENT = (
    "No recorded outcomes to replay: point to a folder that holds "
    f"{' and '.join(f'{name}/' for name in _FOLDERS)} with --data DIR or LLMROUTE_DATA."
)
#: The shares of the best expected quality that are replayed; the last is the default.
_QUALITIES = (0.8, 0.9, CheapestAbove().quality)
#: Of every evaluation.
_SETTINGS: dict[str, Any] = {"replicates": 500, "classic": False}
#: Figure of the report → what the demo calls it, for two models whose calls are counted and for a
#: pool with costs.
_CALLS = {"apgr": "APGR", "cpt50": "CPT(50)", "cpt80": "CPT(80)"}
_COSTS = {"aiq": "AIQ", "aiq_over_zero": "AIQ over zero router"}


def replay_part(data: Path | None, scorer: str, as_json: bool) -> dict[str, Any] | None:
    """Replay what is at hand, show it and return it; None where nothing is, and how to get it."""
    root = data or default_data()
    folders = [root / name for name in _FOLDERS if (root / name).is_dir()] if root else []
    if not folders:
        click.echo(_ABSENT, err=as_json)
        return None
    studies = []
    try:
        loaded = load_latent(scorer)
        with progress(shown=not as_json) as show:
            for done, folder in enumerate(folders):
                show("replaying", done, len(folders), folder.name)
                studies.append(_study(folder, loaded))
    except MissingExtra as missing:  # the first part needs no extra, so this is no failure
        click.echo(str(missing), err=as_json)
        return None
    if not as_json:
        console = terminal()
        for study in studies:
            console.print()
            console.print(_lines_table(study, console.width))
            console.print(_figures_table(study))
            console.print(_limits(study), style="yellow", markup=False)
    return {study["name"]: plain(study) for study in studies}


def _study(folder: Path, scorer: LatentAbilityScorer) -> dict[str, Any]:
    """Fit a pool's abilities on the train split, and replay the router on the test split."""
    train, test = Outcomes.read(folder, "train"), Outcomes.read(folder, "test").complete()
    pool = pool_from_outcomes(train, scorer)
    routers = {
        f"llmroute, {quality:.0%}": RouterChain(
            pool=pool, policy=CheapestAbove(quality=quality), scorer=scorer
        )
        for quality in _QUALITIES
    }
    own, router = routers.popitem()
    name = f"{own} (default)"
    report = evaluate(router, test, train=train, name=name, others=routers, **_SETTINGS)
    figures = _figures(report)
    if test.cost is None:
        figures |= _figures_of_parts(pool, scorer, test)
    return {
        "name": folder.name,
        "prompts": report.prompts,
        "models": len(report.models),
        "strong": report.strongest,
        "lines": _lines(report, list(routers)),
        "figures": figures,
        "unfamiliar": float(scorer.estimate(test.prompts, pool).unfamiliar.mean()),
        "trained_on": folder.name in {source.name for source in scorer.card.data},
        "limits": LIMITS[folder.name],
    }


def _lines(report: Report, routed: list[str]) -> list[dict[str, Any]]:
    """Single models, mixtures and the router, whose further settings are the `routed` ones."""

    def line(label: str, metrics: Mapping[str, Interval], *, own: bool = False) -> dict[str, Any]:
        cost = metrics["cost"]
        per_1000 = {name: 1000 * getattr(cost, name) for name in ("value", "low", "high")}
        return {
            "label": label,
            "quality": metrics["quality"],
            "usd_per_1000": replace(cost, **per_1000) if report.unit == "USD" else None,
            "strong_share": metrics.get("strong_share"),
            "over_zero": metrics["over_zero"] if own else None,
        }

    def always(model: str) -> dict[str, Any]:
        return line(f"always {model.rsplit('/', 1)[-1]}", rows[model].metrics)

    rows, own = report.baselines, report.metrics
    cheapest = min(report.singles, key=lambda name: report.singles[name][0])
    zero = {"quality": own["zero_at_cost"], "cost": own["cost"]}
    return [
        always(cheapest),
        line("a random model", rows["random"].metrics),
        line("zero router, default's spend", zero),
        *(line(name, rows[name].metrics, own=True) for name in routed),
        line(report.router.name, own, own=True),
        always(report.strongest),
        line("oracle", rows["oracle"].metrics),
    ]


def _figures(report: Report) -> dict[str, Interval | float]:
    """The field's figures for the router's whole curve, and for those it is compared with."""
    shown = _COSTS if report.unit == "USD" else _CALLS
    figures: dict[str, Interval | float] = {
        label: report.metrics[name] for name, label in shown.items() if name in report.metrics
    }
    name, label = next(iter(shown.items()))
    for other in ("random", "category", "zero", report.strongest, "oracle"):
        if (figure := report.baselines[other].metrics.get(name)) is not None:
            title = "best single" if other == report.strongest else other
            figures[f"{label} {title}"] = figure
    return figures


def _figures_of_parts(
    pool: ModelPool, scorer: LatentAbilityScorer, test: Outcomes
) -> dict[str, Interval | float]:
    """APGR on each of the benchmarks a table is made of, the first words of its categories."""
    figures: dict[str, Interval | float] = {}
    router = RouterChain(pool=pool, scorer=scorer)
    names = [category.split("_")[0] for category in test.categories]
    parts = list(dict.fromkeys(names))
    for name in parts if len(parts) > 1 else ():
        part = test.select(np.array(names) == name)
        report = evaluate(router, part, **_SETTINGS)
        figures[f"APGR on {name} alone ({len(part):,})"] = report.metrics["apgr"]
        figures[f"APGR oracle on {name}"] = report.baselines["oracle"].metrics["apgr"].value
    return figures


def _lines_table(study: dict[str, Any], width: int) -> Table:
    """The ways to choose, one a row, for a terminal of `width` characters."""
    wide = width >= _WIDE
    priced = study["lines"][0]["usd_per_1000"] is not None
    usd = [">USD per 1000" if wide else ">USD/1000"] if priced else []
    listing = table(
        *("|who chooses", ">quality", *usd, ">strong calls", ">over zero"),
        title=f"Replay of {study['name']}: {study['prompts']:,} test prompts, {study['models']} "
        "models, what they answered then",
        caption="± and [ ]: 95 % intervals; over zero: points of quality above the zero router "
        "(single models mixed at random) at the same spend",
    )
    for line in study["lines"]:
        cost, share = line["usd_per_1000"], line["strong_share"]
        cells = [
            clip(line["label"], 44 if wide else 32),
            interval(line["quality"], ".3f", wide=wide),
        ]
        if cost is not None:
            cells.append(interval(cost, ".2f", wide=True) if wide else f"{cost.value:.2f}")
        cells.append(f"{100 * share.value:.0f}%" if share else "")
        cells.append(interval(line["over_zero"], "+.1f", wide=wide, scale=100))
        listing.add_row(*cells, style="bold" if line["over_zero"] else "")
    return listing


def _figures_table(study: dict[str, Any]) -> Table:
    """The field's figures for the whole curve, over all thresholds."""
    listing = table("over all thresholds", ">", "95 % interval")
    for name, figure in study["figures"].items():
        if isinstance(figure, float):
            listing.add_row(name, f"{figure:.3f}", "")
        else:
            listing.add_row(name, f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}")
    return listing


def _limits(study: dict[str, Any]) -> str:
    home = (
        "The scorer was trained on the train split of this folder, so this is its home ground."
        if study["trained_on"]
        else "The scorer was not trained on this folder; only its models' abilities were fitted, "
        "on the train split."
    )
    return (
        f"{study['limits']} {home} {study['unfamiliar']:.0%} of the prompts are unfamiliar to it."
    )
