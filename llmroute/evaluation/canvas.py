"""What every picture is drawn on: colours, panels, and files that are the same each time.

Colours are Okabe and Ito's, which colour-blind people can tell apart, and nothing is told by colour
alone. The same report gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmroute.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Ink:
    """The colours of a picture, and of the page it stands on."""

    page: str
    text: str
    faint: str
    grid: str
    router: str
    zero: str
    oracle: str
    single: str
    others: tuple[str, ...]


LIGHT = Ink(
    page="#ffffff",
    text="#1c2024",
    faint="#60646c",
    grid="#e4e6ea",
    router="#0072B2",
    zero="#E69F00",
    oracle="#009E73",
    single="#4b5057",
    others=("#CC79A7", "#D55E00", "#56B4E9", "#8a6d00", "#000000"),
)
DARK = Ink(
    page="#16181c",
    text="#eceef0",
    faint="#a4a9b0",
    grid="#2c3036",
    router="#56B4E9",
    zero="#E69F00",
    oracle="#1fc79a",
    single="#c3c7cd",
    others=("#CC79A7", "#f0793a", "#5c9fe0", "#F0E442", "#ffffff"),
)


@contextmanager
def drawing() -> Iterator[None]:
    """Settings that make a picture the same wherever it is drawn, whatever the user's are."""
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("Drawing", "eval") from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc("svg", hashsalt="llmroute", fonttype="path")
        matplotlib.rc("text", parse_math=False)  # a model's name may hold a dollar sign
        yield


def figure_of(ink: Ink, width: float, height: float) -> Figure:
    """An empty figure of some inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, facecolor=ink.page)
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, ink: Ink, place: tuple[float, float, float, float]) -> Axes:
    """A panel at (left, bottom, width, height) inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = place
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.set_facecolor(ink.page)
    axes.grid(color=ink.grid, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink.faint, labelsize=8, length=3)
    axes.tick_params(which="minor", colors=ink.grid)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink.grid)
    return axes


def short(name: str, most: int) -> str:
    """A name in at most so many characters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def saved(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """A picture as SVG, its letters as outlines, or as PNG at 200 points an inch; no date in it."""
    file = io.BytesIO()
    omitted = ("Date", "Creator") if kind == "svg" else ("Software",)
    with drawing():
        figure.savefig(file, format=kind, dpi=200, metadata=dict.fromkeys(omitted))
    return file.getvalue()
