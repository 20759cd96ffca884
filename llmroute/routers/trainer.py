"""Training a router by name: outcomes or comparisons in, a folder out."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats32
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import VALIDATION_SHARE, mean_of_known
from llmroute.routers import bert, causal
from llmroute.routers.base import CHOOSING, Head, Progress, Vectors, log_loss, quiet
from llmroute.routers.cost_regression import Costs
from llmroute.routers.dataset import Dataset, dataset_of
from llmroute.routers.features import fit_vectors
from llmroute.routers.folder_loader import head_class, load
from llmroute.routers.labels import Mode
from llmroute.routers.names import NAMES, VECTOR_ROUTERS
from llmroute.routers.preferences import Preferences
from llmroute.routers.trained_scorer import RouterScorer, content_version
from llmroute.scoring.artifact import DataSource, Metric, check_target
from llmroute.scoring.router_folder import RouterCard, save
from llmroute.scoring.scorer import Scorer

#: Texts that are read between two moves of the progress bar.
_BLOCK = 256


def train(
    router: str,
    data: Sequence[Outcomes] | Sequence[Preferences],
    out: str | Path,
    *,
    name: str | None = None,
    labels: Mode = "score",
    features: str = "words",
    seed: int = 0,
    sources: Sequence[DataSource] = (),
    progress: Progress = quiet,
    **options: Any,
) -> Scorer:
    """Trains a router, writes its folder, and reads it back.

    A tenth of the prompts, by hash, is kept for early stopping and for choosing settings.

    Args:
        router: One of `NAMES`.
        data: Outcomes or comparisons to learn from, their train split.
        out: The folder to write; a router that is there is replaced.
        name: Name for the card; the folder's by default.
        labels: How outcomes become labels: `score`, `hard`, `soft` or `shifted`.
        features: What it sees of a prompt: `words`, `static`, `minilm` or `both`; `bert` and
            `causal` read the text itself.
        seed: Seed of everything random.
        sources: What the data were read from, for the card.
        progress: Told how training goes.
        options: What `bert` and `causal` take besides; see their modules.

    Raises:
        ConfigurationError: Another router, or data that cannot be learned from.
        MissingExtra: A package it needs is not installed.
        ArtifactError: The folder cannot be written.
    """
    if router not in NAMES:
        raise ConfigurationError(f"routers are {', '.join(NAMES)}; {router!r} was given.")
    check_target(out)
    dataset = dataset_of(data, labels, seed)
    called = name or Path(out).name
    card = new_card(router, dataset, called, features=features, seed=seed, sources=sources)
    if router == "bert":
        return bert.train(card, dataset, out, seed=seed, progress=progress, **options)
    if router == "causal":
        return causal.train(card, dataset, out, progress=progress, **options)
    if options:
        raise ConfigurationError(f"{router} takes no {', '.join(options)}.")
    scorer = fit_scorer(card, dataset, features=features, seed=seed, progress=progress)
    write(scorer, out)
    return load(out)


def fit_scorer(
    card: RouterCard,
    dataset: Dataset,
    *,
    features: str | Vectors = "words",
    seed: int = 0,
    progress: Progress = quiet,
) -> RouterScorer:
    """A router on vectors, fitted and not yet saved."""
    kind = head_class(card.router)
    progress("features", 0, len(dataset), "")
    chosen = fit_vectors(features, dataset.texts, seed) if isinstance(features, str) else features
    vectors = _read(chosen, dataset.texts, progress)
    head: Head = kind.fit(vectors, dataset, seed, progress)
    costs = Costs.fit(vectors, dataset)
    held = dataset.validation
    loss = log_loss(head.quality(vectors[held]), dataset.target[held])
    arrays = _arrays(head, chosen, costs)
    version = content_version(head.settings(), chosen.settings(), arrays)
    update = {
        "version": version,
        "features": chosen.settings(),
        "head": head.settings(),
        "metrics": {CHOOSING: Metric(value=round(loss, 5), prompts=int(held.sum()))},
    }
    return RouterScorer(card.model_copy(update=update), chosen, head, costs)


def write(scorer: RouterScorer, out: str | Path) -> None:
    """Saves a router on vectors.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    arrays = _arrays(scorer.head, scorer.vectors, scorer.costs)
    save(out, scorer.card, arrays, scorer.vectors.files())


def _arrays(head: Head, vectors: Vectors, costs: Costs | None) -> dict[str, npt.NDArray[Any]]:
    return {**head.arrays(), **vectors.arrays(), **({} if costs is None else costs.arrays())}


def _read(vectors: Vectors, texts: Sequence[str], progress: Progress) -> Floats32:
    """(P, D) vectors of the texts, which with an encoder takes minutes."""
    parts = []
    for start in range(0, len(texts), _BLOCK):
        parts.append(vectors.transform(texts[start : start + _BLOCK]))
        progress("features", min(start + _BLOCK, len(texts)), len(texts), "")
    return np.concatenate(parts)


def new_card(
    router: str,
    dataset: Dataset,
    name: str,
    *,
    features: str = "words",
    seed: int = 0,
    sources: Sequence[DataSource] = (),
) -> RouterCard:
    """The card of a router that is about to be trained."""

    def means(values: Any) -> tuple[float | None, ...]:
        if values is None:
            return (None,) * len(dataset.models)
        return tuple(None if np.isnan(v) else float(v) for v in mean_of_known(values))

    on_vectors = router in VECTOR_ROUTERS
    return RouterCard(
        router=router,
        name=name,
        version="0",
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        models=dataset.models,
        prior=tuple(float(v) for v in dataset.prior),
        cost=means(dataset.cost),
        tokens=means(dataset.tokens),
        learned_from="outcomes" if dataset.given is None else "preferences",
        labels=dataset.labels,
        shift=dataset.shift,
        settings={"seed": seed, "validation": VALIDATION_SHARE}
        | ({"features": features} if on_vectors else {}),
        data=tuple(sources),
    )
