"""The routers of the field behind one contract, trained on your own outcomes or comparisons.

    from llmroute.routers import load, train

    train("mf", [Outcomes.read("my_log.csv", "train")], "my_router")
    scorer = load("my_router")                 # what load_scorer("my_router") gives, too
    estimates = scorer.estimate(["Prove that √2 is irrational."], pool)

`llmroute train --router NAME DATA… --out FOLDER` does the same. docs/routers.md says how each works
and when to choose it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmroute.routers.labels import labelled as labelled
    from llmroute.routers.loading import load as load
    from llmroute.routers.preferences import Preferences as Preferences
    from llmroute.routers.preferences import read_preferences as read_preferences
    from llmroute.routers.scorer import RouterScorer as RouterScorer
    from llmroute.routers.training import train as train

#: Routers that learn on the vectors of prompts, in the order of the docs.
VECTOR_ROUTERS = (
    "knn",
    "linear",
    "mlp",
    "svm",
    "mf",
    "sw",
    "clusters",
    "categories",
    "ensemble",
)
#: All that `train` knows. The bundled kind, `latent`, is trained by `llmroute.training`.
NAMES = (*VECTOR_ROUTERS, "bert", "causal")

_HOMES = {
    "Preferences": "preferences",
    "RouterScorer": "scorer",
    "labelled": "labels",
    "load": "loading",
    "read_preferences": "preferences",
    "train": "training",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
