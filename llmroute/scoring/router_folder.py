"""A trained router on disk: a plain folder of JSON and arrays. Never a pickle.

FOLDER/
card.json          which router, which models, how it was trained, what was measured, hashes
arrays.npz         numbers, read with `allow_pickle=False`
vocabulary.json    the words of the features, where they have some
model.onnx, tokenizer.json    the encoder, where the router has one
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from llmroute.errors import ArtifactError
from llmroute.files import write_folder
from llmroute.scoring.artifact import CARD, DataSource, Metric, digest
from llmroute.validation import read_json

Array = npt.NDArray[Any]

#: Raised when a folder written by one version can no longer be read by another.
FORMAT = 1
ARRAYS, VOCABULARY, MODEL, TOKENIZER = (
    "arrays.npz",
    "vocabulary.json",
    "model.onnx",
    "tokenizer.json",
)


class RouterCard(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    features: dict[str, Any] = {}
    head: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    data: tuple[DataSource, ...] = ()
    metrics: dict[str, Metric] = {}
    sha256: dict[str, str] = {}


@dataclass(frozen=True)
class Folder:
    """A router's folder, read and checked.

    Attributes:
        path: Where it lies.
        card: Its card.
        arrays: Its numbers by name.
        files: The content of its other files.
    """

    path: Path
    card: RouterCard
    arrays: Mapping[str, Array]
    files: Mapping[str, bytes]


def save(
    folder: str | Path,
    card: RouterCard,
    arrays: Mapping[str, Array],
    files: Mapping[str, bytes] | None = None,
) -> Folder:
    """Writes a router's folder whole or not at all, and reads it back.

    Args:
        folder: Where it goes; a router that is there is replaced.
        card: The card; its hashes are filled in here.
        arrays: Numbers by name.
        files: Content of other files by name.

    Raises:
        ArtifactError: The folder cannot be written, or is one of something else.
    """
    content = {ARRAYS: _packed(arrays), **(files or {})}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    written = card.model_copy(update={"sha256": hashes})
    content[CARD] = (written.model_dump_json(indent=1) + "\n").encode("utf-8")
    return read(write_folder(folder, content, CARD))


def check_target(folder: str | Path) -> None:
    """Raise ArtifactError where a router would replace something else, before time is spent.

    Args:
        folder: Where a router is to go.
    """
    path = Path(folder)
    if path.is_dir() and not (path / CARD).is_file() and any(path.iterdir()):
        raise ArtifactError(
            f"{path} is a folder of something else; a router would replace it. Give another path."
        )


def read(folder: str | Path) -> Folder:
    """Reads and checks a router's folder.

    Args:
        folder: A folder written by `save`.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of another format version.
    """
    path = Path(folder).resolve()
    if not (path / CARD).is_file():
        raise ArtifactError(
            f"no router at {path}: expected a folder with {CARD} and {ARRAYS}. "
            "`llmroute train --router NAME` writes one."
        )
    card = _card(path / CARD)
    if ARRAYS not in card.sha256:
        raise ArtifactError(f"{path / CARD} is damaged: it has no hash of {ARRAYS}. Copy it again.")
    for name, expected in card.sha256.items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise ArtifactError(
                f"the router at {path} has no {name}: the folder is incomplete. "
                "Copy the whole folder again, or train it again."
            )
        if digest(file) != expected:
            raise ArtifactError(
                f"{file} is not the file its card describes (sha256 differs): it is damaged or was "
                "changed. Copy the whole folder again, or train it again."
            )
    files = {name: (path / name).read_bytes() for name in card.sha256 if name != ARRAYS}
    return Folder(path, card, _unpacked(path / ARRAYS), files)


def _card(path: Path) -> RouterCard:
    card = read_json(
        path,
        RouterCard,
        FORMAT,
        missing="{path} is not readable JSON: {fault}. Copy the folder again.",
        anew="Train the router again with this version.",
        error=ArtifactError,
    )
    if not len(card.models) == len(card.prior) == len(card.cost) == len(card.tokens):
        raise ArtifactError(
            f"{path} is damaged: {len(card.models)} models have {len(card.prior)} priors, "
            f"{len(card.cost)} costs and {len(card.tokens)} token counts. Copy the folder again."
        )
    return card


def _packed(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an .npz. numpy's own writer pickles what it does not know, and has the time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            array = io.BytesIO()
            np.lib.format.write_array(array, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _unpacked(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as fault:
        raise ArtifactError(f"{path} cannot be read: {fault}. Copy the folder again.") from None


def with_metrics(folder: str | Path, metrics: Mapping[str, Metric]) -> Folder:
    """Writes a router's folder again with more figures on its card.

    Args:
        folder: A router's folder.
        metrics: Figures by name.

    Raises:
        ArtifactError: It cannot be read or written.
    """
    found = read(folder)
    card = found.card.model_copy(update={"metrics": {**found.card.metrics, **metrics}})
    return save(folder, card, found.arrays, found.files)
