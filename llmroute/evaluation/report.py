"""A report: what an evaluation found, and the files it can be written to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from llmroute.evaluation.page import page
from llmroute.evaluation.results import Results
from llmroute.files import write_atomically


@dataclass(frozen=True)
class Report(Results):
    """A router measured on recorded outcomes, beside the baselines; `Results` has the figures."""

    def to_json(self, path: str | Path) -> None:
        """Write the figures to a JSON file, atomically."""
        write_atomically(path, json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n")

    def to_html(self, path: str | Path) -> None:
        """Write the page to a file that needs no other, atomically.

        MissingExtra where matplotlib or jinja2 is not installed.
        """
        write_atomically(path, page(self))
