"""`llmroute download`: fetch published outcomes, when asked to."""

from __future__ import annotations

from pathlib import Path

import click

from llmroute.cli.options import FOLDER

#: Kept here so that `--help` need not import the evaluation.
_FILES = ("routerbench_0shot.pkl", "routerbench_5shot.pkl", "routerbench_raw.pkl")


@click.command(short_help="Fetch RouterBench's published outcomes.")
@click.argument("name", type=click.Choice(_FILES))
@click.option("--out", default=".", type=FOLDER, help="The folder to put it in.")
def download(name: str, out: Path) -> None:
    """Fetch a file of recorded outcomes: 100 MB and more.

    It is checked by its SHA-256. A fetch that was broken off goes on where it stopped.
    """
    from llmroute.cli.render import progress
    from llmroute.outcomes.readers.download import download as fetch

    with progress() as show:
        path = fetch(name, out, lambda done, total: show(name, done, total, "bytes"))
    click.echo(f"{path}\nMeasure on it: llmroute eval --data {path}")
