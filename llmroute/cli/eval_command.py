"""`llmroute eval`: a router measured on recorded outcomes, beside the baselines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmroute.cli.options import Member, json_option, policy_from, read_member, routing_options
from llmroute.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmroute.chain import RouterChain
    from llmroute.evaluation import Evaluated, Interval, Outcomes, Report
    from llmroute.evaluation.run import Unit
    from llmroute.policies import Policy

#: Characters from which there is room for intervals.
_WIDE = 120
_NAME = 34


@click.command("eval", short_help="Measure a router on recorded outcomes.")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Outcomes: a CSV, TSV or JSONL log, a folder of parquet files, an export of LangSmith or "
    "Langfuse, RouterBench's pickle, or a checkout of RouteLLM. Repeat it for several.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, report.json and the pictures; of several data, a folder each.",
)
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the figures of all data as one Markdown page.",
)
@routing_options
@click.option("--split", default="test", show_default=True, type=click.Choice(["train", "test"]))
@click.option("--score-name", help="Which feedback score of a trace is the quality.")
@click.option(
    "--classic/--no-classic",
    default=True,
    show_default=True,
    help="Measure RouterBench's kNN, MLP, SVM and cascading routers too.",
)
@click.option(
    "--shift/--no-shift",
    default=False,
    show_default=True,
    help="Measure the router also on categories that were left out of its fitting.",
)
@click.option("--replicates", type=click.IntRange(0), default=1000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def eval(
    data: tuple[Path, ...],
    out: Path | None,
    markdown: Path | None,
    models: tuple[Member, ...],
    quality: float | None,
    threshold: float | None,
    willingness: float | None,
    max_cost: float | None,
    max_latency: float | None,
    scorer: str,
    split: str,
    score_name: str | None,
    classic: bool,
    shift: bool,
    replicates: int,
    seed: int,
    as_json: bool,
) -> None:
    """Replay a router on recorded outcomes; no model is called.

    Without --model the pool is made from the data: the models' abilities and prices are fitted on
    the train split, the figures are those of the test split. A log without a column `split` is
    halved by a hash of the prompt. docs/outcomes.md says what a log looks like.
    """
    from llmroute.cli.render import print_json, terminal
    from llmroute.evaluation.markdown import write_page

    policy = policy_from(quality, threshold, willingness, max_cost, max_latency)
    if shift and models:
        raise click.UsageError(
            "--shift fits the models' abilities anew without some categories; with --model nothing "
            "is fitted. Leave out one of them."
        )
    if out is not None:
        _prepare(out, data)
    reports = {}
    for path in data:
        with _bar(shown=not as_json) as told:
            reports[path] = _report(
                path,
                models,
                policy,
                scorer,
                split,
                score_name,
                classic=classic,
                shift=shift,
                replicates=replicates,
                seed=seed,
                told=told,
            )
        if out is not None:
            _write(reports[path], out if len(data) == 1 else out / path.stem)
    if markdown is not None:
        write_page(markdown, list(reports.values()))
    if as_json:
        print_json([report.to_dict() for report in reports.values()])
        return
    console = terminal()
    for report in reports.values():
        console.print()
        console.print(listing(report, console.width))
        console.print(report.limits, style="yellow", markup=False)
    for place in (out and out / "report.html" if len(data) == 1 else out, markdown):
        if place is not None:
            console.print(f"Written: {place}", markup=False, soft_wrap=True)


def _report(
    path: Path,
    models: tuple[Member, ...],
    policy: Policy,
    scorer: str,
    split: str,
    score_name: str | None,
    *,
    classic: bool,
    shift: bool,
    replicates: int,
    seed: int,
    told: Callable[[str, int, int], None],
) -> Report:
    from llmroute.evaluation import Outcomes, evaluate
    from llmroute.evaluation.limits import LIMITS

    def read(part: str) -> Outcomes:
        return Outcomes.read(path, part, score_name=score_name)  # type: ignore[arg-type]

    told(f"reading {path.name}", 0, 1)
    measured_on = read(split)
    train = _train(read) if split != "train" else None
    make = _maker(models, policy, scorer, measured_on)
    router = make(train)
    measured_on = measured_on.only(router.pool.names)
    others = {}
    obstacle = _no_shift(router, measured_on, train) if shift else None
    if obstacle:
        click.echo(f"No figures under shift for {measured_on.source}: {obstacle}.", err=True)
    elif shift and train is not None:
        from llmroute.evaluation.shift import unseen_categories

        others["llmroute, unseen categories"] = unseen_categories(
            "llmroute, unseen categories",
            measured_on.complete(),
            train.only(router.pool.names),
            make,
            home="llmroute",
        )
    return evaluate(
        router,
        measured_on,
        train=train,
        others=others,
        replicates=replicates,
        seed=seed,
        classic=classic,
        split=_split(split, train, router, measured_on),
        limits=LIMITS.get(measured_on.source, ""),
        command=shlex.join(["llmroute", *sys.argv[1:]]),
        files=[path] if path.is_file() else sorted(path.glob("*.parquet")),
        progress=told,
    )


def _split(split: str, train: Outcomes | None, router: RouterChain, outcomes: Outcomes) -> str:
    """What is measured, and what the router was fitted on."""
    said = f"measured on the {split} split"
    if train is not None:
        said += f"; the router's pool is fitted on {len(train):,} prompts of the train split"
    card = getattr(router.scorer, "card", None)
    if card is not None and outcomes.source in {source.name for source in card.data}:
        said += f"; its scorer was trained on the train split of {outcomes.source} too"
    return said


def _no_shift(router: RouterChain, outcomes: Outcomes, train: Outcomes | None) -> str | None:
    """Why leaving categories out of the fitting would show nothing, or None."""
    if train is None:
        return "nothing is fitted without train rows"
    if len(set(outcomes.categories)) < 2:
        return "it has one category"
    card = getattr(router.scorer, "card", None)
    if card is None or not hasattr(card, "abilities"):
        return "the scorer has no abilities to fit anew"
    if outcomes.source in {source.name for source in card.data}:
        return "the scorer itself was trained on all of its categories"
    return None


def _train(read: Callable[[str], Outcomes]) -> Outcomes | None:
    try:
        return read("train")
    except ConfigurationError:  # all faults of the data were met when the test rows were read
        click.echo(
            "Warning: no rows for fitting (split train): abilities and prices are guessed from the "
            "models' names.",
            err=True,
        )
        return None


def _maker(
    models: tuple[Member, ...], policy: Policy, scorer: str, outcomes: Outcomes
) -> Callable[[Outcomes | None], RouterChain]:
    """How a router is made from the outcomes it may be fitted on."""
    from llmroute.chain import RouterChain
    from llmroute.cli.options import pool_of
    from llmroute.evaluation import pool_from_outcomes
    from llmroute.scoring.latent import LatentAbilityScorer
    from llmroute.scoring.registry import load_scorer

    loaded = load_scorer(scorer)

    def make(train: Outcomes | None) -> RouterChain:
        if models:
            pool = pool_of(models)
        elif train is None or not isinstance(loaded, LatentAbilityScorer):
            pool = pool_of(tuple(read_member(name) for name in outcomes.models))
        else:
            pool = pool_from_outcomes(train.only(outcomes.models), loaded)
        return RouterChain(pool=pool, policy=policy, scorer=loaded)

    return make


def _prepare(out: Path, data: tuple[Path, ...]) -> None:
    """Find out before the work whether its results can be written."""
    stems = [path.stem for path in data]
    if len(set(stems)) < len(stems):
        raise click.UsageError(
            "two of the --data have the same name, so their reports would be one folder. Rename "
            "one, or run them apart."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise click.ClickException(f"{out} cannot be made: {fault.strerror}.") from None


def _write(report: Report, folder: Path) -> None:
    from llmroute.evaluation.plots import write_pictures

    report.to_json(folder / "report.json")
    report.to_html(folder / "report.html")
    write_pictures(report, folder)


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that names the step at hand."""
    from llmroute.cli.render import progress

    with progress(shown=shown) as display:
        task = display.add_task("evaluating", total=1, note="")

        def told(step: str, done: int, total: int) -> None:
            display.update(task, completed=done, total=total, note=step)

        yield told


