"""A report as one HTML page: no script, no other file, nothing fetched."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from llmroute.errors import MissingExtra
from llmroute.evaluation.canvas import saved
from llmroute.evaluation.glossary import GLOSSARY, entry_of
from llmroute.evaluation.plots import heat_columns, largest_categories, pictures, strongest_models
from llmroute.evaluation.results import Results
from llmroute.evaluation.run import Unit
from llmroute.metrics import Interval

#: Spends are told for so many prompts: that of one is too small to read.
_PROMPTS = 1000
#: Kind of a figure → what it is multiplied by, and how it is then written.
_FORMS = {
    "part": (100, ".1f"),
    "gain": (100, "+.1f"),
    "points": (100, "+.1f"),
    "number": (1, ".3f"),
    "signed": (1, "+.3f"),
    "spend": (1, ".3f"),
}
_UNITS = {"part": ", %", "gain": ", %", "points": ", points"}
_SPEND_HEADINGS: dict[Unit, str] = {
    "USD": f"USD for {_PROMPTS:,} prompts",
    "strong calls": "Strong calls as spend",
    "calls": "Calls a prompt",
}
#: What is written of a figure: it alone, with the ends of its interval, or nothing.
_Parts = tuple[str, ...]


def page(report: Results) -> str:
    """The report as an HTML page that needs no other file; MissingExtra as of `render`, `plots`."""
    drawn = list(_pictures(report))
    models = sorted(report.singles, key=lambda name: -report.singles[name][1])
    # The router, then other routers, then single models, the strongest first.
    others = [row for name, row in report.baselines.items() if name not in report.singles]
    singles = [report.baselines[name] for name in models if name in report.baselines]
    rows = [report.router, *others, *singles]
    present = {name.partition(":")[0] for row in rows for name in row.metrics}
    columns = heat_columns(report)
    shown = (report.router.name, report.strongest, "oracle")
    return render(
        "page.html",
        report=report,
        origin=report.provenance,
        title=f"{report.router.name} on {report.source}",
        verdict=verdict(report),
        against_chance=against_chance(report),
        tiles=_tiles(report),
        pictures=drawn,
        categories_drawn=len(largest_categories(report)),
        models_drawn=len(strongest_models(report)),
        rows=rows,
        figures=[n for n in GLOSSARY if n in present and n != "auroc"],  # which each model has
        models=models,
        categories=sorted(report.categories, key=lambda c: (-report.categories[c], c)),
        columns=[columns[name] for name in shown if name in columns],
        calibration="; ".join(
            f"{GLOSSARY[name].label} {_in_text(name, report.metrics[name])}"
            for name in ("ece", "brier")
            if name in report.metrics
        ),
        glossary=GLOSSARY,
        present=present,
        cell=lambda name, figure: _cell(name, figure, report.unit),
        heading=lambda name: _heading(name, report.unit),
        percent=_percent,
    )


def render(template: str, **content: Any) -> str:
    """A template of this package, filled in. MissingExtra where jinja2 is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtra("Writing the page of a report (jinja2)", "eval") from None
    environment = Environment(
        loader=PackageLoader("llmroute", "evaluation"),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(content)


def verdict(report: Results) -> str:
    """What was found, in a sentence."""
    figures, best = report.metrics, report.strongest
    bill = "bill" if report.unit == "USD" else "calls"
    if "saved" in figures and "kept" in figures:
        text = (
            f"As configured, {report.router.name} {_change('saved', figures['saved'])} of the "
            f"{bill} of {best}, the best single model, and keeps "
            f"{_in_text('kept', figures['kept'])} of its quality; "
        )
    else:
        text = (
            f"{report.router.name} was measured at all its settings, none of which it is "
            f"configured at, beside {best}, the best single model; "
        )
    if "cost_save" in figures:
        return text + (
            "the cheapest setting on its curve that is as good as that model, picked on these very "
            f"prompts, {_change('cost_save', figures['cost_save'])} of its {bill}."
        )
    return text + "no setting on its curve is as good as that model."


def against_chance(report: Results) -> str:
    """How the router as configured stands to models mixed at random, or nothing."""
    over = report.metrics.get("over_zero")
    if over is None:
        return ""
    if over.low == over.high == 0:
        difference = "no difference"
    elif over.low > 0:
        difference = "a gain"
    else:
        difference = "a loss" if over.high < 0 else "which may be chance"
    return (
        "Its quality less that of single models mixed at random for the same spend: "
        f"{_in_text('over_zero', over)} percentage points, {difference}."
    )


def _tiles(report: Results) -> list[str]:
    """The figures that are asked for first."""
    spend = "cost"
    if report.unit != "USD" and "strong_share" in report.metrics and "cost" in report.metrics:
        spend = "strong_share"
    names = ("quality", spend, "saved", "kept", "aiq", "apgr")
    return [name for name in names if name in report.metrics]


def _pictures(report: Results) -> Iterator[dict[str, Any]]:
    """Each picture in light and in dark, and in words for those who do not see it."""
    in_words = {
        "cost_quality": _curve_in_words(report),
        "category_heatmap": "Mean score by category and model; "
        "the router's are in the table below.",
        "reliability": "Estimated against observed quality of each model.",
    }
    for name, draw in pictures(report).items():
        light, dark = (draw(report, is_dark) for is_dark in (False, True))
        width, height = (round(96 * inches) for inches in light.get_size_inches())
        yield {
            "name": name,
            "light": _data_url(saved(light, "svg")),
            "dark": _data_url(saved(dark, "svg")),
            "width": width,
            "height": height,
            "in_words": in_words[name],
        }


def _data_url(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def _curve_in_words(report: Results) -> str:
    (low, worst), (high, best) = report.curve[[0, -1]][report.curve[[0, -1], 0].argsort()]
    text = (
        f"Mean score against spend. {report.router.name} runs from {worst:.1%} at "
        f"{_spend(low, report)} to {best:.1%} at {_spend(high, report)}."
    )
    oracle = report.baselines.get("oracle")
    if oracle is not None:
        cost, quality = oracle.curve[oracle.setting or 0]
        text += f" The oracle has {quality:.1%} at {_spend(cost, report)}."
    return text


def _heading(name: str, unit: Unit) -> str:
    if name == "cost":
        return _SPEND_HEADINGS[unit]
    label, kind, _ = entry_of(name)
    return label + ("" if "%" in label else _UNITS.get(kind, ""))


def _cell(name: str, figure: Interval | None, unit: Unit) -> _Parts:
    """A figure and its interval; the unit stands in the header."""
    return () if figure is None or math.isnan(figure.value) else _numbers(name, figure, unit)


def _percent(value: float | None) -> _Parts:
    return () if value is None or math.isnan(value) else (f"{100 * value:.1f}",)


def _change(name: str, saved: Interval) -> str:
    """A saving in words; one below zero is an addition."""
    if saved.value >= 0:
        return f"saves {_in_text(name, saved)}"
    added = replace(saved, value=-saved.value, low=-saved.high, high=-saved.low)
    return f"adds {_in_text(name, added)}"


def _in_text(name: str, figure: Interval) -> str:
    """A figure and its interval in running text; not for spends."""
    value, *ends = _numbers(name, figure, None)
    unit = "\u00a0%" if entry_of(name).kind in ("part", "gain") else ""
    return f"{value}{unit}" + (f" [{ends[0]},\u00a0{ends[1]}]" if ends else "")


def _numbers(name: str, figure: Interval, unit: Unit | None) -> _Parts:
    """The figure and, where it is known and not a point, the ends of its interval."""
    value, *ends = (_number(name, end, unit) for end in (figure.value, figure.low, figure.high))
    return (value, *ends) if figure.is_known and set(ends) != {value} else (value,)


def _number(name: str, value: float, unit: Unit | None) -> str:
    kind = entry_of(name).kind
    if kind == "spend" and unit == "USD":
        return _dollars(_PROMPTS * value)
    if kind == "spend" and unit is not None:
        return f"{100 * value:.1f}\u00a0%" if unit == "strong calls" else f"{value:.2f}"
    scale, form = _FORMS[kind]
    text = f"{scale * value:{form}}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # no sign before a zero
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
