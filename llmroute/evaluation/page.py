"""A report as one HTML page: no script, no other file, nothing fetched."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html import escape
from importlib.resources import files

from llmroute.evaluation.glossary import GLOSSARY, LABELS, kind_of
from llmroute.evaluation.plots import (
    as_svg,
    category_heatmap,
    cost_quality,
    heat_columns,
    largest_categories,
    pictures,
    reliability,
    strongest_models,
)
from llmroute.evaluation.results import Evaluated, Results
from llmroute.metrics import Interval

#: Spends are told for so many prompts: that of one is too small to read.
_PROMPTS = 1000
_NOTHING = '<span class="none" title="has no such figure">–</span>'
#: A picture keeps this part of its size on a narrow screen; its box scrolls.
_LEAST = 0.8
#: Nothing may be fetched, whatever a model's name holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(report: Results) -> str:
    """The report as an HTML page that needs no other file.

    Args:
        report: An evaluation.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    title = f"{report.router.name} on {report.source}"
    style = files("llmroute.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    parts = (
        _opening(report, title),
        _tiles(report),
        _pictures(report),
        _section("All figures", _all_figures(report)),
        _section("Categories", _categories(report)) if len(report.categories) > 1 else "",
        _section("Calibration", _calibration(report)) if report.reliability else "",
        _section("What these data cannot tell", _limits(report)),
        _section("How to get these figures again", _origin(report)),
        _section("Glossary", _glossary(report)),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def verdict(report: Results) -> str:
    """What was found, in a sentence, and whether mixing at random would have done as well.

    Args:
        report: An evaluation.
    """
    figures, best = report.metrics, best_single(report)
    bill = "bill" if report.unit == "USD" else "calls"
    if "saved" in figures and "kept" in figures:
        found = (
            f"As configured, {report.router.name} {_change('saved', figures['saved'])} of the "
            f"{bill} of {best}, the best single model, and keeps "
            f"{_told('kept', figures['kept'])} of its quality; "
        )
    else:
        found = (
            f"{report.router.name} was measured at all its settings, none of which it is "
            f"configured at, beside {best}, the best single model; "
        )
    if "cost_save" in figures:
        found += (
            "the cheapest setting on its curve that is as good as that model, picked on these very "
            f"prompts, {_change('cost_save', figures['cost_save'])} of its {bill}."
        )
    else:
        found += "no setting on its curve is as good as that model."
    return found


def against_chance(report: Results) -> str:
    """How the router as configured stands to models mixed at random, or nothing.

    Args:
        report: An evaluation.
    """
    over = report.metrics.get("over_zero")
    if over is None:
        return ""
    if over.low == over.high == 0:
        found = "no difference"
    elif over.low > 0:
        found = "a gain"
    elif over.high < 0:
        found = "a loss"
    else:
        found = "which may be chance"
    return (
        "Its quality less that of single models mixed at random for the same spend: "
        f"{_told('over_zero', over)} percentage points, {found}."
    )


def best_single(report: Results) -> str:
    """The single model with the best mean score."""
    return report.strongest


def _opening(report: Results, title: str) -> str:
    made = report.provenance.made[:10]
    about = (
        f"{report.prompts:,} prompts, {len(report.models)} models, "
        f"{len(report.categories):,} categories. Made {made}."
    )
    return (
        f'<header>\n<h1>{escape(title)}</h1>\n<p class="about">{escape(about)}</p>\n'
        f'<p class="verdict">{escape(verdict(report))}</p>\n'
        f"<p>{escape(against_chance(report))}</p>\n"
        '<p class="note">In brackets: 95&nbsp;% bootstrap intervals over prompts.</p>\n</header>'
    )


def _tiles(report: Results) -> str:
    """The figures that are asked for first."""
    shown = [
        name
        for name in ("quality", "cost", "saved", "kept", "aiq", "apgr")
        if name in report.metrics
    ]
    if report.unit != "USD" and "strong_share" in report.metrics and "cost" in shown:
        shown[shown.index("cost")] = "strong_share"
    tiles = (
        f"<div><dt>{escape(_heading(name, report))}</dt>"
        f"<dd>{_cell(name, report.metrics[name], report)}</dd></div>"
        for name in shown
    )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _pictures(report: Results) -> str:
    return _section("Pictures", "\n".join(_figure(report, name) for name in pictures(report)))


def _figure(report: Results, name: str) -> str:
    """A picture in light and in dark: the reader's system says which is shown."""
    draw = pictures(report)[name]
    light, dark = (draw(report, each) for each in (False, True))
    wide, high = (round(96 * inches) for inches in light.get_size_inches())
    alternative, caption = _CAPTIONS[name](report)
    return (
        f'<figure id="{name}">\n'
        f'<div class="box" tabindex="0" role="region" aria-label="{escape(alternative)}">\n'
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data(as_svg(dark))}">'
        f'<img src="{_data(as_svg(light))}" width="{wide}" height="{high}" '
        f'style="min-width:{round(_LEAST * wide)}px" alt="{escape(alternative)}"></picture>\n'
        f"</div>\n<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def _data(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _curve_caption(report: Results) -> tuple[str, str]:
    """What the picture shows, for those who do not see it, and how to read it."""
    (low, worst), (high, best) = report.curve[[0, -1]][report.curve[[0, -1], 0].argsort()]
    oracle = report.baselines.get("oracle")
    alternative = (
        f"Mean score against spend. {report.router.name} runs from {worst:.1%} at "
        f"{_spend(low, report)} to {best:.1%} at {_spend(high, report)}."
    )
    if oracle is not None:
        cost, quality = oracle.curve[oracle.setting or 0]
        alternative += f" The oracle has {quality:.1%} at {_spend(cost, report)}."
    return alternative, (
        "Higher and further left is better. The band is the 95 % interval of quality at each "
        "setting. A router is worth having where it lies above the zero router, which mixes "
        "single models at random."
    )


def _heat_caption(report: Results) -> tuple[str, str]:
    shown = largest_categories(report)
    caption = (
        "Mean score, %, in each category, with its prompts in brackets. In bold the best single "
        "models of a row. Single models from left to right by quality over all prompts."
    )
    left = len(report.categories) - len(shown)
    if left:
        caption += f" The {len(shown)} largest of {len(report.categories)} categories are drawn; "
        caption += f"{left} are left out."
    return "Mean score by category and model; the router's are in the table below.", caption


def _bins_caption(report: Results) -> tuple[str, str]:
    shown = strongest_models(report)
    caption = (
        "Estimated against observed quality in ten bins of equal width. On the dashed line "
        "estimates are what they say. The larger a dot, the more prompts."
    )
    left = len(report.reliability) - len(shown)
    if left:
        caption += f" The {len(shown)} strongest models are drawn; {left} are left out."
    return "Estimated against observed quality of each model.", caption


_CAPTIONS = {
    cost_quality.__name__: _curve_caption,
    category_heatmap.__name__: _heat_caption,
    reliability.__name__: _bins_caption,
}


def _all_figures(report: Results) -> str:
    everyone = _in_order(report)
    present = {name for one in everyone for name in one.metrics}
    names = [name for name in GLOSSARY if name in present]
    header = [_link(name, _heading(name, report)) for name in names]
    rows = (
        (one.name, [_cell(name, one.metrics.get(name), report) for name in names])
        for one in everyone
    )
    return _table("Every way to choose and its figures", "Router", header, rows, report)


def _in_order(report: Results) -> list[Evaluated]:
    """The router, then other routers, then single models, the strongest first."""
    falling = sorted(report.singles, key=lambda name: -report.singles[name][1])
    others = [one for name, one in report.baselines.items() if name not in report.singles]
    singles = [report.baselines[name] for name in falling if name in report.baselines]
    return [report.router, *others, *singles]


def _categories(report: Results) -> str:
    """Text beside the heat map: all categories, in few columns."""
    best = best_single(report)
    columns = heat_columns(report)
    shown = [name for name in (report.router.name, best, "oracle") if name in columns]
    header = ["Prompts", *(f"{escape(name)}, %" for name in shown)]
    in_order = sorted(report.categories, key=lambda c: (-report.categories[c], c))
    rows = (
        (
            category,
            [f"{report.categories[category]:,}"]
            + [_part_or_nothing(columns[name].categories.get(category)) for name in shown],
        )
        for category in in_order
    )
    table = _table("Mean score by category", "Category", header, rows)
    return (
        "<p>Categories of few prompts have figures that mean little.</p>\n<details>\n<summary>"
        f"All {len(in_order):,} categories as a table</summary>\n{table}\n</details>"
    )


def _calibration(report: Results) -> str:
    summary = "; ".join(
        f"{LABELS[name]} {_told(name, report.metrics[name])}"
        for name in ("ece", "brier")
        if name in report.metrics
    )
    rows = []
    for name in sorted(report.reliability, key=lambda name: -report.singles[name][1]):
        bins = report.reliability[name]
        whole = bins.prompts.sum()
        rows.append(
            (
                name,
                [
                    f"{100 * float((bins.prompts * bins.expected).sum() / whole):.1f}",
                    f"{100 * float((bins.prompts * bins.observed).sum() / whole):.1f}",
                    _cell("auroc", report.metrics.get(f"auroc:{name}"), report),
                ],
            )
        )
    header = ["Mean estimate, %", "Mean score, %", _link("auroc", LABELS["auroc"])]
    return (f"<p>Mean over the models: {escape(summary)}.</p>\n" if summary else "") + _table(
        "Estimates of each model", "Model", header, rows
    )


def _limits(report: Results) -> str:
    said = report.limits or "Nothing is noted. The figures hold for prompts like these."
    return f"<p>{escape(said)}</p>"


def _origin(report: Results) -> str:
    origin = report.provenance
    command = (
        f'<pre tabindex="0"><code>{escape(origin.command)}</code></pre>' if origin.command else ""
    )
    facts = {
        "Split": escape(origin.split),
        "Intervals": f"{origin.replicates:,} bootstrap replicates over prompts, seed {origin.seed}",
        "Made": escape(origin.made),
        "Versions": escape(", ".join(f"{name} {v}" for name, v in origin.versions.items())),
        **{
            f"SHA-256 of {escape(name)}": f"<code>{escape(digest)}</code>"
            for name, digest in origin.data.items()
        },
    }
    listed = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f'{command}<dl class="facts">{listed}</dl>'


def _glossary(report: Results) -> str:
    everyone = (report.router, *report.baselines.values())
    present = {name.partition(":")[0] for one in everyone for name in one.metrics}
    listed = "".join(
        f'<dt id="{name}-is">{escape(LABELS[name])}<code>{name}</code></dt>'
        f"<dd>{escape(meaning)}</dd>"
        for name, meaning in GLOSSARY.items()
        if name in present
    )
    return f'<dl class="facts glossary">{listed}</dl>'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def _table(
    caption: str,
    corner: str,
    header: Iterable[str],
    rows: Iterable[tuple[str, Iterable[str]]],
    report: Results | None = None,
) -> str:
    """A table that scrolls in its own box. Headers and cells are HTML, names of rows are text."""
    head = "".join(f'<th scope="col">{each}</th>' for each in (corner, *header))
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(_rows(rows, report))
        + "\n</tbody>\n</table>\n</div>"
    )


