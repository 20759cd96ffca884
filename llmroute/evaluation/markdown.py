"""Several reports as one Markdown page: docs/benchmarks.md is made by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from llmroute.evaluation.report import Report
from llmroute.evaluation.results import Evaluated
from llmroute.evaluation.run import Unit
from llmroute.files import write_whole
from llmroute.metrics import Interval

#: Figure of a report, its heading, and how it is written.
_Column = tuple[str, str, Callable[[Interval], str]]


def _plain(form: str, scale: float = 1.0) -> Callable[[Interval], str]:
    return lambda one: _number(scale * one.value, form)


def _whole(form: str, scale: float = 1.0) -> Callable[[Interval], str]:
    def write(one: Interval) -> str:
        value, low, high = (_number(scale * part, form) for part in (one.value, one.low, one.high))
        # A figure may have no interval: it is of the sample only, or often has no meaning.
        return value if one.low != one.low else f"{value} [{low}, {high}]"

    return write


def _number(value: float, form: str) -> str:
    text = f"{value:{form}}"
    return text.replace("-", "") if not text.strip("-0.") else text  # no minus zero


_QUALITY: _Column = ("quality", "quality", _whole(".3f"))
_AT_COST: _Column = ("quality_at_cost", "quality at llmroute's spend", _whole(".3f"))
_COLUMNS: dict[Unit, tuple[_Column, ...]] = {
    "USD": (
        _QUALITY,
        _AT_COST,
        ("cost", "USD per 1000", _plain(".3g", 1000)),
        ("saved", "bill saved, %", _whole(".0f", 100)),
        ("over_zero", "over zero router, points", _whole("+.1f", 100)),
        ("aiq", "AIQ", _whole(".3f")),
        ("aiq_over_zero", "AIQ over zero router", _whole("+.3f")),
        ("aiq_routerbench", "AIQ, RouterBench's range", _whole(".3f")),
        ("perf_gain", "PerfGain, %", _whole("+.1f", 100)),
        ("cost_save", "CostSave, %", _whole(".0f", 100)),
        ("cost_at_95", "bill for 95 % of the best, %", _whole(".0f", 100)),
        ("aiq_drop", "AIQ lost on unseen categories", _whole(".3f")),
    ),
    "strong calls": (
        _QUALITY,
        _AT_COST,
        ("strong_share", "strong calls, %", _plain(".0f", 100)),
        ("apgr", "APGR", _whole(".3f")),
        ("cpt50", "CPT(50), %", _whole(".1f", 100)),
        ("cpt80", "CPT(80), %", _whole(".1f", 100)),
        ("apgr_routellm", "APGR, RouteLLM's bins", _plain(".3f")),
        ("apgr_drop", "APGR lost on unseen categories", _whole(".3f")),
    ),
    "calls": (
        _QUALITY,
        ("kept", "of the best single model, %", _whole(".1f", 100)),
        ("gap_oracle", "gap to the oracle, %", _whole(".1f", 100)),
    ),
}


def write_page(path: str | Path, reports: Sequence[Report]) -> None:
    """Write the figures of several reports as a Markdown page, whole or not at all.

    Args:
        path: The file.
        reports: What was found on each of the data.
    """
    write_whole(path, "\n".join(_page(reports)) + "\n")


def _page(reports: Sequence[Report]) -> Iterator[str]:
    first = reports[0].provenance
    yield "# Benchmarks"
    yield ""
    yield (
        "This page is made by a command; do not edit it. All figures come from recorded outcomes; "
        "no model was called for them. Brackets hold 95 % intervals, from "
        f"{first.replicates:,} bootstrap replicates over prompts, seed {first.seed}. The last "
        "digit can differ by one on another CPU, mostly for `knn`. The page on evaluation says "
        "what the baselines and the figures are."
    )
    yield ""
    yield f"    {first.command}"
    yield ""
    yield (
        "`llmroute` is the router as it is configured (with the default policy, unless the command "
        "says otherwise). AIQ and other figures of a curve are over its policy's parameter; APGR "
        "and CPT are over a threshold on the probability that only the strong model is right. For "
        "AIQ every router may also always call the cheapest model. A router without a quality here "
        "is measured only as a curve. PerfGain and CostSave take the best setting seen on these "
        "very prompts, for every router alike, and so flatter all."
    )
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    yield f"Versions: {versions}."
    for report in reports:
        yield from _section(report)


def _section(report: Report) -> Iterator[str]:
    yield ""
    yield f"## {report.source}"
    yield ""
    yield (
        f"Prompts: {report.prompts:,}; categories: {len(report.categories)}; models: "
        f"{len(report.models)}. {report.limits}"
    ).strip()
    yield ""
    yield f"{_sentence(report.provenance.split)}"
    yield ""
    everyone = (report.router, *report.baselines.values())
    columns = [
        column for column in _COLUMNS[report.unit] if any(column[0] in e.metrics for e in everyone)
    ]
    yield from _table(
        ("router", *(heading for _, heading, _ in columns)),
        ((_bold(one, report), *_cells(one, columns)) for one in everyone),
    )
    auroc = [
        (name.partition(":")[2], _whole(".3f")(figure))
        for name, figure in report.metrics.items()
        if name.startswith("auroc:")
    ]
    if auroc:
        yield ""
        calibration = " and ".join(
            f"{label} {_whole('.3f')(report.metrics[name])}"
            for name, label in (("ece", "ECE"), ("brier", "Brier score"))
            if name in report.metrics
        )
        yield (
            f"Estimated against observed quality, mean over models: {calibration}. AUROC says how "
            "well llmroute's estimate separates a model's good answers from its bad ones:"
        )
        yield ""
        yield from _table(("model", "AUROC"), auroc)


def _cells(one: Evaluated, columns: Sequence[_Column]) -> Iterator[str]:
    for name, _, write in columns:
        figure = one.metrics.get(name)
        yield "" if figure is None else write(figure)


def _bold(one: Evaluated, report: Report) -> str:
    name = one.name.replace("|", "\\|")
    return f"**{name}**" if one is report.router else name


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join(['---'] * len(headings))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
