"""`llmroute eval`: a router measured on recorded outcomes, beside the baselines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import (
    EXISTING,
    FILE,
    FOLDER,
    RoutingOptions,
    json_option,
    pool_of,
    read_model,
    routing_options,
)
from llmroute.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmroute.chain import RouterChain
    from llmroute.cli.render import ShowProgress
    from llmroute.evaluation import Evaluated, Outcomes, Report
    from llmroute.policies import Policy

#: Characters from which there is room for intervals.
_WIDE = 120
_NOTHING_TO_FIT = (
    "Warning: no rows for fitting (split train): abilities and prices are guessed from the models' "
    "names."
)


@click.command("eval", short_help="Measure a router on recorded outcomes.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=EXISTING,
    help="Outcomes: a CSV, TSV or JSONL log, a folder of parquet files, an export of LangSmith or "
    "Langfuse, RouterBench's pickle, or a checkout of RouteLLM. Repeat it for several.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Folder for report.html, report.json and the pictures; of several data, a folder each.",
)
@click.option(
    "--markdown", type=FILE, help="File for the figures of all data as one Markdown page."
)
@routing_options(without=["config", "escalation", "calibration", "api_base"])
@click.option("--split", default="test", type=click.Choice(["train", "test"]))
@click.option("--score-name", help="Which feedback score of a trace is the quality.")
@click.option(
    "--classic/--no-classic",
    default=True,
    help="Measure RouterBench's kNN, MLP, SVM and cascading routers too.",
)
@click.option(
    "--shift/--no-shift",
    default=False,
    help="Measure the router also on categories that were left out of its fitting.",
)
@click.option("--replicates", type=click.IntRange(0), default=1000)
@click.option("--seed", type=int, default=0)
@json_option
def eval(
    data: tuple[Path, ...],
    out: Path | None,
    markdown: Path | None,
    routing: RoutingOptions,
    as_json: bool,
    **options: Any,
) -> None:
    """Replay a router on recorded outcomes; no model is called.

    Without --model the pool is made from the data: the models' abilities and prices are fitted on
    the train split, the figures are those of the test split. A log without a column `split` is
    halved by a hash of the prompt. docs/outcomes.md says what a log looks like.
    """
    from llmroute.cli.render import print_json, progress, terminal
    from llmroute.evaluation.markdown import write_page
    from llmroute.evaluation.plots import write_pictures

    policy = routing.policy()
    if options["shift"] and routing.models:
        raise click.UsageError(
            "--shift fits the models' abilities anew without some categories; with --model nothing "
            "is fitted. Leave out one of them."
        )
    if out is not None:
        _prepare(out, data)
    reports = {}
    for path in data:
        with progress(shown=not as_json) as show:
            reports[path] = _report(path, routing, policy, show, **options)
        if out is not None:
            folder = out if len(data) == 1 else out / path.stem
            reports[path].to_json(folder / "report.json")
            reports[path].to_html(folder / "report.html")
            write_pictures(reports[path], folder)
    if markdown is not None:
        write_page(markdown, list(reports.values()))
    if as_json:
        print_json([report.to_dict() for report in reports.values()])
        return
    console = terminal()
    for report in reports.values():
        console.print()
        console.print(report_table(report, console.width))
        console.print(report.limits, style="yellow", markup=False)
    for written in (out and out / "report.html" if len(data) == 1 else out, markdown):
        if written is not None:
            console.print(f"Written: {written}", markup=False, soft_wrap=True)


def _report(
    path: Path,
    routing: RoutingOptions,
    policy: Policy,
    show: ShowProgress,
    *,
    split: str,
    score_name: str | None,
    shift: bool,
    **options: Any,
) -> Report:
    """Evaluate on one of the data; `options` are those of `evaluate`."""
    from llmroute.evaluation import Outcomes, evaluate
    from llmroute.evaluation.glossary import LIMITS
    from llmroute.evaluation.shift import unseen_categories

    def read(part: str) -> Outcomes:
        return Outcomes.read(path, part, score_name=score_name)  # type: ignore[arg-type]

    show("evaluating", 0, 1, f"reading {path.name}")
    test = read(split)
    train = None
    if split != "train":
        try:
            train = read("train")
        except ConfigurationError:  # faults of the data were met when the test rows were read
            click.echo(_NOTHING_TO_FIT, err=True)
    make = _router_maker(routing, policy, test)
    router = make(train)
    test = test.only(router.pool.names)
    others = {}
    if shift and (obstacle := _no_shift(router, test, train)):
        click.echo(f"No figures under shift for {test.source}: {obstacle}.", err=True)
    elif shift and train is not None:
        name = "llmroute, unseen categories"
        seen = train.only(router.pool.names)
        others[name] = unseen_categories(name, test.complete(), seen, make, home="llmroute")
    return evaluate(
        router,
        test,
        train=train,
        others=others,
        split=_split(split, train, router, test),
        limits=LIMITS.get(test.source, ""),
        command=shlex.join(["llmroute", *sys.argv[1:]]),
        files=[path] if path.is_file() else sorted(path.glob("*.parquet")),
        progress=lambda step, done, total: show("evaluating", done, total, step),
        **options,
    )


def _split(split: str, train: Outcomes | None, router: RouterChain, outcomes: Outcomes) -> str:
    """What is measured, and what the router was fitted on."""
    sentence = f"measured on the {split} split"
    if train is not None:
        sentence += f"; the router's pool is fitted on {len(train):,} prompts of the train split"
    if outcomes.source in _trained_on(router):
        sentence += f"; its scorer was trained on the train split of {outcomes.source} too"
    return sentence


def _trained_on(router: RouterChain) -> set[str]:
    """The data that the scorer was trained on, by name."""
    return {source.name for source in getattr(getattr(router.scorer, "card", None), "data", ())}


def _no_shift(router: RouterChain, outcomes: Outcomes, train: Outcomes | None) -> str | None:
    """Why leaving categories out of the fitting would show nothing, or None."""
    if train is None:
        return "nothing is fitted without train rows"
    if len(set(outcomes.categories)) < 2:
        return "it has one category"
    if not hasattr(getattr(router.scorer, "card", None), "abilities"):
        return "the scorer has no abilities to fit anew"
    if outcomes.source in _trained_on(router):
        return "the scorer itself was trained on all of its categories"
    return None


def _router_maker(
    routing: RoutingOptions, policy: Policy, outcomes: Outcomes
) -> Callable[[Outcomes | None], RouterChain]:
    """What makes a router from the outcomes that it may be fitted on."""
    from llmroute.chain import RouterChain
    from llmroute.evaluation import pool_from_outcomes
    from llmroute.scoring.latent import LatentAbilityScorer
    from llmroute.scoring.registry import load_scorer

    scorer = load_scorer(routing.scorer)

    def make(train: Outcomes | None) -> RouterChain:
        if routing.models or train is None or not isinstance(scorer, LatentAbilityScorer):
            pool = pool_of(routing.models or [read_model(name) for name in outcomes.models])
        else:
            pool = pool_from_outcomes(train.only(outcomes.models), scorer)
        return RouterChain(pool=pool, policy=policy, scorer=scorer)

    return make


def _prepare(out: Path, data: tuple[Path, ...]) -> None:
    """Find out before the work whether its results can be written."""
    if len({path.stem for path in data}) < len(data):
        raise click.UsageError(
            "two of the --data have the same name, so their reports would be one folder. Rename "
            "one, or run them apart."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise click.ClickException(f"{out} cannot be made: {fault.strerror}.") from None


def report_table(report: Report, width: int) -> RenderableType:
    """The router and the baselines, one a row, for a terminal of `width` characters."""
    from llmroute.cli.render import clip, interval, table

    wide = width >= _WIDE
    priced = report.unit == "USD"
    curve = "aiq" if priced else "apgr"
    unit = "USD/1000" if priced else report.unit
    listing = table(
        *("|who chooses", ">quality", f">{unit}", ">saved", ">kept", f">{curve.upper()}"),
        title=f"{report.source}: {report.prompts:,} prompts, {len(report.models)} models",
        caption="saved: part of the best single model's bill; kept: part of its quality; "
        + ("AIQ: area under the curve" if priced else "APGR: average gap recovered, random 0.5")
        + "; the same: a curve, read at the router's spend"
        + ("; [ ] 95 % intervals" if wide else "; ± 95 % intervals"),
    )
    for row in (report.router, *report.baselines.values()):
        quality = row.metrics.get("quality", row.metrics.get("quality_at_cost"))
        listing.add_row(
            clip(row.name, 34 if wide else 22),
            interval(quality, ".3f", wide=wide),
            _spend(row, report),
            *(f"{row.metrics[m].value:.0%}" if m in row.metrics else "" for m in ("saved", "kept")),
            interval(row.metrics.get(curve), ".3f", wide=wide),
            style="bold" if row is report.router else "",
        )
    return listing


def _spend(row: Evaluated, report: Report) -> str:
    if "cost" not in row.metrics:
        return "the same"
    spend = row.metrics["cost"].value
    if report.unit == "USD":
        return f"{1000 * spend:.3g}"
    return f"{spend:.0%}" if report.unit == "strong calls" else f"{spend:.2g}"
