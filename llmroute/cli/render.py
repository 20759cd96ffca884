"""How numbers, tables and progress look in the terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from llmroute.metrics import Interval

#: What draws a stage's bar; see `progress`.
ShowProgress = Callable[..., None]
_EIGHTHS = " ▏▎▍▌▋▊▉"


def terminal(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr, made when it is used because tests swap the streams."""
    # Without a terminal to measure, Rich would take 80 whatever COLUMNS says.
    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdigit() else None
    return Console(stderr=stderr, highlight=False, emoji=False, width=width)


def print_json(value: Any) -> None:
    """Print plain JSON types as one document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def table(*headings: str, title: str | None = None, caption: str | None = None) -> Table:
    """An empty table in the house's style, its title above and its caption below it.

    A column whose heading begins with ">" holds numbers, to the right and unbroken; one with "|" is
    unbroken. Columns that need more are added by `add_column`.
    """
    empty = Table(
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
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading.startswith(">") else "left"
        unbroken = heading.startswith((">", "|"))
        empty.add_column(heading.lstrip(">|"), justify=justify, no_wrap=unbroken)
    return empty


def money(usd: float | None) -> str:
    """USD with two digits that count: `$1.24`, `$0.013`, `$0.000045`; "unknown" for None."""
    if usd is None or math.isnan(usd):
        return "unknown"
    if usd == 0:
        return "$0"
    size = abs(usd)
    decimals = 2 if size >= 1 else min(1 - math.floor(math.log10(size)), 10)
    return f"{'-' if usd < 0 else ''}${size:,.{decimals}f}"


def number(value: float | None, form: str, unknown: str = "", unit: str = "") -> str:
    """A number in Python's format and its unit, or what stands for one that is not known."""
    return unknown if value is None else f"{value:{form}}{unit}"


def interval(figure: Interval | None, form: str, *, wide: bool, scale: float = 1) -> str:
    """`0.822 [0.810, 0.834]`, or where it is not `wide` `0.822 ±0.012`; nothing for None.

    An interval of NaN, which too few prompts have, is left out. A sign in the format `form` is for
    the figure itself. The numbers are multiplied by `scale`, such as 100 for points.
    """
    if figure is None:
        return ""
    value, low, high = (scale * part for part in (figure.value, figure.low, figure.high))
    if math.isnan(low):
        return f"{value:{form}}"
    if wide:
        return f"{value:{form}} [{low:{form}}, {high:{form}}]"
    return f"{value:{form}} ±{(high - low) / 2:{form.lstrip('+')}}"


def count(amount: int, singular: str, plural: str) -> str:
    """`1 retry`, `2 retries`."""
    return f"{amount} {singular if amount == 1 else plural}"


def bar(share: float, width: int = 10) -> str:
    """A bar for a number in 0..1, to an eighth of a character; `width` characters when full."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[rest] if rest else "")
    return text.ljust(width, "·")


def clip(text: str, width: int) -> str:
    """A text in one line of at most `width` characters, cut with an ellipsis."""
    line = " ".join(text[: 4 * width].split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


@contextmanager
def progress(*, shown: bool = True) -> Iterator[ShowProgress]:
    """Bars on stderr that leave nothing behind, and are never shown where it is no terminal.

    Each stage has a bar: `show(stage, done, total, note)`; a total of None is not known yet.
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
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = display.add_task(stage, total=total, note=note)
        display.update(tasks[stage], completed=done, total=total, note=note)

    with display:
        yield show