def _rows(rows: Iterable[tuple[str, Iterable[str]]], report: Results | None) -> Iterator[str]:
    for place, (name, cells) in enumerate(rows):
        ours = ' class="ours"' if report is not None and place == 0 else ""
        content = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f'<tr{ours}><th scope="row">{escape(name)}</th>{content}</tr>'


def _link(name: str, heading: str) -> str:
    return f'<a href="#{name}-is">{escape(heading)}</a>'


def _heading(name: str, report: Results) -> str:
    if name == "cost":
        return {
            "USD": f"USD for {_PROMPTS:,} prompts",
            "strong calls": "Strong calls as spend",
            "calls": "Calls a prompt",
        }[report.unit]
    points = {"part": ", %", "gain": ", %", "points": ", points"}.get(kind_of(name), "")
    return LABELS[name] + ("" if "%" in LABELS[name] else points)


def _cell(name: str, figure: Interval | None, report: Results) -> str:
    """A figure and, smaller, its interval; the unit stands in the header."""
    if figure is None or math.isnan(figure.value):
        return _NOTHING
    value, *ends = _numbers(name, figure, report)
    return value + (f"<small>{ends[0]} … {ends[1]}</small>" if ends else "")


def _change(name: str, saved: Interval) -> str:
    """A saving in words; one below zero is an addition."""
    if saved.value >= 0:
        return f"saves {_told(name, saved)}"
    added = replace(saved, value=-saved.value, low=-saved.high, high=-saved.low)
    return f"adds {_told(name, added)}"


