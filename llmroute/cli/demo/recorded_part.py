"""The demo's second part: recorded outcomes, where they are at hand, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.render import clip, progress, table, terminal
from llmroute.errors import MissingExtra

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmroute.cli.demo.recorded import Study
    from llmroute.evaluation import Interval

#: Characters from which there is room for intervals.
_WIDE = 110
#: The folders that are replayed.
FOLDERS = ("routellm", "routerbench")
_ABSENT = (
    "No recorded outcomes to replay: point to a folder that holds "
    f"{' and '.join(f'{name}/' for name in FOLDERS)} with --data DIR or LLMROUTE_DATA."
)


def replay_part(data: Path | None, scorer: str, as_json: bool) -> dict[str, Any] | None:
    """Replay what is at hand, and show it; or say in one sentence how to get it.

    Args:
        data: The folder of folders, or None for the usual place.
        scorer: Name or folder of a scorer.
        as_json: Whether a JSON document is wanted instead of tables.

    Returns:
        The studies as plain JSON types, or None where there is nothing to replay.
    """
    from llmroute.evaluation import default_data

    root = data or default_data()
    folders = [root / name for name in FOLDERS if (root / name).is_dir()] if root else []
    if not folders:
        click.echo(_ABSENT, err=as_json)
        return None
    try:
        studies = _studies(folders, scorer, as_json)
    except MissingExtra as missing:  # the first part needs no extra, so this is no failure
        click.echo(str(missing), err=as_json)
        return None
    if not as_json:
        console = terminal()
        for one in studies:
            console.print()
            console.print(study_table(one, console.width))
            console.print(curve_table(one))
            console.print(_limits(one), style="yellow", markup=False)
    return {one.name: one.to_json() for one in studies}


def _studies(folders: list[Path], scorer: str, as_json: bool) -> list[Study]:
    from llmroute.cli.demo.recorded import study
    from llmroute.evaluation.limits import LIMITS
    from llmroute.scoring.registry import load_latent

    loaded = load_latent(scorer)
    studies = []
    with progress(shown=not as_json) as display:
        task = display.add_task("replaying", total=len(folders), note="")
        for folder in folders:
            display.update(task, note=folder.name)
            studies.append(study(folder, loaded, LIMITS[folder.name]))
            display.advance(task)
    return studies


def _limits(one: Study) -> str:
    home = (
        "The scorer was trained on the train split of this folder, so this is its home ground."
        if one.trained_on
        else "The scorer was not trained on this folder; only its models' abilities were fitted, "
        "on the train split."
    )
    return f"{one.limits} {home} {one.unfamiliar:.0%} of the prompts are unfamiliar to it."


def study_table(one: Study, width: int) -> RenderableType:
    """The ways to choose, one a row.

    Args:
        one: The study.
        width: Characters the terminal is wide.
    """
    wide = width >= _WIDE
    priced = one.lines[0].usd_per_1000 is not None
    listing = table(
        title=f"Replay of {one.name}: {one.prompts:,} test prompts, {one.models} models, what they "
        "answered then",
        caption="± and [ ]: 95 % intervals; over zero: points of quality above the zero router "
        "(single models mixed at random) at the same spend",
    )
    listing.add_column("who chooses", no_wrap=True)
    headings = ["quality", "USD per 1000" if wide else "USD/1000", "strong calls", "over zero"]
    for heading in headings:
        if priced or not heading.startswith("USD"):
            listing.add_column(heading, justify="right", no_wrap=True)
    for line in one.lines:
        cells = [clip(line.label, 44 if wide else 32), _figure(line.quality, ".3f", wide)]
        if priced:
            cells.append(_figure(line.usd_per_1000, ".2f", wide, plain=not wide))
        cells.append(_figure(line.strong_share, ".0f", wide, scale=100, unit="%", plain=True))
        cells.append(_figure(line.over_zero, "+.1f", wide, scale=100))
        listing.add_row(*cells, style="bold" if line.over_zero else "")
    return listing


def _figure(
    figure: Interval | None,
    form: str,
    wide: bool,
    *,
    scale: float = 1,
    unit: str = "",
    plain: bool = False,
) -> str:
    """`0.822 [0.810, 0.834]`, or where there is less room `0.822 ±0.012`, or only `0.822`."""
    if figure is None:
        return ""
    value, low, high = (scale * part for part in (figure.value, figure.low, figure.high))
    if plain:
        return f"{value:{form}}{unit}"
    if wide:
        return f"{value:{form}} [{low:{form}}, {high:{form}}]"
    return f"{value:{form}} ±{(high - low) / 2:{form.lstrip('+')}}"


def curve_table(one: Study) -> RenderableType:
    """The field's figures for the whole curve, over all thresholds.

    Args:
        one: The study.
    """
    listing = table()
    listing.add_column("over all thresholds")
    listing.add_column("", justify="right")
    listing.add_column("95 % interval")
    for name, figure in one.figures.items():
        if isinstance(figure, float):
            listing.add_row(name, f"{figure:.3f}", "")
        else:
            listing.add_row(name, f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}")
    return listing
