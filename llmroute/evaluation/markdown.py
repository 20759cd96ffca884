"""Several reports as one Markdown page: docs/benchmarks.md is made by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from llmroute.evaluation.page import render
from llmroute.evaluation.report import Report
from llmroute.evaluation.results import Evaluated
from llmroute.evaluation.run import Unit
from llmroute.files import write_atomically

#: Figure of a report, its heading, the unit as a factor, how numbers are written, and whether the
#: interval is written too.
_Column = tuple[str, str, float, str, bool]

_QUALITY: _Column = ("quality", "quality", 1, ".3f", True)
_AT_COST: _Column = ("quality_at_cost", "quality at llmroute's spend", 1, ".3f", True)
_COLUMNS: dict[Unit, tuple[_Column, ...]] = {
    "USD": (
        _QUALITY,
        _AT_COST,
        ("cost", "USD per 1000", 1000, ".3g", False),
        ("saved", "bill saved, %", 100, ".0f", True),
        ("over_zero", "over zero router, points", 100, "+.1f", True),
        ("aiq", "AIQ", 1, ".3f", True),
        ("aiq_over_zero", "AIQ over zero router", 1, "+.3f", True),
        ("aiq_routerbench", "AIQ, RouterBench's range", 1, ".3f", True),
        ("perf_gain", "PerfGain, %", 100, "+.1f", True),
        ("cost_save", "CostSave, %", 100, ".0f", True),
        ("cost_at_95", "bill for 95 % of the best, %", 100, ".0f", True),
        ("aiq_drop", "AIQ lost on unseen categories", 1, ".3f", True),
    ),
    "strong calls": (
        _QUALITY,
        _AT_COST,
        ("strong_share", "strong calls, %", 100, ".0f", False),
        ("apgr", "APGR", 1, ".3f", True),
        ("cpt50", "CPT(50), %", 100, ".1f", True),
        ("cpt80", "CPT(80), %", 100, ".1f", True),
        ("apgr_routellm", "APGR, RouteLLM's bins", 1, ".3f", False),
        ("apgr_drop", "APGR lost on unseen categories", 1, ".3f", True),
    ),
    "calls": (
        _QUALITY,
        ("kept", "of the best single model, %", 100, ".1f", True),
        ("gap_oracle", "gap to the oracle, %", 100, ".1f", True),
    ),
}


def write_page(path: str | Path, reports: Sequence[Report]) -> None:
    """Write the figures of several reports as a Markdown page, atomically."""
    text = render(
        "benchmarks.md",
        first=reports[0].provenance,
        reports=reports,
        table=markdown_table,
        figures=_figures,
        by_model=_by_model,
        calibration=_calibration,
    )
    write_atomically(path, text)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown, without a line break at its end."""
    lines = (headings, ["---"] * len(headings), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figures(report: Report) -> str:
    """The table of the figures that any run of the report has."""
    everyone = (report.router, *report.baselines.values())
    columns = [
        column for column in _COLUMNS[report.unit] if any(column[0] in e.metrics for e in everyone)
    ]
    return markdown_table(
        ("router", *(heading for _, heading, *_ in columns)),
        ([_name(row, report), *(_cell(row, column) for column in columns)] for row in everyone),
    )


def _by_model(report: Report) -> list[tuple[str, str]]:
    return [
        (name.partition(":")[2], f"{figure:.3f}")
        for name, figure in report.metrics.items()
        if name.startswith("auroc:")
    ]


def _calibration(report: Report) -> str:
    return " and ".join(
        f"{label} {report.metrics[name]:.3f}"
        for name, label in (("ece", "ECE"), ("brier", "Brier score"))
        if name in report.metrics
    )


def _cell(row: Evaluated, column: _Column) -> str:
    name, _, factor, form, with_interval = column
    figure = row.metrics.get(name)
    if figure is None:
        return ""
    figure = figure.scaled(factor)
    return f"{figure:{form}}" if with_interval else f"{figure.alone:{form}}"


def _name(row: Evaluated, report: Report) -> str:
    name = row.name.replace("|", "\\|")
    return f"**{name}**" if row is report.router else name
