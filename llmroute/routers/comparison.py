"""Every router on the same data, as the table of docs/routers.md.

    python -m llmroute.routers.comparison ../shared/data/routellm --results build/routers.json \
        --write docs/routers.md

Each is trained on the data's train split and measured on its test split. What has been measured
stands in the file of results and is not measured again, so a long table can be made in pieces.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.errors import ConfigurationError
from llmroute.evaluation.writing import write_whole
from llmroute.routers import VECTOR_ROUTERS

if TYPE_CHECKING:
    from llmroute.evaluation import Outcomes, Report
    from llmroute.pool import ModelPool
    from llmroute.scoring.base import Scorer

#: What the table stands between.
BEGIN, END = "<!-- table: made by llmroute.routers.comparison -->", "<!-- end of table -->"
_BUNDLED = "static"
_MEASURED = (*VECTOR_ROUTERS, "bert")


@click.command()
@click.argument("data", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--router", "routers", multiple=True, type=click.Choice([_BUNDLED, *_MEASURED]))
@click.option("--features", default="words", show_default=True)
@click.option(
    "--without", multiple=True, help="Categories with this in their name are not measured on."
)
@click.option("--epochs", type=int, default=2, show_default=True, help="bert: passes, at most.")
@click.option("--results", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--write", "page", type=click.Path(dir_okay=False, path_type=Path))
def main(
    data: tuple[Path, ...],
    routers: tuple[str, ...],
    features: str,
    without: tuple[str, ...],
    epochs: int,
    results: Path,
    page: Path | None,
) -> None:
    """Train and measure routers on DATA, and write the table."""
    from llmroute.evaluation import Outcomes

    found: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {}
    for path in data:
        missing = [
            router
            for router in routers or (_BUNDLED, *_MEASURED)
            if _called(router, features) not in found.get(path.name, {})
        ]
        if not missing:
            continue
        train, test = Outcomes.read(path, "train"), Outcomes.read(path, "test")
        kept = [not any(part in category for part in without) for category in test.categories]
        test = test.select(kept)
        for router in missing:
            row = _row(router, train, test, features, epochs)
            found.setdefault(path.name, {})[_called(router, features)] = row
            write_whole(results, json.dumps(found, indent=1) + "\n")
            click.echo(f"{path.name} {_called(router, features)}: {row}")
    if page is not None:
        write_page(page, found)


def write_page(page: Path, found: dict[str, Any]) -> None:
    """Puts the table into a page, between its marks.

    Args:
        page: A Markdown page with the marks in it.
        found: Data → router → figures.

    Raises:
        ConfigurationError: The page has no such marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigurationError(f"{page} has no {BEGIN} with {END} after it; add both.")
    write_whole(page, f"{before}{BEGIN}\n\n{table(found)}\n\n{END}{after}")


def table(found: dict[str, Any]) -> str:
    """The table as Markdown.

    Args:
        found: Data → router → figures.
    """
    data = list(found)
    heads = [f"`{name}`, {_unit(found[name])}" for name in data]
    names = list(dict.fromkeys(router for rows in found.values() for router in rows))
    order = {name: place for place, name in enumerate((_BUNDLED, *_MEASURED))}
    names.sort(key=lambda name: (order.get(name.split(",")[0], len(order)), name))
    lines = [
        f"| router | {' | '.join(heads)} | µs a prompt | size, MB | training, s |",
        f"| --- |{' --- |' * (len(data) + 3)}",
    ]
    labels = [str(next(iter(found[one].values()))["category"]) for one in data]
    lines.append(f"| category label | {' | '.join(labels)} |  |  |  |")
    for name in names:
        rows = [found[one].get(name) for one in data]
        figures = " | ".join("" if row is None else row["figure"] for row in rows)
        known = [row for row in rows if row is not None]
        spans = " | ".join(_span(known, key) for key in ("us", "mb", "seconds"))
        lines.append(f"| {name} | {figures} | {spans} |")
    return "\n".join(lines)


def _called(router: str, features: str) -> str:
    if features == "words" or router not in VECTOR_ROUTERS:
        return router
    return f"{router}, {features}"


def _row(
    router: str, train: Outcomes, test: Outcomes, features: str, epochs: int
) -> dict[str, Any]:
    from llmroute.evaluation import pool_from_outcomes
    from llmroute.routers import train as train_router
    from llmroute.routers.measuring import microseconds, report_on
    from llmroute.scoring import load_latent

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "router"
        start = time.perf_counter()
        scorer: Scorer
        pool: ModelPool | None = None
        if router == _BUNDLED:
            bundled = load_latent(_BUNDLED)
            # Its prices, and the abilities of models it was not trained on, are fitted on train.
            scorer, size, pool = bundled, 0.0, pool_from_outcomes(train, _BUNDLED)
        else:
            options = {"epochs": epochs} if router == "bert" else {"features": features}
            scorer = train_router(router, [train], out, **options)
            size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
        seconds = time.perf_counter() - start
        report = report_on(scorer, test, train, name=router, pool=pool)
        row = {"figure": _figure(report, router), "unit": _name(report), "mb": size}
        row |= {"us": microseconds(scorer, test), "seconds": seconds}
        row["category"] = _figure(report, "category")
        return row


def _name(report: Report) -> str:
    if report.unit == "strong calls":
        return "APGR"
    return "gap closed, %"


def _figure(report: Report, who: str) -> str:
    """The figure that counts on these data, with its interval."""
    one = report.router if who == report.router.name else report.baselines[who]
    if report.unit == "strong calls":
        found, scale, form = one.metrics["apgr"], 1.0, ".3f"
    elif report.unit == "USD":
        found, scale, form = one.metrics["aiq_closed"], 100.0, ".1f"
    else:
        # One point each: the share of the way from the best single model to the oracle.
        best = max(quality for _, quality in report.singles.values())
        whole = report.baselines["oracle"].metrics["quality"].value - best
        quality = one.metrics["quality"]
        ends = [
            100 * (value - best) / whole for value in (quality.value, quality.low, quality.high)
        ]
        return f"{ends[0]:.1f} [{ends[1]:.1f}, {ends[2]:.1f}]"
    ends = [scale * value for value in (found.value, found.low, found.high)]
    return f"{ends[0]:{form}} [{ends[1]:{form}}, {ends[2]:{form}}]"


def _unit(rows: dict[str, Any]) -> str:
    return str(next(iter(rows.values()))["unit"])


def _span(rows: list[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    if not values or max(values) == 0:
        return ""
    ends = (min(values), max(values))
    low, high = (f"{value:.2g}" if value < 100 else f"{value:,.0f}" for value in ends)
    return low if low == high else f"{low}–{high}"


if __name__ == "__main__":
    main()
