"""Measures routers on sources they never saw, and what they say of themselves there.

    python -m examples.reproduce.transfer FOLDER… --measured FOLDER… --write docs/transfer.md

Trains a router without each FOLDER in turn and one on all of them, for each encoder, and writes
what was measured between two marks of a page whose other lines it leaves alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from examples.reproduce.cost_interval import coverage
from examples.reproduce.leave_out import (
    KNOWN,
    PREFERENCES,
    WEAK_AT,
    LeftOut,
    Pair,
    routers_without,
    transfer,
    unseen_models,
)
from examples.reproduce.ood_detection import Fallback, detection, fallback
from examples.reproduce.ood_texts import ood_texts
from llmroute.evaluation.markdown import markdown_table
from llmroute.files import write_atomically
from llmroute.metrics import interval
from llmroute.numerics import Floats
from llmroute.pool import ModelPool
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.training.data import LEFT_OUT, without

Scorers = Mapping[str, LatentAbilityScorer]
#: APGR and its replicates, by pair and by preference.
Pairs = Mapping[Pair, Mapping[str, Floats]]

_COLUMNS = (*PREFERENCES, KNOWN)
BEGIN, END = "<!-- figures: made by the command, do not edit -->", "<!-- end of figures -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, measures, and prints or writes the page's figures.

    Args:
        arguments: The command line's, by default those of the process.
    """
    options = _options().parse_args(arguments)
    names = ["examples.reproduce.transfer", *(arguments if arguments is not None else sys.argv[1:])]
    lines = [BEGIN, "", "    python -m " + " ".join(names), ""]
    lines += measured_lines(
        options.data, options.measured, options.encoder, options.work, dict(options.weight)
    )
    text = "\n".join([*lines, END])
    if options.write is None:
        sys.stdout.write(text + "\n")
    else:
        older = options.write.read_text(encoding="utf-8") if options.write.exists() else ""
        write_atomically(options.write, put_between_marks(older, text))


def put_between_marks(page: str, figures: str) -> str:
    """A page with its figures replaced; at its end, where it has none.

    Args:
        page: The page.
        figures: From the first mark to the last.
    """
    if BEGIN not in page or END not in page:
        return page + figures + "\n"
    return page[: page.index(BEGIN)] + figures + page[page.index(END) + len(END) :]


def measured_lines(
    data: Sequence[Path],
    measured: Sequence[Path],
    encoders: Sequence[str],
    work: Path,
    weights: Mapping[str, float],
) -> Iterator[str]:
    """All tables, as lines of Markdown.

    Args:
        data: Folders to train on; each is left out once.
        measured: Folders that are measured only.
        encoders: Kinds of encoders.
        work: Where the trained routers are kept.
        weights: Folder name → weight of its prompts in the loss.
    """
    scorers = {
        encoder: routers_without(data, work, encoder, weights=weights, progress=_progress)
        for encoder in encoders
    }
    folders = [LeftOut.read(folder) for folder in (*data, *measured)]
    yield from _transfer_lines(folders, scorers)
    trained_on = [folder.name for folder in data]
    for encoder, by_folder in scorers.items():
        yield from _ood_lines(encoder, folders, by_folder, trained_on)
    yield from _cost_lines(folders, {encoder: by[""] for encoder, by in scorers.items()})


def _transfer_lines(folders: Sequence[LeftOut], scorers: Mapping[str, Scorers]) -> Iterator[str]:
    yield "### APGR on sources left out"
    qualities = {
        encoder: [_quality_of_unseen_models(_for(folder, by), folder) for folder in folders]
        for encoder, by in scorers.items()
    }
    if len(scorers) > 1:
        both = zip(*qualities.values(), strict=True)
        qualities["mean of both"] = [np.mean(each, axis=0) for each in both]
    for encoder, each in qualities.items():
        found = [
            {pair: transfer(quality, folder, pair) for pair in folder.pairs}
            for quality, folder in zip(each, folders, strict=True)
        ]
        yield from ("", f"`{encoder}`", "")
        yield markdown_table(
            ["left out", "weak model, right", "strong model, right", *_COLUMNS],
            [*_pair_rows(folders, found), *_mean_rows(found)],
        )


def _pair_rows(folders: Sequence[LeftOut], found: Sequence[Pairs]) -> Iterator[list[str]]:
    for folder, by_pair in zip(folders, found, strict=True):
        right = np.nanmean(folder.test.score, axis=0)
        for pair, figures in by_pair.items():
            models = [
                f"{folder.test.models[m]}, {100 * right[m]:.0f} %" for m in (pair.weak, pair.strong)
            ]
            shown = [
                str(interval(figures[name], len(folder.test))) if name in figures else ""
                for name in _COLUMNS
            ]
            yield [folder.name, *models, *shown]


