"""`llmroute train`: recorded outcomes in, a router's folder out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmroute.cli.options import json_option

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, TaskID

    from llmroute.scoring.artifact import Artifact

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(short_help="Train a router on recorded outcomes.")
@click.argument("data", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write; a router that is there is replaced.",
)
@click.option("--encoder", default="static", show_default=True, help="Kind of encoder.")
@click.option("--name", help="Name for the card.  [default: the folder's name]")
@click.option("--label", default="1", show_default=True, help="Version for the card.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="FOLDER=NUMBER",
    help="Weight of a folder's prompts in the loss, by the folder's name; 1 for the others.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the prompts, at most.")
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def train(
    data: tuple[Path, ...],
    out: Path,
    encoder: str,
    name: str | None,
    label: str,
    weights: tuple[str, ...],
    epochs: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train a router on folders of outcomes (prompts.parquet and outcomes.parquet).

    Needs the extra `train`. The folder it writes goes to `--scorer` and `RouterChain(scorer=…)`.
    """
    from llmroute.cli.render import print_json, progress, terminal
    from llmroute.training import Settings
    from llmroute.training import train as train_router

    settings = Settings() if epochs is None else Settings(epochs=epochs)
    with progress(shown=not as_json) as display:
        artifact = train_router(
            list(data),
            out,
            encoder=encoder,
            name=name,
            version=label,
            weights=_weights(weights),
            seed=seed,
            settings=settings,
            progress=_Bars(display),
        )
    if as_json:
        print_json({"folder": str(artifact.folder), "card": artifact.card.model_dump(mode="json")})
        return
    console = terminal()
    console.print(_metrics(artifact))
    # One line whatever the width, so that it can be pasted.
    folder = shlex.quote(str(artifact.folder))
    console.print(f'Use it: llmroute decide --scorer {folder} "…"', markup=False, soft_wrap=True)


def _weights(given: tuple[str, ...]) -> dict[str, float]:
    weights = {}
    for one in given:
        folder, _, number = one.rpartition("=")
        try:
            weights[folder] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{one!r} is not FOLDER=NUMBER, such as routellm=2.", param_hint="--weight"
            ) from None
    return weights


class _Bars:
    """Training's progress callback: one bar a stage."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._display.add_task(stage, total=total, note=note)
        self._display.update(self._tasks[stage], completed=done, total=total, note=note)


def _metrics(artifact: Artifact) -> RenderableType:
    from llmroute.cli.render import table

    card = artifact.card
    prompts = sum(source.prompts for source in card.data)
    listing = table(
        title=f"{card.name} {card.version}: {len(card.abilities)} models, {prompts:,} prompts "
        f"from {', '.join(source.name for source in card.data)}"
    )
    for heading in ("measured", "value", "95 % interval", "prompts"):
        listing.add_column(heading, justify="left" if heading == "measured" else "right")
    for name, metric in card.metrics.items():
        known = metric.low is not None and metric.high is not None
        listing.add_row(
            name,
            f"{metric.value:.4g}",
            f"{metric.low:.4g} to {metric.high:.4g}" if known else "",
            f"{metric.prompts:,}",
        )
    return listing
