"""`llmroute train`: recorded outcomes or comparisons in, a router's folder out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import json_option
from llmroute.errors import ConfigurationError
from llmroute.routers import NAMES

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, TaskID

    from llmroute.scoring.artifact import Artifact

_LATENT = "latent"
#: Options that one kind of router takes → their defaults.
_OF_LATENT: dict[str, Any] = {"encoder": "static", "label": "1", "weights": ()}
#: Options of the latent router that are `Settings`, whose defaults are theirs.
_SETTINGS = ("epochs", "win_weight", "tuned_layers", "tuning_epochs")
_OF_OTHERS: dict[str, Any] = {"labels": "score", "features": "words"}
_OF_ONE: dict[str, tuple[str, ...]] = {
    "bert": ("layers", "epochs"),
    "causal": ("judge", "judge_url", "judge_prompts"),
}


@click.command(short_help="Train a router on recorded outcomes or comparisons.")
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write; a router that is there is replaced.",
)
@click.option(
    "--router",
    type=click.Choice([_LATENT, *NAMES]),
    default=_LATENT,
    show_default=True,
    help="Which router; docs/routers.md says how each works.",
)
@click.option("--name", help="Name for the card.  [default: the folder's name]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--encoder", help="latent: kind of encoder.  [default: static]")
@click.option("--label", help="latent: version for the card.  [default: 1]")
@click.option(
    "--weight",
    "weights",
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
def train(
    data: tuple[Path, ...],
    out: Path,
    router: str,
    name: str | None,
    seed: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a router on the train split of DATA, and measure it on the test split.

    DATA are outcomes (a log, a folder of parquet files, an export; docs/outcomes.md) or tables of
    comparisons with the columns prompt, model_a, model_b and winner (a, b or tie). The router
    `latent` takes folders of parquet files, and needs the extra `train`; the others need `eval`.
    The folder that is written goes to `--scorer` and `RouterChain(scorer=…)`. After an
    interruption of `latent` or `bert` the same command goes on from its checkpoint.
    """
    from llmroute.cli.render import print_json, progress

    stated = {option: value for option, value in given.items() if value not in (None, ())}
    _check_options(router, stated)
    if router == _LATENT:
        _train_latent(data, out, name, seed, as_json, {**_OF_LATENT, **stated})
        return
    from llmroute.cli.train_router import report, trained

    with progress(shown=not as_json) as display:
        options = {**_OF_OTHERS, **stated}
        found = trained(router, data, out, name=name, seed=seed, told=_Bars(display), **options)
    if as_json:
        print_json(found.to_dict())
        return
    report(found)


def _check_options(router: str, stated: Mapping[str, Any]) -> None:
    """Raise UsageError where an option belongs to another router."""
    own = {*_OF_LATENT, *_SETTINGS} if router == _LATENT else set(_OF_OTHERS)
    own |= set(_OF_ONE.get(router, ()))
    if router in _OF_ONE:
        own -= {"features"}
    names = {"weights": "--weight"}
    foreign = [
        names.get(option, f"--{option.replace('_', '-')}") for option in stated if option not in own
    ]
    if foreign:
        raise click.UsageError(f"--router {router} takes no {', '.join(foreign)}.")


def _train_latent(
    data: tuple[Path, ...],
    out: Path,
    name: str | None,
    seed: int,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
    from llmroute.cli.render import print_json, progress, terminal
    from llmroute.training import Settings
    from llmroute.training import train as train_router

    files = [str(path) for path in data if not path.is_dir()]
    if files:
        raise ConfigurationError(
            f"the router latent is trained on folders of parquet files; {', '.join(files)} is a "
            "file. Give --router linear, or another of `llmroute train --help`."
        )
    settings = Settings(**{name: options[name] for name in _SETTINGS if name in options})
    with progress(shown=not as_json) as display:
        artifact = train_router(
            list(data),
            out,
            encoder=options["encoder"],
            name=name,
            version=options["label"],
            weights=_weights(options["weights"]),
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
    from llmroute.cli.render import figures

    card = artifact.card
    prompts = sum(source.prompts for source in card.data)
    return figures(
        card.metrics,
        f"{card.name} {card.version}: {len(card.abilities)} models, {prompts:,} prompts "
        f"from {', '.join(source.name for source in card.data)}",
    )