def _mean_rows(found: Sequence[Pairs]) -> Iterator[list[str]]:
    """Means over the folders, their replicates averaged in turn; a folder's pairs count as one."""
    for place in (*WEAK_AT, ""):
        by_folder = [
            {
                name: np.mean(
                    [
                        one[name]
                        for pair, one in by_pair.items()
                        if not place or place in pair.quantiles
                    ],
                    axis=0,
                )
                for name in PREFERENCES
            }
            for by_pair in found
        ]
        means = (np.mean([one[name] for one in by_folder], axis=0) for name in PREFERENCES)
        what = f"weak model at the {place}" if place else "all pairs"
        yield [f"**mean**, {what}", "", "", *(str(interval(one, 0)) for one in means), ""]
    worst = (min(float(one[name][0]) for one in by_folder) for name in PREFERENCES)
    yield ["**worst folder**, all pairs", "", "", *(f"{value:.3f}" for value in worst), ""]


def _ood_lines(
    encoder: str, folders: Sequence[LeftOut], scorers: Scorers, trained_on: Sequence[str]
) -> Iterator[str]:
    tests = {folder.name: without(folder.test, LEFT_OUT) for folder in folders}
    rows = []
    for folder in folders:
        familiar = [p for n in trained_on if n != folder.name for p in tests[n].prompts]
        sets = {f"{folder.name}, left out": folder.test.prompts}
        rows += _apart_rows(_for(folder, scorers), familiar, sets)
    everything = [prompt for name in trained_on for prompt in tests[name].prompts]
    rows += _apart_rows(scorers[""], everything, ood_texts())
    yield from ("", f"### The flag for unfamiliar prompts, `{encoder}`", "")
    yield markdown_table(["texts", "number", "flagged", "AUROC"], rows)
    rows = []
    for folder in folders:
        if folder.name in trained_on:
            own = fallback(scorers[""], tests[folder.name], ModelPool(list(folder.test.models)))
            rows.append(_fallback_row(f"{folder.name}, trained on", own))
        scorer = _for(folder, scorers)
        away = fallback(scorer, folder.test, unseen_models(scorer, folder.train))
        rows.append(_fallback_row(f"{folder.name}, left out", away))
    yield ""
    heads = ["prompts", "flagged", "log loss", "saved by falling back", "by going half-way"]
    yield markdown_table(heads, rows)


def _cost_lines(folders: Sequence[LeftOut], scorers: Scorers) -> Iterator[str]:
    yield from ("", "### The 80 % interval of a call's cost", "")
    rows = []
    for encoder, scorer in scorers.items():
        for folder in folders:
            found = coverage(scorer, folder.train, folder.test)
            if found is not None:
                shares = (found.inside, found.below, found.above)
                cells = [f"{100 * share:.0f} %" for share in shares]
                rows.append([f"`{encoder}`", folder.name, f"{found.cells:,}", *cells])
    yield markdown_table(["encoder", "data", "calls", "inside", "cheaper", "dearer"], rows)


def _for(folder: LeftOut, scorers: Scorers) -> LatentAbilityScorer:
    """The router that did not see the folder."""
    return scorers.get(folder.name, scorers[""])


def _quality_of_unseen_models(scorer: LatentAbilityScorer, folder: LeftOut) -> Floats:
    return scorer.estimate(folder.test.prompts, unseen_models(scorer, folder.train)).quality


def _apart_rows(
    scorer: LatentAbilityScorer, familiar: Sequence[str], sets: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    return [
        [name, f"{one.texts:,}", f"{100 * one.flagged:.0f} %", str(one.auroc)]
        for name, one in detection(scorer, familiar, sets).items()
    ]


def _fallback_row(name: str, one: Fallback) -> list[str]:
    saved = (f"{each:+.4f}" for each in (one.saved, one.halfway))
    return [name, f"{100 * one.flagged:.1f} %", f"{one.log_loss:.3f}", *saved]


def _progress(stage: str, done: int, total: int, note: str = "") -> None:
    sys.stderr.write(f"{stage} {done}/{total} {note}\n")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.reproduce.transfer", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "data", nargs="+", type=Path, help="folders to train on, each left out once"
    )
    parser.add_argument("--measured", nargs="*", type=Path, default=[], help="measured only")
    parser.add_argument("--encoder", nargs="+", default=["static"], help="static, minilm, or both")
    parser.add_argument("--work", type=Path, default=Path("build/transfer"), help="trained routers")
    parser.add_argument("--weight", nargs="*", type=_weight, default=[], metavar="FOLDER=WEIGHT")
    parser.add_argument("--write", type=Path, help="the page; by default figures are printed")
    return parser


def _weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    return name, float(weight)


if __name__ == "__main__":
    main()
