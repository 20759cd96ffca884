"""The routers of the field behind one contract, trained on your own outcomes or comparisons.

    from llmroute.routers import load, train

    train("mf", [Outcomes.read("my_log.csv", "train")], "my_router")
    scorer = load("my_router")                 # what load_scorer("my_router") gives, too
    estimates = scorer.estimate(["Prove that √2 is irrational."], pool)

`llmroute train --router NAME DATA… --out FOLDER` does the same. docs/routers.md says how each works
and when to choose it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmroute._imports import lazy_face
from llmroute.routers.names import NAMES, VECTOR_ROUTERS

if TYPE_CHECKING:
    from llmroute.routers.folder_loader import load as load
    from llmroute.routers.labels import labelled as labelled
    from llmroute.routers.preferences import Preferences as Preferences
    from llmroute.routers.preferences import read_preferences as read_preferences
    from llmroute.routers.trained_scorer import RouterScorer as RouterScorer
    from llmroute.routers.trainer import train as train

_HOMES = {
    "Preferences": "llmroute.routers.preferences",
    "RouterScorer": "llmroute.routers.trained_scorer",
    "labelled": "llmroute.routers.labels",
    "load": "llmroute.routers.folder_loader",
    "read_preferences": "llmroute.routers.preferences",
    "train": "llmroute.routers.trainer",
}

__all__ = [
    "NAMES",
    "VECTOR_ROUTERS",
    "Preferences",
    "RouterScorer",
    "labelled",
    "load",
    "read_preferences",
    "train",
]


__getattr__ = lazy_face(__name__, _HOMES)
