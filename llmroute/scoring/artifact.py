"""A router on disk: a plain folder with a graph, a tokenizer and a card. Never a pickle.

FOLDER/
model.onnx       token ids and surface features → demand, difficulty, log tokens, distance
tokenizer.json   as the `tokenizers` package writes it
card.json        what it is, what it was trained on, what it measured, and the hashes of both
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from llmroute.errors import ArtifactError
from llmroute.files import write_folder
from llmroute.scoring.surface import FEATURES
from llmroute.validation import read_json

#: Raised when a folder written by one version can no longer be read by another.
FORMAT = 1
MODEL, TOKENIZER, CARD = "model.onnx", "tokenizer.json", "card.json"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(_Section):
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


class DataSource(_Section):
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


class PriceCurve(_Section):
    """General ability as a line in the logarithm of the output price, fitted in training.

    Attributes:
        slope: Ability per natural logarithm of the price, 0 or more.
        intercept: Ability at a price of 1 USD per million output tokens.
        low: Cheapest output price it was fitted on, USD per million tokens.
        high: Dearest one. Prices outside are read as the nearest end.
        spread: Standard deviation of what the line leaves unexplained.
    """

    slope: float = Field(ge=0)
    intercept: float
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    spread: float = Field(ge=0)


class TokenCalibration(_Section):
    """Turns the graph's log tokens into an expected count for a model of verbosity 1.

    Attributes:
        factor: Mean of a count over the exponential of its predicted logarithm.
        low: Fewest tokens ever predicted.
        high: Most.
        range: Tenth and ninetieth percentile of counts over expected counts. The default is that of
            `static` 2 on the validation prompts of its training sources, each counting alike.
    """

    factor: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    range: tuple[float, float] = (0.36, 1.71)


class Card(_Section):
    """What a router is and what was measured of it; `card.json` holds exactly this.

    Attributes:
        format: Version of the folder's layout.
        name: Short name.
        version: Version of the router.
        encoder: Kind of encoder in the graph.
        created: Day of training, ISO 8601.
        base: What the token table started from: package, licence, sha256.
        data: The outcomes it was trained on.
        left_out: Categories kept out of training on purpose.
        split: How training, validation and test prompts were told apart.
        settings: Every setting of the training run, seeds included.
        metrics: Measured figures by name.
        features: Names of the surface features the graph expects, in order.
        budget: Characters of text it was trained to read.
        head_share: Part of them taken from the beginning of a longer text.
        dimensions: K, the length of an ability vector.
        abilities: Model name → ability vector; the first entry is general ability, mean 0 and
            standard deviation 1 over these models.
        measured: Model name → the sources (names in `data`) it was measured on.
        tiers: Tier → general ability.
        price: General ability by price.
        neutral: General ability of a model nothing is known of.
        typical: Rows of K demands and one difficulty that stand for the training prompts.
        tokens: Calibration of expected output tokens.
        unfamiliar_above: Distance above which a prompt is called unfamiliar.
        unfamiliar_quantile: The quantile of validation distances that threshold is.
        sha256: Hash of each other file of the folder.
    """

    format: int
    name: str
    version: str
    encoder: str
    created: str
    base: dict[str, str]
    data: tuple[DataSource, ...]
    left_out: tuple[str, ...]
    split: str
    settings: dict[str, Any]
    metrics: dict[str, Metric]
    features: tuple[str, ...]
    budget: int
    head_share: float
    dimensions: int = Field(ge=1)
    abilities: dict[str, tuple[float, ...]]
    measured: dict[str, tuple[str, ...]]
    tiers: dict[str, float]
    price: PriceCurve | None
    neutral: float
    typical: tuple[tuple[float, ...], ...] = Field(min_length=1)
    tokens: TokenCalibration
    unfamiliar_above: float
    unfamiliar_quantile: float
    sha256: dict[str, str]


@dataclass(frozen=True)
class Artifact:
    """A router's folder, checked.

    Attributes:
        folder: Where it lies.
        card: Its card.
    """

    folder: Path
    card: Card

    @property
    def model(self) -> Path:
        """Path of the graph."""
        return self.folder / MODEL

    @property
    def tokenizer(self) -> Path:
        """Path of the tokenizer."""
        return self.folder / TOKENIZER


def kind_of(folder: str | Path) -> str | None:
    """Which of the field's routers (`llmroute.routers`) a folder holds.

    Args:
        folder: A folder, or anything else.

    Returns:
        Its name; None for a latent-ability router, and for what is no router's folder.
    """
    try:
        card = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # `load` says what is wrong with it
        return None
    kind = card.get("router") if isinstance(card, dict) else None
    return str(kind) if kind is not None else None


def load(folder: str | Path) -> Artifact:
    """Reads and checks a router's folder.

    Args:
        folder: A folder written by `save`.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of another format version.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ArtifactError(
            f"no router at {path}: expected a folder with {MODEL}, {TOKENIZER} and {CARD}. "
            "`llmroute train` writes one."
        )
    for name in (CARD, MODEL, TOKENIZER):
        if not (path / name).is_file():
            raise ArtifactError(
                f"the router at {path} has no {name}: the folder is incomplete. "
                "Copy the whole folder again, or train it again."
            )
    card = _read_card(path / CARD)
    for name in (MODEL, TOKENIZER):
        if digest(path / name) != card.sha256.get(name):
            raise ArtifactError(
                f"{path / name} is not the file its card describes (sha256 differs): it is damaged "
                "or was changed. Copy the whole folder again, or train it again."
            )
    return Artifact(path, card)


def _read_card(path: Path) -> Card:
    card = read_json(
        path,
        Card,
        FORMAT,
        missing="{path} is not readable JSON: {fault}. Copy the folder again.",
        anew="Train the router again with this version.",
        error=ArtifactError,
    )
    _check_card(card, path)
    return card


def _check_card(card: Card, path: Path) -> None:
    if card.features != FEATURES:
        raise ArtifactError(
            f"{path} was made for other surface features ({len(card.features)}) than this version "
            f"counts ({len(FEATURES)}). Train the router again with this version."
        )
    wrong = [name for name, vector in card.abilities.items() if len(vector) != card.dimensions]
    if wrong or any(len(row) != card.dimensions + 1 for row in card.typical):
        raise ArtifactError(
            f"{path} is damaged: abilities or typical prompts do not have {card.dimensions} "
            f"dimensions ({', '.join(wrong[:3]) or 'typical'}). Copy the folder again."
        )


def save(folder: str | Path, card: Card, files: Mapping[str, bytes]) -> Artifact:
    """Writes a router's folder whole or not at all, and reads it back.

    Args:
        folder: Where it goes; a folder that is there is replaced.
        card: The card; its hashes are filled in here.
        files: Content of `model.onnx` and `tokenizer.json`.

    Raises:
        ArtifactError: A file is missing from `files`, or the folder cannot be written.
    """
    missing = {MODEL, TOKENIZER} - set(files)
    if missing:
        raise ArtifactError(f"a router needs {', '.join(sorted(missing))}; give their content.")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = card.model_copy(update={"sha256": hashes})
    written = (card.model_dump_json(indent=1) + "\n").encode("utf-8")
    return load(write_folder(folder, {**files, CARD: written}, CARD))


def digest(path: Path) -> str:
    """The sha256 of a file, in hex.

    Args:
        path: The file.
    """
    with path.open("rb") as stream:
        return (
            hashlib.file_digest(stream, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(stream.read()).hexdigest()
        )
