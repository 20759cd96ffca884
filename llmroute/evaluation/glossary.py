"""What the figures of a report are called, how they are written and what they mean."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import NamedTuple


class Entry(NamedTuple):
    """A figure's label in a table, the kind of number it is, and its formula and source."""

    label: str
    kind: str
    meaning: str


#: Figure → its entry, in the order of the page; see `glossary.toml`.
GLOSSARY = {
    name: Entry(**entry)
    for name, entry in tomllib.loads(
        files("llmroute.evaluation").joinpath("glossary.toml").read_text(encoding="utf-8")
    ).items()
}


def entry_of(metric: str) -> Entry:
    """A figure's entry; of `auroc:MODEL`, the part before the colon counts."""
    return GLOSSARY[metric.partition(":")[0]]
