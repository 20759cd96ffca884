"""Pictures of a report: cost against quality, categories, calibration.

Each takes a report and whether it is for a dark page, and raises MissingExtra without matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmroute.evaluation.canvas import DARK, LIGHT, Ink, drawing, figure_of, panel, saved, short
from llmroute.evaluation.label_placement import label_points
from llmroute.evaluation.results import Evaluated, Results
from llmroute.evaluation.run import Unit
from llmroute.files import write_atomically
from llmroute.numerics import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Categories in the heat map, and models in the reliability diagram, at most.
CATEGORIES, MODELS = 30, 12
#: Costs that span more than this are drawn on a log axis.
_WIDE = 10
#: Costs are told for so many calls: those of one are too small to read.
_CALLS = 1000
_STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))
_MARKERS = "svP^Xp<>"
#: Label of the axis of spend, and what spends are multiplied by for it.
_SPEND: Mapping[Unit, tuple[str, float]] = {
    "USD": (f"mean cost of {_CALLS:,} prompts, USD", _CALLS),
    "strong calls": ("prompts sent to the strong model, %", 100.0),
    "calls": ("calls a prompt", 1.0),
}


def write_pictures(report: Results, folder: str | Path) -> list[Path]:
    """Write each picture as NAME.png and NAME-dark.png, each atomically; the files.

    The folder is made if it is not there. Without matplotlib: MissingExtra, as of each picture.
    """
    written = []
    for name, draw in pictures(report).items():
        for dark in (False, True):
            path = Path(folder) / f"{name}{'-dark' * dark}.png"
            write_atomically(path, saved(draw(report, dark), "png"))
            written.append(path)
    return written


def pictures(report: Results) -> dict[str, Callable[[Results, bool], Figure]]:
    """The pictures that a report has something to show on, by name."""
    drawn: dict[str, Callable[[Results, bool], Figure]] = {"cost_quality": cost_quality}
    if len(report.categories) > 1:
        drawn["category_heatmap"] = category_heatmap
    if report.reliability:
        drawn["reliability"] = reliability
    return drawn


def cost_quality(report: Results, dark: bool = False) -> Figure:
    """What each way to choose costs and how well it answers (RouterBench, arXiv 2403.12031)."""
    ink = DARK if dark else LIGHT
    with drawing():
        curves = {
            name: row
            for name, row in report.baselines.items()
            if len(row.curve) > 1 and name not in ("zero", "oracle")
        }
        rows = -(-(len(curves) + 5) // 3)
        below = 0.72 + 0.21 * rows
        figure = figure_of(ink, 7.6, 4.6 + below)
        axes = panel(figure, ink, (0.72, below, 6.7, 4.35))
        factor = _spend_axis(axes, report, ink)
        axes.set_ylabel("mean score, %", color=ink.text)
        _draw_router(axes, report.router, ink, factor)
        _draw_bounds(axes, report, ink, factor)
        for name, style in _styles(list(curves), ink).items():
            axes.plot(*_along(curves[name].curve, factor), lw=1.1, label=name, zorder=3, **style)
        _draw_points(axes, report, ink, factor)
        axes.margins(x=0.06, y=0.07)
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # settled: names are placed by them
        _label_models(axes, report, ink, factor)
        handles, names = axes.get_legend_handles_labels()
        ours = sorted(range(len(names)), key=lambda k: names[k] in curves)
        figure.legend(
            [handles[k] for k in ours],
            [names[k] for k in ours],
            loc="lower left",
            bbox_to_anchor=(0.08, 0.01),
            ncols=3,
            frameon=False,
            fontsize=8,
            labelcolor=ink.text,
            handlelength=3,
            columnspacing=1.6,
        )
    return figure


def _draw_router(axes: Axes, router: Evaluated, ink: Ink, factor: float) -> None:
    order = np.argsort(router.curve[:, 0], kind="stable")
    if len(order) > 1:
        curve = _along(router.curve, factor)
        axes.plot(*curve, color=ink.router, lw=2.4, zorder=5, label=router.name)
        axes.fill_between(
            factor * router.curve[order, 0],
            *(100 * router.band[order]).T,
            color=ink.router,
            alpha=0.18,
            lw=0,
            zorder=2,
            label="95 % interval",
        )
    setting = router.setting if router.setting is not None or len(order) > 1 else 0
    if setting is not None:
        style = {"marker": "D", "ms": 8.5, "mec": ink.page, "mew": 1.4, "color": ink.router}
        label = f"{router.name}, as configured"
        _draw_dots(axes, router.curve[[setting]], factor, zorder=8, label=label, **style)


def _draw_bounds(axes: Axes, report: Results, ink: Ink, factor: float) -> None:
    """What no router is needed for, and what none can beat."""
    axes.plot(
        *_along(report.hull, factor),
        color=ink.zero,
        ls=(0, (4, 2)),
        lw=1.8,
        zorder=4,
        label="zero router (models mixed at random)",
    )
    oracle = report.baselines.get("oracle")
    if oracle is not None:
        best = oracle.curve[[oracle.setting or 0]]
        # What it has beyond its best setting is dearer and no better.
        useful = oracle.curve[oracle.curve[:, 0] <= best[0, 0]]
        axes.plot(*_along(useful, factor), color=ink.oracle, ls=":", lw=1.1, zorder=3)
        style = {"ls": ":", "marker": "*", "ms": 13, "mec": ink.page, "mew": 0.8}
        label = "oracle (knows every score)"
        _draw_dots(axes, best, factor, zorder=6, label=label, color=ink.oracle, **style)


def _draw_points(axes: Axes, report: Results, ink: Ink, factor: float) -> None:
    singles = np.array(list(report.singles.values()))
    style = {"marker": "o", "ms": 5, "mec": ink.page, "mew": 0.7, "color": ink.single}
    _draw_dots(axes, singles, factor, zorder=6, label="one model for everything", **style)
    for row in _lone(report).values():
        style = {"marker": "x", "ms": 6, "mew": 1.6, "color": ink.faint}
        _draw_dots(axes, row.curve[:1], factor, zorder=6, **style)


def _draw_dots(axes: Axes, points: Floats, factor: float, **style: Any) -> None:
    axes.plot(*(points * (factor, 100)).T, **{"ls": "", **style})


def _label_models(axes: Axes, report: Results, ink: Ink, factor: float) -> None:
    labelled = {name.rsplit("/", 1)[-1]: point for name, point in report.singles.items()}
    labelled |= {name: tuple(row.curve[0]) for name, row in _lone(report).items()}
    points = [(factor * cost, 100 * quality) for cost, quality in labelled.values()]
    # Many short pieces, so that a long straight line is in the way all along.
    swept = [row.curve for row in report.baselines.values() if len(row.curve) > 1]
    curves = [_along(c, factor) for c in (report.router.curve, report.hull, *swept)]
    label_points(
        axes,
        points,
        list(labelled),
        avoid=np.hstack(curves).T,
        halo=ink.page,
        color=ink.single,
        fontsize=7.5 if len(points) <= 20 else 6,
        zorder=5.5,
    )


def _lone(report: Results) -> dict[str, Evaluated]:
    """Routers of a single setting that are no model of the pool."""
    return {
        name: row
        for name, row in report.baselines.items()
        if len(row.curve) == 1 and name not in report.singles and name != "cheapest"
    }


def _spend_axis(axes: Axes, report: Results, ink: Ink) -> float:
    """Set up the axis of spend; what spends are to be multiplied by for it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    everyone = (report.router, *report.baselines.values())
    spends = np.concatenate([row.curve[:, 0] for row in everyone])
    label, factor = _SPEND[report.unit]
    axes.set_xlabel(label, color=ink.text)
    if report.unit == "USD" and spends.max() > _WIDE * spends.min():
        if spends.min() > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        else:
            # A model that costs nothing has no place on a log axis.
            least = factor * float(spends[spends > 0].min())
            axes.set_xscale("symlog", linthresh=least, linscale=0.5)
        axes.set_xlabel(f"{label} (log scale)", color=ink.text)
        axes.xaxis.set_minor_formatter(NullFormatter())
    if report.unit == "strong calls":
        axes.set_xticks(range(0, 101, 20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return factor


def _along(curve: Floats, factor: float) -> Floats:
    """(2, K) a curve in an axis' units, in short pieces: straight in cost is bent on a log axis."""
    cost, quality = factor * curve[:, 0], 100 * curve[:, 1]
    order = np.lexsort((quality, cost))
    cost, quality = cost[order], quality[order]
    if len(cost) < 2:
        return np.stack([cost, quality])
    pieces = max(2, 240 // (len(cost) - 1))
    steps = np.linspace(0, len(cost) - 1, pieces * (len(cost) - 1) + 1)
    at = np.arange(len(cost), dtype=np.float64)
    return np.stack([np.interp(steps, at, cost), np.interp(steps, at, quality)])


def _styles(names: Sequence[str], ink: Ink) -> dict[str, dict[str, Any]]:
    """A look for each curve: kin, such as cascades of several error rates, share a colour."""
    families = list(dict.fromkeys(name.split(" ")[0] for name in names))
    looks: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(names):
        family = families.index(name.split(" ")[0])
        kin = [n for n in names if n.split(" ")[0] == families[family]]
        looks[name] = {
            "color": ink.others[family % len(ink.others)],
            "ls": _STYLES[(family + kin.index(name)) % len(_STYLES)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "ms": 4,
            "markevery": 0.23,
        }
    return looks


def category_heatmap(report: Results, dark: bool = False) -> Figure:
    """Mean score in each category: the router, every single model, the oracle.

    Of more than 30 categories the largest are drawn.
    """
    ink = DARK if dark else LIGHT
    shown = largest_categories(report)
    columns = heat_columns(report)
    table = np.array([[row.categories.get(c, np.nan) for row in columns.values()] for c in shown])
    table = 100 * table.reshape(len(shown), len(columns))
    left, top, cell = 2.35, 1.2, 0.44
    wide, high = cell * len(columns), 0.215 * len(shown)
    with drawing():
        figure = figure_of(ink, left + wide + 0.75, high + top + 0.12)
        axes = panel(figure, ink, (left, 0.12, wide, high))
        axes.grid(False)
        axes.imshow(table, cmap="cividis", vmin=0, vmax=100, aspect="auto")
        axes.spines[:].set_visible(False)
        axes.tick_params(
            length=0, labelsize=7.5, top=True, labeltop=True, bottom=False, labelbottom=False
        )
        names = [short(name.rsplit("/", 1)[-1], 24) for name in columns]
        axes.set_xticks(range(len(names)), names, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(
            range(len(shown)), [f"{short(c, 30)}  ({report.categories[c]:,})" for c in shown]
        )
        axes.get_xticklabels()[0].set_fontweight("bold")
        for edge in np.arange(len(columns) + 1) - 0.5:
            wider = edge in (0.5, len(columns) - 1.5)
            axes.axvline(edge, color=ink.page, lw=7 if wider else 0.8)
        for edge in np.arange(len(shown) + 1) - 0.5:
            axes.axhline(edge, color=ink.page, lw=0.8)
        _annotate(axes, table)
    return figure


def _annotate(axes: Axes, table: Floats) -> None:
    """The numbers, the best single model's of each row in bold."""
    best = np.nanmax(table[:, 1:-1], axis=1, initial=-np.inf)
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            continue
        is_best = 0 < column < table.shape[1] - 1 and value == best[row]
        style: dict[str, Any] = {"color": "#ffffff" if value < 48 else "#000000", "fontsize": 7.5}
        weight = "bold" if is_best else "normal"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", weight=weight, **style)


def largest_categories(report: Results) -> list[str]:
    """The categories of the heat map, the largest first."""
    return sorted(report.categories, key=lambda c: (-report.categories[c], c))[:CATEGORIES]


def heat_columns(report: Results) -> Mapping[str, Evaluated]:
    """The columns of the heat map: the router, single models from the weakest on, the oracle."""
    rising = sorted(report.singles, key=lambda name: report.singles[name][1])
    chosen = [name for name in (*rising, "oracle") if name in report.baselines]
    return {report.router.name: report.router} | {n: report.baselines[n] for n in chosen}


def reliability(report: Results, dark: bool = False) -> Figure:
    """Estimated against observed quality of each model (arXiv 1706.04599).

    For a router that has estimates. Of more than 12 models the strongest are drawn.
    """
    ink = DARK if dark else LIGHT
    shown = strongest_models(report)
    columns = min(4, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    side, gap, left, below, above = 1.5, 0.42, 0.62, 0.6, 0.35
    inner = columns * side + (columns - 1) * 0.2
    width = left + columns * side + (columns - 1) * 0.2 + 0.15
    height = below + rows * side + (rows - 1) * gap + above
    with drawing():
        figure = figure_of(ink, width, height)
        for place, name in enumerate(shown):
            row, column = divmod(place, columns)
            bottom = height - above - side - row * (side + gap)
            axes = panel(figure, ink, (left + column * (side + 0.2), bottom, side, side))
            _draw_bins(axes, report, name, ink)
            # A panel with none beneath it says what the axis is, and so on the left.
            axes.tick_params(labelbottom=place + columns >= len(shown), labelleft=column == 0)
        label = "estimated probability of a good answer, %"
        x, y = left + inner / 2, below + (height - below - above) / 2
        style: dict[str, Any] = {"color": ink.text, "fontsize": 9}
        figure.text(x / width, 0.13 / height, label, ha="center", **style)
        figure.text(0.1 / width, y / height, "mean score, %", va="center", rotation=90, **style)
    return figure


def strongest_models(report: Results) -> list[str]:
    """The models of the reliability diagram, the strongest first."""
    return sorted(report.reliability, key=lambda name: -report.singles[name][1])[:MODELS]


def _draw_bins(axes: Axes, report: Results, name: str, ink: Ink) -> None:
    bins = report.reliability[name]
    estimated, observed = 100 * bins.expected, 100 * bins.observed
    axes.plot([0, 100], [0, 100], color=ink.faint, lw=0.9, ls=(0, (3, 3)))
    axes.plot(estimated, observed, color=ink.router, lw=1.3, zorder=3)
    share = bins.prompts / bins.prompts.sum()
    axes.scatter(
        estimated,
        observed,
        s=12 + 160 * share,
        color=ink.router,
        edgecolors=ink.page,
        linewidths=0.7,
        zorder=4,
    )
    error = float((share * np.abs(bins.observed - bins.expected)).sum())
    axes.text(98, 2, f"ECE {error:.3f}", ha="right", fontsize=7, color=ink.faint)
    axes.set(xlim=(-4, 104), ylim=(-4, 104), xticks=(0, 50, 100), yticks=(0, 50, 100))
    axes.set_title(short(name.rsplit("/", 1)[-1], 24), fontsize=8, color=ink.text, pad=4)
