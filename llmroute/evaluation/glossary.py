"""What the figures of a report are called and mean, and what well-known data cannot tell."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A figure's label in a table, the kind of number it is, and its formula and source."""

    label: str
    kind: str
    meaning: str


def _table(file: str) -> dict[str, Any]:
    return tomllib.loads(files("llmroute.evaluation").joinpath(file).read_text(encoding="utf-8"))


#: Figure → its entry, in the order of the page; see `glossary.toml`.
GLOSSARY = {name: Entry(**entry) for name, entry in _table("glossary.toml").items()}
#: Name of well-known outcomes → what they cannot tell, to be said beside their figures.
LIMITS: dict[str, str] = _table("limits.toml")


def entry_of(metric: str) -> Entry:
    """A figure's entry; of `auroc:MODEL`, the part before the colon counts."""
    return GLOSSARY[metric.partition(":")[0]]
