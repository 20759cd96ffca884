"""What escalation is worth on recorded answers: the page docs/escalation-benchmarks.md.

    python -m examples.reproduce.escalation_benchmarks DATA --write docs/escalation-benchmarks.md

All that is learned or chosen is so on the train splits; figures are of the test splits. Every call
counts with its recorded cost, verification calls too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from examples.reproduce.escalation_sections import (
    all_models,
    all_pairs,
    as_configured,
    one_pair,
    sampling,
)
from examples.reproduce.escalation_study import Study
from llmroute.files import write_atomically


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; see the module.

    Args:
        arguments: Of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.reproduce.escalation_benchmarks")
    parser.add_argument("data", type=Path, help="the folder of recorded outcomes")
    parser.add_argument("--write", type=Path, help="the Markdown page to write")
    parser.add_argument("--only", choices=("models", "default", "pair", "pairs", "votes"))
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        lines = _written(_page(_parts(chosen, Path(work))))
    if chosen.write is not None:
        write_atomically(chosen.write, "\n".join(lines) + "\n")


def _parts(chosen: argparse.Namespace, work: Path) -> Iterator[Iterator[str]]:
    if chosen.only != "votes":
        study = Study.of(chosen.data / "cascades", work)
        folder = None if chosen.write is None else chosen.write.parent / "images"
        sections = {
            "models": all_models(study, folder),
            "default": as_configured(study),
            "pair": one_pair(study),
            "pairs": all_pairs(study),
        }
        yield from (part for name, part in sections.items() if chosen.only in (None, name))
    if chosen.only in (None, "votes"):
        yield sampling(chosen.data / "agreement")


def _written(page: Iterator[str]) -> list[str]:
    """The lines, each printed as soon as it is there."""
    lines = []
    for line in page:
        lines.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return lines


def _page(parts: Iterable[Iterator[str]]) -> Iterator[str]:
    yield "# Escalation: benchmarks"
    yield ""
    yield (
        "This page is made by a command; do not edit it. All figures are from the test splits of "
        "recorded answers; everything that is fitted or chosen was fitted or chosen on the train "
        "splits. Brackets hold 95 % intervals, by bootstrap over prompts. Costs are the recorded "
        "costs of all calls, verification calls included. The last digit can differ by one on "
        "another CPU. The *zero router* reads no prompt: it draws a model at random, in the best "
        "proportions. *Random* draws every model equally often. The *oracle* knows every score "
        "beforehand."
    )
    yield ""
    module, page = "examples.reproduce.escalation_benchmarks", "docs/escalation-benchmarks.md"
    yield f"    python -m {module} DATA --write {page}"
    for part in parts:
        yield ""
        yield from part


if __name__ == "__main__":
    main(sys.argv[1:])
