"""The folder of a router of the field: its card, its arrays, and the files of its features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from llmroute.errors import ArtifactError
from llmroute.scoring.artifact import (
    ARRAYS,
    CARD,
    Array,
    ArtifactFolder,
    DataSource,
    Metric,
    Section,
    packed,
    read_folder,
    write_artifact,
)

#: Version of the folder's layout; another version's folders are refused.
FORMAT = 1


class RouterCard(Section):
    """What a trained router is; `card.json` holds exactly this.

    Attributes:
        format: Version of the folder's layout.
        router: Which router: `"knn"`, `"mf"`, …
        name: Short name.
        version: Version of the router.
        created: Day of training, ISO 8601.
        models: Names of the M models it knows.
        prior: (M,) mean of what was taught, 0..1.
        cost: (M,) mean recorded cost of a call, USD; None where none was recorded.
        tokens: (M,) mean recorded output tokens; None likewise.
        learned_from: `"outcomes"` or `"preferences"`.
        labels: The label mode.
        shift: t of shifted labels.
        features: What the features need beside arrays, their kind first.
        head: What the router needs beside arrays.
        settings: Settings of the training, seeds included.
        data: What it was trained on.
        metrics: Measured figures by name.
        sha256: Hash of each other file of the folder.
    """

    format: int = FORMAT
    router: str
    name: str
    version: str
    created: str
    models: tuple[str, ...]
    prior: tuple[float, ...]
    cost: tuple[float | None, ...]
    tokens: tuple[float | None, ...]
    learned_from: Literal["outcomes", "preferences"] = "outcomes"
    labels: str = "score"
    shift: float = 0.0
    features: dict[str, Any] = Field(default_factory=dict)
    head: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    data: tuple[DataSource, ...] = ()
    metrics: dict[str, Metric] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)


#: A trained router's folder, checked.
RouterFolder = ArtifactFolder[RouterCard]


def save(
    folder: str | Path,
    card: RouterCard,
    arrays: Mapping[str, Array],
    files: Mapping[str, bytes] | None = None,
) -> RouterFolder:
    """Writes a router's folder atomically, and reads it back.

    Raises:
        ArtifactError: The folder cannot be written, or is one of something else.
    """
    others = {name: data for name, data in (files or {}).items() if name != ARRAYS}
    content = {ARRAYS: packed(arrays), **others}
    return read(
        write_artifact(folder, content, lambda hashes: card.model_copy(update={"sha256": hashes}))
    )


def read(folder: str | Path) -> RouterFolder:
    """Reads and checks a router's folder.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of another format version.
    """
    missing = "no router at {path}: {fault}. `llmroute train --router NAME` writes one."
    found = read_folder(folder, RouterCard, FORMAT, (ARRAYS,), missing=missing)
    card = found.card
    if not len(card.models) == len(card.prior) == len(card.cost) == len(card.tokens):
        raise ArtifactError(
            f"{found.folder / CARD} is damaged: {len(card.models)} models have {len(card.prior)} "
            f"priors, {len(card.cost)} costs and {len(card.tokens)} token counts. Copy the folder "
            "again."
        )
    return found


def with_metrics(folder: str | Path, metrics: Mapping[str, Metric]) -> RouterFolder:
    """Writes a router's folder again with more figures on its card.

    Raises:
        ArtifactError: It cannot be read or written.
    """
    found = read(folder)
    card = found.card.model_copy(update={"metrics": {**found.card.metrics, **metrics}})
    return save(folder, card, found.arrays, found.files)
