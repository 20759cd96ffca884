"""The folder of a latent-ability router: its graph, its tokenizer and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from llmroute.errors import ArtifactError
from llmroute.scoring.artifact import (
    CARD,
    MODEL,
    TOKENIZER,
    ArtifactFolder,
    DataSource,
    Metric,
    Section,
    read_folder,
    write_artifact,
)
from llmroute.scoring.surface import FEATURES

#: Version of the folder's layout; another version's folders are refused.
FORMAT = 1


class PriceCurve(Section):
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


class TokenCalibration(Section):
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


class Card(Section):
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


#: A latent-ability router's folder, checked.
Artifact = ArtifactFolder[Card]


def load(folder: str | Path) -> Artifact:
    """Reads and checks a router's folder.

    Raises:
        ArtifactError: It is missing, incomplete, damaged, or of another format version.
    """
    artifact = read_folder(folder, Card, FORMAT, (MODEL, TOKENIZER))
    card, path = artifact.card, artifact.folder / CARD
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
    return artifact


def save(folder: str | Path, card: Card, files: Mapping[str, bytes]) -> Artifact:
    """Writes a router's folder atomically, and reads it back.

    Raises:
        ArtifactError: A file is missing from `files`, or the folder cannot be written.
    """
    missing = {MODEL, TOKENIZER} - set(files)
    if missing:
        raise ArtifactError(f"a router needs {', '.join(sorted(missing))}; give their content.")
    return load(
        write_artifact(folder, files, lambda hashes: card.model_copy(update={"sha256": hashes}))
    )