def listing(report: Report, width: int) -> RenderableType:
    """The router and the baselines, one a row.

    Args:
        report: What was found.
        width: Characters the terminal is wide.
    """
    from llmroute.cli.render import clip, table

    wide = width >= _WIDE
    priced = report.unit == "USD"
    curve = "aiq" if priced else "apgr"
    found = table(
        title=f"{report.source}: {report.prompts:,} prompts, {len(report.models)} models",
        caption="saved: part of the best single model's bill; kept: part of its quality; "
        + ("AIQ: area under the curve" if priced else "APGR: average gap recovered, random 0.5")
        + "; the same: a curve, read at the router's spend"
        + ("; [ ] 95 % intervals" if wide else "; ± 95 % intervals"),
    )
    found.add_column("who chooses", no_wrap=True)
    for heading in ("quality", "USD/1000" if priced else report.unit, "saved", "kept"):
        found.add_column(heading, justify="right", no_wrap=True)
    found.add_column("AIQ" if priced else "APGR", justify="right", no_wrap=True)
    for one in (report.router, *report.baselines.values()):
        spend, at_cost = one.metrics.get("cost"), one.metrics.get("quality_at_cost")
        found.add_row(
            clip(one.name, _NAME if wide else 22),
            _figure(one.metrics.get("quality", at_cost), wide, ".3f"),
            "the same" if spend is None else _spend(spend.value, report.unit),
            _percent(one, "saved"),
            _percent(one, "kept"),
            _figure(one.metrics.get(curve), wide, ".3f"),
            style="bold" if one is report.router else "",
        )
    return found


def _spend(value: float, unit: Unit) -> str:
    if unit == "USD":
        return f"{1000 * value:.3g}"
    return f"{value:.0%}" if unit == "strong calls" else f"{value:.2g}"


def _percent(one: Evaluated, name: str) -> str:
    figure = one.metrics.get(name)
    return "" if figure is None else f"{figure.value:.0%}"


def _figure(figure: Interval | None, wide: bool, form: str) -> str:
    if figure is None:
        return ""
    if figure.low != figure.low:  # too little to tell an interval
        return f"{figure.value:{form}}"
    if wide:
        return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"
    return f"{figure.value:{form}} ±{(figure.high - figure.low) / 2:{form}}"
