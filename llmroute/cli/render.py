"""How numbers and tables look in the terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmroute.scoring.artifact import Metric

_EIGHTHS = " ▏▎▍▌▋▊▉"
_DIGITS = 2


def terminal(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, made when it is used because tests swap the streams.

    Args:
        stderr: Whether it writes to stderr.
    """
    # Without a terminal to measure, Rich would take 80 whatever COLUMNS says.
    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdigit() else None
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


def print_json(value: Any) -> None:
    """One JSON document on stdout.

    Args:
        value: Plain JSON types.
    """
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def table(*, title: str | None = None, caption: str | None = None) -> Table:
    """An empty table in the house's style.

    Args:
        title: Stands above it.
        caption: Stands below it.
    """
    return Table(
        title=title,
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        header_style="dim",
        pad_edge=False,
        padding=(0, 1, 0, 0),  # with the box's own space, two between columns
    )


def money(usd: float | None) -> str:
    """An amount of USD with two digits that count: `$1.24`, `$0.013`, `$0.000045`.

    Args:
        usd: The amount, or None where it is unknown.
    """
    if usd is None or math.isnan(usd):
        return "unknown"
    if usd == 0:
        return "$0"
    size = abs(usd)
    decimals = 2 if size >= 1 else min(_DIGITS - 1 - math.floor(math.log10(size)), 10)
    return f"{'-' if usd < 0 else ''}${size:,.{decimals}f}"


def bar(share: float, width: int = 10) -> str:
    """A bar for a number in 0..1, to an eighth of a character.

    Args:
        share: The number.
        width: Characters of a full bar.
    """
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[rest] if rest else "")
    return text.ljust(width, "·")


def percent(share: float) -> str:
    """A share as a whole percentage.

    Args:
        share: 0..1.
    """
    return f"{share:.0%}"


def clip(text: str, width: int) -> str:
    """One line of a text, cut with an ellipsis.

    Args:
        text: Any text; runs of white space become one space.
        width: Characters at most.
    """
    line = " ".join(text[: 4 * width].split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


@contextmanager
def progress(*, shown: bool = True) -> Iterator[Progress]:
    """A progress display on stderr that leaves nothing behind.

    Args:
        shown: Whether it may be shown; it never is where stderr is no terminal.
    """
    console = terminal(stderr=True)
    display = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
    with display:
        yield display


def figures(metrics: Mapping[str, Metric], title: str) -> RenderableType:
    """A card's figures, one a row.

    Args:
        metrics: Figures by name.
        title: Stands above them.
    """
    listing = table(title=title)
    for heading in ("measured", "value", "95 % interval", "prompts"):
        listing.add_column(heading, justify="left" if heading == "measured" else "right")
    for name, metric in metrics.items():
        known = metric.low is not None and metric.high is not None
        listing.add_row(
            name,
            f"{metric.value:.4g}",
            f"{metric.low:.4g} to {metric.high:.4g}" if known else "",
            f"{metric.prompts:,}",
        )
    return listing