def _told(name: str, figure: Interval) -> str:
    """A figure and its interval in running text; not for spends."""
    value, *ends = _numbers(name, figure, None)
    unit = "\u00a0%" if kind_of(name) in ("part", "gain") else ""
    return f"{value}{unit}" + (f" [{ends[0]},\u00a0{ends[1]}]" if ends else "")


def _numbers(name: str, figure: Interval, report: Results | None) -> list[str]:
    """The figure and, where it is known and not a point, the ends of its interval."""
    ends = [figure.low, figure.high]
    value, *told = [_number(name, each, report) for each in (figure.value, *ends)]
    known = not any(math.isnan(end) for end in ends) and set(told) != {value}
    return [value, *told] if known else [value]


def _number(name: str, value: float, report: Results | None) -> str:
    kind = kind_of(name)
    if kind == "spend" and report is not None:
        if report.unit == "USD":
            return _dollars(_PROMPTS * value)
        return f"{100 * value:.1f}\u00a0%" if report.unit == "strong calls" else f"{value:.2f}"
    if kind in ("number", "signed", "spend"):
        return _minus(f"{value:+.3f}" if kind == "signed" else f"{value:.3f}")
    return _minus(f"{100 * value:.1f}" if kind == "part" else f"{100 * value:+.1f}")


def _minus(text: str) -> str:
    """A true minus sign, and none before a zero."""
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", "\u2212")


def _dollars(value: float) -> str:
    """USD with cents, or with as many digits as a small sum needs."""
    if value >= 1 or value == 0:
        return f"{value:,.2f}"
    return f"{value:.3f}" if value >= 0.01 else f"{value:.2g}"


def _spend(value: float, report: Results) -> str:
    if report.unit == "USD":
        return f"{_dollars(_PROMPTS * value)} USD for {_PROMPTS:,} prompts"
    return f"{value:.1%} strong calls" if report.unit == "strong calls" else f"{value:.2f} calls"


def _part_or_nothing(value: float | None) -> str:
    return _NOTHING if value is None or math.isnan(value) else f"{100 * value:.1f}"
