"""A router on disk: a plain folder of files, with a card that names their hashes. Never a pickle.

FOLDER/
card.json          what it is, what it was trained on, what was measured of it, and the hashes
model.onnx, tokenizer.json    its graph and the tokenizer of the graph's texts, where it has one
arrays.npz         its numbers, where it has some outside the graph
vocabulary.json    its words, where it has some

Kinds of routers differ in their card, and in the files that they cannot do without.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from llmroute.errors import ArtifactError
from llmroute.files import write_folder
from llmroute.validation import read_json

CARD, MODEL, TOKENIZER = "card.json", "model.onnx", "tokenizer.json"
ARRAYS, VOCABULARY = "arrays.npz", "vocabulary.json"

Array = npt.NDArray[Any]
CardT = TypeVar("CardT", bound=BaseModel)
_Hashes = Mapping[str, str]


class Section(BaseModel):
    """A card, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(Section):
    """One measured figure.

    Attributes:
        value: The figure.
        low: Lower end of its 95 % bootstrap interval over prompts, when one was taken.
        high: Upper end.
        prompts: Prompts it was measured on.
    """

    value: float
    low: float | None = None
    high: float | None = None
    prompts: int


class DataSource(Section):
    """One folder of outcomes that took part in training.

    Attributes:
        name: The folder's name.
        prompts: Prompts of it that were trained on, validation prompts included.
        cells: Known (prompt, model) scores of those.
        sha256: Hash of each parquet file.
    """

    name: str
    prompts: int
    cells: int
    sha256: dict[str, str]


@dataclass(frozen=True)
class ArtifactFolder(Generic[CardT]):
    """A router's folder, read and checked.

    Attributes:
        folder: Where it lies.
        card: Its card.
        names: Names of its other files.
    """

    folder: Path
    card: CardT
    names: tuple[str, ...]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The content of its other files by name."""
        return {name: (self.folder / name).read_bytes() for name in self.names}

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The numbers in its `.npz` file, by their names.

        Raises:
            ArtifactError: The file cannot be read.
        """
        (name,) = (name for name in self.names if name.endswith(".npz"))
        try:
            with np.load(io.BytesIO(self.files[name]), allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as fault:
            raise ArtifactError(
                f"{self.folder / name} is damaged: {fault}. Copy the folder again."
            ) from None


def read_folder(
    folder: str | Path,
    card: type[CardT],
    version: int,
    needed: Sequence[str],
    *,
    card_name: str = CARD,
    hashes: Callable[[CardT], _Hashes] = attrgetter("sha256"),
    missing: str = "no router at {path}: {fault}. `llmroute train` writes one.",
    anew: str = "Train the router again with this version.",
) -> ArtifactFolder[CardT]:
    """Reads a router's folder and checks its files against the hashes on its card.

    Args:
        folder: A folder written by `write_artifact`.
        card: What the card should hold.
        version: The version of its format that is read.
        needed: Names of the files without which there is no router of this kind.
        card_name: Name of the card's file.
        hashes: The hashes by file, of a card.
        missing: What to say where there is no card; `{path}` and `{fault}` are filled in.
        anew: How to make a folder of another format's version anew.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of another format version.
    """
    path = Path(folder).resolve()
    found = read_json(
        path / card_name, card, version, missing=missing, anew=anew, error=ArtifactError
    )
    stated = hashes(found)
    names = (*needed, *(name for name in stated if name not in needed))
    for name in names:
        file = path / name
        if name not in stated:
            raise ArtifactError(
                f"{path / card_name} is damaged: it has no hash of {name}. Copy the folder again."
            )
        if Path(name).name != name or not file.is_file():
            raise ArtifactError(
                f"the router at {path} has no {name}: the folder is incomplete. "
                "Copy the whole folder again, or make it again."
            )
        if digest(file) != stated[name]:
            raise ArtifactError(
                f"{file} is not the file its card describes (sha256 differs): it is damaged or "
                "was changed. Copy the whole folder again, or make it again."
            )
    return ArtifactFolder(path, found, names)


def write_artifact(
    folder: str | Path,
    files: Mapping[str, bytes],
    card: Callable[[dict[str, str]], BaseModel],
    card_name: str = CARD,
) -> Path:
    """Writes a router's folder atomically.

    Returns:
        The folder's full path.

    Raises:
        ArtifactError: The folder cannot be written, or is one of something else.
    """
    made = card({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    content = (made.model_dump_json(indent=1) + "\n").encode("utf-8")
    return write_folder(folder, {**files, card_name: content}, card_name)


def check_target(folder: str | Path) -> None:
    """Raise ArtifactError where a router would replace something else, before time is spent."""
    path = Path(folder)
    if path.is_dir() and not (path / CARD).is_file() and any(path.iterdir()):
        raise ArtifactError(
            f"{path} is a folder of something else; a router would replace it. Give another path."
        )


def packed(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an .npz. numpy's own writer pickles what it does not know, and has the time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            array = io.BytesIO()
            np.lib.format.write_array(array, np.asarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
