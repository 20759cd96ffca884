"""From a folder to a scorer, whichever router it holds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmroute.errors import ArtifactError, ConfigurationError, MissingExtra
from llmroute.routers.base import Head
from llmroute.routers.cost_regression import Costs
from llmroute.routers.features import restore_vectors
from llmroute.routers.names import HEADS, NAMES
from llmroute.routers.trained_scorer import RouterScorer
from llmroute.scoring.router_folder import RouterFolder, read
from llmroute.scoring.scorer import Scorer


def load(folder: str | Path) -> Scorer:
    """The scorer in a folder that `train` wrote.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of a router this version lacks.
        MissingExtra: What the router's features need is not installed.
    """
    found = read(folder)
    name = found.card.router
    if name in HEADS:
        return _vector_scorer(found)
    if name in NAMES:
        opened: Callable[[RouterFolder], Scorer] = importlib.import_module(
            f"llmroute.routers.{name}"
        ).restore
        return opened(found)
    raise ArtifactError(
        f"{found.folder} holds a router {name!r}; this version of llmroute has {', '.join(NAMES)}."
    )


def head_class(name: str) -> Any:
    """The class of a router's head.

    Raises:
        ConfigurationError: Another name.
    """
    if name not in HEADS:
        raise ConfigurationError(f"routers are {', '.join(NAMES)}; {name!r} was given.")
    return getattr(importlib.import_module(f"llmroute.routers.{name}"), HEADS[name])


def _vector_scorer(found: RouterFolder) -> RouterScorer:
    card = found.card
    vectors = restore_vectors(card.features, found.arrays, found.files)
    try:
        head: Head = head_class(card.router).restore(card.head, found.arrays)
    except MissingExtra:  # a ValueError, but no damage
        raise
    except (KeyError, ValueError, TypeError, IndexError) as fault:
        raise ArtifactError(
            f"the router at {found.folder} does not fit together: {fault}. Train it again."
        ) from None
    return RouterScorer(card, vectors, head, Costs.restore(found.arrays))
