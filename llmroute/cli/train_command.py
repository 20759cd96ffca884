"""`llmroute train`: recorded outcomes or comparisons in, a router's folder out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import EXISTING, FOLDER, json_option
from llmroute.errors import ConfigurationError
from llmroute.routers import NAMES

if TYPE_CHECKING:
    from llmroute.cli.render import ShowProgress
    from llmroute.evaluation import Outcomes, Report
    from llmroute.outcomes.table import Split
    from llmroute.routers import Preferences
    from llmroute.scoring.artifact import DataSource, Metric
    from llmroute.scoring.latent_folder import Card
    from llmroute.scoring.router_folder import RouterCard

_LATENT = "latent"
#: Options of the latent router that are its `Settings`.
_SETTINGS = ("epochs", "win_weight", "tuned_layers", "tuning_epochs")
#: Router → the options that it takes beside those of all; what is not stated has the default of
#: the function that trains.
_OWN = {
    _LATENT: {"encoder", "label", "weights", *_SETTINGS},
    "bert": {"labels", "layers", "epochs"},
    "causal": {"labels", "judge", "judge_url", "judge_prompts"},
}
_OF_OTHERS = {"labels", "features"}


def _read_weight(text: str) -> tuple[str, float]:
    folder, _, number = text.rpartition("=")
    try:
        return folder, float(number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not FOLDER=NUMBER, such as routellm=2.") from None


@click.command(short_help="Train a router on recorded outcomes or comparisons.")
@click.argument("data", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--out",
    required=True,
    type=FOLDER,
    help="The folder to write; a router that is there is replaced.",
)
@click.option(
    "--router",
    type=click.Choice([_LATENT, *NAMES]),
    default=_LATENT,
    help="Which router; docs/routers.md says how each works.",
)
@click.option("--name", help="Name for the card.  [default: the folder's name]")
@click.option("--seed", type=int, default=0)
@click.option("--encoder", help="latent: kind of encoder.  [default: static]")
@click.option("--label", help="latent: version for the card.  [default: 1]")
@click.option(
    "--weight",
    "weights",
    type=_read_weight,
    multiple=True,
    metavar="FOLDER=NUMBER",
    help="latent: weight of a folder's prompts in the loss, by its name; 1 for the others.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="latent, bert: passes over the prompts, at most."
)
@click.option(
    "--win-weight",
    type=click.FloatRange(0),
    help="latent: weight of the loss of a choice between two models.  [default: 0]",
)
@click.option(
    "--tuned-layers",
    type=click.IntRange(0, 3),
    help="latent, --encoder minilm: last layers to fine-tune.  [default: 0]",
)
@click.option(
    "--tuning-epochs",
    type=click.IntRange(1),
    help="latent, with --tuned-layers: passes of fine-tuning, at most.  [default: 1]",
)
@click.option(
    "--labels",
    type=click.Choice(["score", "hard", "soft", "shifted"]),
    help="The others: how outcomes become labels.  [default: score]",
)
@click.option(
    "--features",
    type=click.Choice(["words", "static", "minilm", "both"]),
    help="The others: what the router sees of a prompt.  [default: words]",
)
@click.option("--layers", type=click.IntRange(1, 6), help="bert: layers of MiniLM.  [default: 3]")
@click.option("--judge", metavar="MODEL", help="causal: the chat model that is asked.")
@click.option("--judge-url", metavar="URL", help="causal: where it is served, OpenAI-compatible.")
@click.option(
    "--judge-prompts",
    type=click.IntRange(1),
    help="causal: training prompts it is asked about, at most.  [default: 500]",
)
@json_option
def train(data: tuple[Path, ...], out: Path, router: str, as_json: bool, **options: Any) -> None:
    """Train a router on the train split of DATA, and measure it on the test split.

    DATA are outcomes (a log, a folder of parquet files, an export; docs/outcomes.md) or tables of
    comparisons with the columns prompt, model_a, model_b and winner (a, b or tie). The router
    `latent` takes folders of parquet files, and needs the extra `train`; the others need `eval`.
    The folder that is written goes to `--scorer` and `RouterChain(scorer=…)`. After an
    interruption of `latent` or `bert` the same command goes on from its checkpoint.
    """
    from llmroute.cli.render import print_json, progress

    of_all = {option: options.pop(option) for option in ("name", "seed")}
    stated = {option: value for option, value in options.items() if value not in (None, ())}
    foreign = [option for option in stated if option not in _OWN.get(router, _OF_OTHERS)]
    if foreign:
        flags = {o.name: o.opts[0] for o in click.get_current_context().command.params}
        raise click.UsageError(
            f"--router {router} takes no {', '.join(flags[option] for option in foreign)}."
        )
    with progress(shown=not as_json) as show:
        if router == _LATENT:
            trained = _train_latent(data, out, show, **of_all, **stated)
        else:
            trained = _train_other(router, data, out, show, **of_all, **stated)
    if not as_json:
        _print(trained)
        return
    card = trained.card.model_dump(mode="json")
    document: dict[str, Any] = {"folder": str(trained.folder), "card": card}
    if router != _LATENT:
        document["reports"] = [report.to_dict() for report in trained.reports]
        document["not_measured"] = trained.left_out
    print_json(document)


@dataclass
class _Trained:
    """A router's folder, its card, and reports on it; of the latent one its training has them."""

    folder: Path
    card: Card | RouterCard
    reports: list[Report] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # data that are not measured → why


