"""Every router on the same data, as the table of docs/routers.md.

    python -m examples.reproduce.router_comparison DATA/routellm --results build/routers.json \
        --write docs/routers.md

Each is trained on the data's train split and measured on its test split. What has been measured
stands in the file of results and is not measured again, so a long table can be made in pieces.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation.markdown import markdown_table
from llmroute.files import write_atomically
from llmroute.numerics import Floats32
from llmroute.routers import VECTOR_ROUTERS
from llmroute.routers.features import NAMES
from llmroute.routers.labels import MODES, Mode

if TYPE_CHECKING:
    from llmroute.evaluation import Outcomes, Report
    from llmroute.pool import ModelPool
    from llmroute.routers.base import Vectors
    from llmroute.routers.trained_scorer import RouterScorer
    from llmroute.scoring.scorer import Scorer

#: What the table stands between; a page may have further ones, under other names.
_TABLE = "table"
BEGIN, END = "<!-- table: made by examples.reproduce.router_comparison -->", "<!-- end of table -->"
_BUNDLED = "static"
_MEASURED = (*VECTOR_ROUTERS, "bert")


@click.command()
@click.argument("data", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--router", "routers", multiple=True, type=click.Choice([_BUNDLED, *_MEASURED]))
@click.option("--features", type=click.Choice(NAMES), default="words", show_default=True)
@click.option("--labels", type=click.Choice(MODES), default="score", show_default=True)
@click.option(
    "--without", multiple=True, help="Categories with this in their name are not measured on."
)
@click.option("--model", "models", multiple=True, help="The models to choose from.  [default: all]")
@click.option("--epochs", type=int, default=2, show_default=True, help="bert: passes, at most.")
@click.option("--results", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--write", "page", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", "name", default=_TABLE, show_default=True, help="Which table of the page.")
def main(
    data: tuple[Path, ...],
    routers: tuple[str, ...],
    features: str,
    labels: Mode,
    without: tuple[str, ...],
    models: tuple[str, ...],
    epochs: int,
    results: Path,
    page: Path | None,
    name: str,
) -> None:
    """Train and measure routers on DATA, and write the table."""
    from llmroute.evaluation import Outcomes

    found: dict[str, Any] = json.loads(results.read_text()) if results.is_file() else {}
    training = _Training(features, labels, epochs)
    for path in data:
        remembered: dict[str, Remembered] = {}
        missing = [
            router
            for router in routers or (_BUNDLED, *_MEASURED)
            if _called(router, training) not in found.get(path.name, {})
        ]
        if not missing:
            continue
        several = labels in ("soft", "shifted") and (path / "samples.parquet").is_file()
        train, test = Outcomes.read(path, "train", samples=several), Outcomes.read(path, "test")
        kept = [not any(part in category for part in without) for category in test.categories]
        test = test.select(kept)
        if models:
            train, test = train.only(models), test.only(models)
        for router in missing:
            row = _row(router, train, test, training, remembered)
            found.setdefault(path.name, {})[_called(router, training)] = row
            write_atomically(results, json.dumps(found, indent=1) + "\n")
            click.echo(f"{path.name} {_called(router, training)}: {row}")
    if page is not None:
        write_page(page, found, name)


def write_page(page: Path, found: dict[str, Any], name: str = _TABLE) -> None:
    """Puts the table into a page, between its marks.

    Args:
        page: A Markdown page with the marks in it.
        found: Data → router → figures.
        name: Which table of the page, as its marks name it.

    Raises:
        ConfigurationError: The page has no such marks.
    """
    begin, end = (mark.replace(_TABLE, name) for mark in (BEGIN, END))
    put_between(page, begin, end, table(found))


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Puts a text into a page, between two marks.

    Args:
        page: A Markdown page with the marks in it.
        begin: The first mark.
        end: The second.
        text: What stands between them from now on.

    Raises:
        ConfigurationError: The page has no such marks.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ConfigurationError(f"{page} has no {begin} with {end} after it; add both.")
    write_atomically(page, f"{before}{begin}\n\n{text}\n\n{end}{after}")


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
    labels = [str(next(iter(found[one].values()))["category"]) for one in data]
    lines = [["category label", *labels, "", "", ""]]
    for name in names:
        rows = [found[one].get(name) for one in data]
        figures = ["" if row is None else row["figure"] for row in rows]
        known = [row for row in rows if row is not None]
        lines.append([name, *figures, *(_span(known, key) for key in ("us", "mb", "seconds"))])
    return markdown_table(["router", *heads, "µs a prompt", "size, MB", "training, s"], lines)


def _called(router: str, training: _Training) -> str:
    features = (
        [training.features] if router in VECTOR_ROUTERS and training.features != "words" else []
    )
    labels = (
        [f"{training.labels} labels"] if router != _BUNDLED and training.labels != "score" else []
    )
    return ", ".join([router, *features, *labels])


@dataclass(frozen=True)
class _Training:
    """How routers are trained, beside their names."""

    features: str
    labels: Mode
    epochs: int


class Remembered:
    """Vectors that are worked out once a text, since an encoder takes milliseconds for each.

    Args:
        vectors: What works them out.
    """

    def __init__(self, vectors: Vectors) -> None:
        self._vectors, self._rows = vectors, dict[str, Floats32]()
        self.kind, self.settings = vectors.kind, vectors.settings
        self.arrays, self.files = vectors.arrays, vectors.files

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors.

        Args:
            texts: P texts.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        self._rows.update(zip(new, self._vectors.transform(new), strict=True))
        return np.array([self._rows[text] for text in texts])


def _row(
    router: str,
    train: Outcomes,
    test: Outcomes,
    training: _Training,
    remembered: dict[str, Remembered],
) -> dict[str, Any]:
    from llmroute.evaluation import pool_from_outcomes
    from llmroute.evaluation.card_metrics import report_on
    from llmroute.routers import load
    from llmroute.routers import train as train_router
    from llmroute.routers.trainer import write
    from llmroute.scoring import load_scorer

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "router"
        start = time.perf_counter()
        scorer: Scorer
        timed: Scorer
        pool: ModelPool | None = None
        if router == _BUNDLED:
            scorer = timed = load_scorer(router)
            # Its prices, and the abilities of models it was not trained on, are fitted on train.
            pool = pool_from_outcomes(train, router)
        elif router in VECTOR_ROUTERS:
            scorer = _on_vectors(router, train, training, remembered)
            write(scorer, out)
            timed = load(out)  # which remembers nothing
        else:
            scorer = timed = train_router(
                router, [train], out, labels=training.labels, epochs=training.epochs
            )
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in out.iterdir()) / 1e6 if out.is_dir() else 0.0
        report = report_on(scorer, test, train, name=router, pool=pool)
        row = {"figure": _figure(report, router), "unit": _name(report), "mb": size}
        row |= {"us": microseconds(timed, test), "seconds": seconds}
        row["category"] = _figure(report, "category")
        return row


def microseconds(scorer: Scorer, test: Outcomes, count: int = 200) -> float:
    """Median CPU time from one prompt's text to its estimates, one prompt at a time.

    CPU time, which other work on the machine moves less than it moves the clock on the wall.

    Args:
        scorer: The router.
        test: Where prompts are taken from, evenly.
        count: How many.
    """
    from llmroute.pool import ModelPool

    pool = ModelPool(list(test.models))
    prompts = test.prompts[:: max(len(test) // count, 1)][:count]
    spent = []
    for prompt in prompts:
        start = time.process_time()
        scorer.estimate([prompt], pool)
        spent.append(time.process_time() - start)
    return 1e6 * float(np.median(spent))


def _on_vectors(
    router: str, train: Outcomes, training: _Training, remembered: dict[str, Remembered]
) -> RouterScorer:
    from llmroute.routers.dataset import dataset_of
    from llmroute.routers.features import fit_vectors
    from llmroute.routers.trainer import fit_scorer, new_card

    dataset = dataset_of([train], training.labels)
    if training.features not in remembered:
        remembered[training.features] = Remembered(fit_vectors(training.features, dataset.texts))
    card = new_card(router, dataset, router, features=training.features)
    return fit_scorer(card, dataset, features=remembered[training.features])


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
    return f"{found.scaled(scale):{form}}"


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
