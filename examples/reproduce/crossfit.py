"""What a router is worth on prompts, and on categories, that took no part in its training.

    python -m examples.reproduce.crossfit FOLDER… --on routellm --write docs/router.md

The train prompts of one folder are dealt to five groups, once at random and once by category, and
each is estimated by a router trained without it (`examples.reproduce.held_out`). Where categories
are left out, the test prompts of those categories are measured, too. Every router is trained with
the log loss and with the squared loss.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click
import numpy as np
from tokenizers import Tokenizer

from examples.reproduce.held_out import Ground, Reader, cross_fitted, reader
from examples.reproduce.leave_out import PREFERENCES
from llmroute.evaluation.markdown import markdown_table
from llmroute.metrics import Resamples, apgr_replicates, interval
from llmroute.numerics import Floats, Ints
from llmroute.scoring.artifact import Metric
from llmroute.scoring.progress import Progress
from llmroute.training.measure import log_loss
from llmroute.training.minilm_torch import load_minilm
from llmroute.training.settings import Settings

#: What the table stands between.
BEGIN, END = "<!-- crossfit: made by examples.reproduce.crossfit -->", "<!-- end of crossfit -->"
REPLICATES = 1000
LOSSES: tuple[Literal["log", "squared"], ...] = ("log", "squared")


@dataclass(frozen=True)
class Measured:
    """A router's figures on some prompts.

    Attributes:
        apgr: Preference → (R+1,) APGR on the sample, then on each bootstrap replicate.
        log_loss: Mean log loss.
        prompts: How many prompts.
    """

    apgr: Mapping[str, Floats]
    log_loss: Metric
    prompts: int


def measure(ground: Ground, quality: Floats, rows: Ints) -> Measured:
    """APGR and log loss on some prompts.

    Args:
        ground: All prompts.
        quality: (P, 2) estimates.
        rows: Which prompts.
    """
    score = ground.data.score[rows][:, list(ground.pair)].astype(np.float64)
    weak, strong = quality[rows].T
    resamples = Resamples([ground.ids[row] for row in rows], REPLICATES)
    found = {
        name: apgr_replicates(PREFERENCES[name](weak, strong), score[:, 0], score[:, 1], resamples)
        for name in ("win", "gain")
    }
    return Measured(found, log_loss(quality[rows], score), len(rows))


def measured_rows(
    ground: Ground, encoder: str, read: Reader, settings: Settings, progress: Progress
) -> Iterator[list[str]]:
    """The table's rows for one encoder: both losses, both ways of dealing.

    Args:
        ground: The prompts.
        encoder: Its name.
        read: What reads them.
        settings: Settings of the runs, the loss excepted.
        progress: Told how training goes.
    """
    groupings = {"at random": ground.groups_at_random(), "by category": ground.groups_by_category()}
    for way, group in groupings.items():
        parts = {"train": ground.trained, "test": ~ground.trained}
        asked = {name: np.flatnonzero((group >= 0) & part) for name, part in parts.items()}
        first: dict[str, Measured] = {}
        for loss in LOSSES:
            run = replace(settings, loss=loss)
            quality = cross_fitted(ground, read, group, run, progress)
            for name, rows in asked.items():
                if len(rows):
                    found = measure(ground, quality, rows)
                    base = first.setdefault(name, found)
                    yield [f"`{encoder}`", loss, f"{way}, {name}", *_figures(found, base)]


def _figures(found: Measured, base: Measured) -> Iterator[str]:
    yield f"{found.prompts:,}"
    yield from (str(interval(found.apgr[name], found.prompts)) for name in ("win", "gain"))
    loss = found.log_loss
    yield f"{loss.value:.3f} [{loss.low:.3f}, {loss.high:.3f}]"
    over = interval(found.apgr["win"] - base.apgr["win"], found.prompts)
    yield "" if found is base else f"{over:+.3f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """The table as Markdown.

    Args:
        rows: Its rows.
    """
    heads = ["encoder", "loss", "left out, measured on", "prompts"]
    heads += ["APGR, win", "APGR, gain", "log loss", "win: squared − log"]
    return markdown_table(heads, rows)


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--on", default="routellm", show_default=True, help="Which of DATA is measured.")
@click.option("--encoder", "encoders", multiple=True, default=["static", "minilm"],
              type=click.Choice(["static", "minilm"]), show_default=True)  # fmt: skip
@click.option("--weight", default=2.0, show_default=True, help="Weight of the prompts of --on.")
@click.option("--write", "page", type=click.Path(dir_okay=False, path_type=Path))
def main(
    data: tuple[Path, ...], on: str, encoders: tuple[str, ...], weight: float, page: Path | None
) -> None:
    """Cross-fit routers on DATA, folders of outcomes, and write the table."""
    minilm = load_minilm()
    tokenizer = Tokenizer.from_file(str(minilm.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ground = Ground.read(data, on, tokenizer, {on: weight})
    settings, rows = Settings(), []
    for encoder in encoders:
        read = reader(encoder, ground, minilm, settings, _progress)
        for row in measured_rows(ground, encoder, read, settings, _progress):
            click.echo(" | ".join(row))
            rows.append(row)
    if page is not None:
        from examples.reproduce.router_comparison import put_between

        put_between(page, BEGIN, END, table(rows))


def _progress(stage: str, done: int, total: int, note: str = "") -> None:
    sys.stderr.write(f"{stage} {done}/{total} {note}\n")


if __name__ == "__main__":
    main()