def _print(trained: _Trained) -> None:
    """Print the card's figures, the evaluations, and how to use the router."""
    from llmroute.cli.eval_command import report_table
    from llmroute.cli.render import table, terminal
    from llmroute.scoring.router_folder import RouterCard

    console = terminal()
    card = trained.card
    prompts = sum(source.prompts for source in card.data)
    called, chosen_from = f"{card.name} {card.version}", ""
    if isinstance(card, RouterCard):
        called, models = f"{called} ({card.router})", len(card.models)
        chosen_from = "".join(f" -m {shlex.quote(model)}" for model in card.models)
    else:  # its pool need not be the models that it was trained on
        models = len(card.abilities)
    figures = table(
        *("measured", ">value", ">95 % interval", ">prompts"),
        title=f"{called}: {models} models, {prompts:,} prompts from "
        f"{', '.join(source.name for source in card.data)}",
    )
    for name, metric in card.metrics.items():
        known = metric.low is not None and metric.high is not None
        interval = f"{metric.low:.4g} to {metric.high:.4g}" if known else ""
        figures.add_row(name, f"{metric.value:.4g}", interval, f"{metric.prompts:,}")
    console.print(figures)
    for report in trained.reports:
        console.print(report_table(report, console.width))
    for name, why in trained.left_out.items():
        console.print(f"Not measured on {name}: {why}", style="yellow", markup=False)
    # One line whatever the width, so that it can be pasted.
    command = f"llmroute decide --scorer {shlex.quote(str(trained.folder))}{chosen_from}"
    console.print(f'Use it: {command} "…"', markup=False, soft_wrap=True)


def _train_latent(
    data: Sequence[Path],
    out: Path,
    show: ShowProgress,
    *,
    label: str = "1",
    weights: Iterable[tuple[str, float]] = (),
    **options: Any,
) -> _Trained:
    """Train the latent router, which measures itself."""
    from llmroute.training import Settings, train

    files = [str(path) for path in data if not path.is_dir()]
    if files:
        raise ConfigurationError(
            f"the router latent is trained on folders of parquet files; {', '.join(files)} is a "
            "file. Give --router linear, or another of `llmroute train --help`."
        )
    settings = Settings(**{name: options.pop(name) for name in _SETTINGS if name in options})
    options |= {"version": label, "weights": dict(weights), "settings": settings}
    artifact = train(list(data), out, progress=show, **options)
    return _Trained(artifact.folder, artifact.card)


def _train_other(
    router: str, data: Sequence[Path], out: Path, show: ShowProgress, **options: Any
) -> _Trained:
    """Train a router on the train split and measure it on the test split, which is read once."""
    from llmroute.routers import train
    from llmroute.scoring.router_folder import read, with_metrics

    show("reading", 0, len(data))
    with_samples = options.get("labels") in ("soft", "shifted")
    learned = [_read(path, "train", samples=with_samples) for path in data]
    show("reading", len(data), len(data))
    sources = [_source(path, table) for path, table in zip(data, learned, strict=True)]
    options |= {"sources": sources, "progress": show}
    train(router, learned, out, **options)  # type: ignore[arg-type]  # refuses a list of both kinds
    trained = _Trained(out.resolve(), read(out).card)
    figures: dict[str, Metric] = {}
    for done, (path, table) in enumerate(zip(data, learned, strict=True)):
        show("test split", done, len(data), path.name)
        figures |= _measure(path, table, trained)
    show("test split", len(data), len(data))
    trained.card = with_metrics(out, figures).card
    return trained


def _read(path: Path, split: Split, *, samples: bool = False) -> Outcomes | Preferences:
    from llmroute.evaluation import Outcomes
    from llmroute.routers.preferences import is_preferences, read_preferences

    if is_preferences(path):
        return read_preferences(path, split)
    return Outcomes.read(path, split, samples=samples and (path / "samples.parquet").is_file())


def _source(path: Path, table: Outcomes | Preferences) -> DataSource:
    import numpy as np

    from llmroute.evaluation import Outcomes
    from llmroute.scoring.artifact import DataSource, digest

    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    return DataSource(
        name=path.stem if path.is_file() else path.name,
        prompts=len(table.prompts),
        cells=int((~np.isnan(table.score)).sum()) if isinstance(table, Outcomes) else len(table),
        sha256={file.name: digest(file) for file in files},
    )


def _measure(path: Path, train: Outcomes | Preferences, trained: _Trained) -> dict[str, Metric]:
    """Figures on the test split; what cannot be measured is noted."""
    from llmroute.evaluation.card_metrics import card_figures, comparison_figures, report_on
    from llmroute.routers import Preferences, load

    scorer = load(trained.folder)
    try:
        test = _read(path, "test")
        if isinstance(test, Preferences) or isinstance(train, Preferences):
            return comparison_figures(scorer, test, train)  # type: ignore[arg-type]  # of one kind
        shared = [name for name in test.models if name in train.models]
        report = report_on(scorer, test.only(shared), train.only(shared))
    except ConfigurationError as fault:  # no test prompts, or too few models on them
        trained.left_out[path.name] = str(fault)
        return {}
    trained.reports.append(report)
    return card_figures(report)
