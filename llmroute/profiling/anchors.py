"""The anchor prompts: questions with one checkable answer, from trivial to hard.

They were written for this project, and their answers worked out by program where there is
something to work out; none is from a benchmark. How hard each is for a scorer, the scorer itself
says from the text, as it does for any other prompt.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from llmroute.scoring.artifact import Section

#: How an answer is checked; see `llmroute.profiling.grading`.
Kind = Literal["number", "choice", "text", "json", "code"]

_FILE = Path(__file__).with_name("anchors.json")


class Anchor(Section):
    """One anchor prompt.

    Attributes:
        id: Its name; answers are kept under it.
        prompt: What the model is asked.
        answer: The right answer.
        kind: How it is checked.
        subject: What it is about.
    """

    id: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    kind: Kind
    subject: str


@lru_cache
def load_anchors() -> tuple[Anchor, ...]:
    """The anchors that come with the package, in their order."""
    listed = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(Anchor.model_validate(anchor) for anchor in listed)
