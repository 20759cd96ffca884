"""What a router sees of a prompt, by name: `words`, `static` or `minilm`.

- words: weighted words of the training prompts, stored with the router (`WordTable`).
- static: what the bundled router says of a prompt (demands, difficulty) and its surface features.
- minilm: all-MiniLM-L6-v2's vectors, for which its package must be installed (extra `bench`).

No outside embedding service is asked for any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.routers.words import WordTable

if TYPE_CHECKING:
    from llmroute.evaluation.vectors import MiniLMFeatures

Floats32 = npt.NDArray[np.float32]

NAMES = ("words", "static", "minilm")
#: Standard deviations at which a standardised number is cut.
_CUT = 4.0


class Vectors(Protocol):
    """Texts to vectors, and what must be stored to do it again."""

    kind: str

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, or 0 where nothing is known.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """What is stored on the card; `kind` first."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        ...

    def files(self) -> dict[str, bytes]:
        """What is stored as files of its own."""
        ...


class StaticVectors:
    """The bundled router's opinion of a prompt, standardised.

    Args:
        centre: (D,) means over the training prompts.
        scale: (D,) standard deviations.
        version: Version of the bundled router they were taken with.
    """

    kind = "static"

    def __init__(self, centre: Floats32, scale: Floats32, version: str) -> None:
        from llmroute.scoring import load_latent

        self._scorer = load_latent("static")
        self._centre, self._scale, self._version = centre, scale, version
        if self._scorer.version != version:
            raise ArtifactError(
                f"this router was trained on the bundled router's version {version}; version "
                f"{self._scorer.version} is installed. Train it again."
            )

    @classmethod
    def fit(cls, texts: Sequence[str]) -> StaticVectors:
        """Learn means and deviations.

        Args:
            texts: Training texts.
        """
        from llmroute.scoring import load_latent

        raw = _raw(load_latent("static"), texts)
        scale = raw.std(axis=0)
        version = load_latent("static").version
        return cls(raw.mean(axis=0), np.where(scale > 0, scale, 1).astype(np.float32), version)

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        standard = (_raw(self._scorer, texts) - self._centre) / self._scale
        return _of_length_one(np.clip(standard, -_CUT, _CUT))

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        return {"kind": self.kind, "version": self._version}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {"static_centre": self._centre, "static_scale": self._scale}

    def files(self) -> dict[str, bytes]:
        """No files."""
        return {}


class MiniLMVectors:
    """all-MiniLM-L6-v2 as its package has it; nothing of it is stored with the router."""

    kind = "minilm"

    def __init__(self) -> None:
        from llmroute.evaluation.vectors import MiniLMFeatures

        self._features: MiniLMFeatures = MiniLMFeatures()

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, 384) vectors of length 1.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        return self._features.transform(texts)

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        return {"kind": self.kind}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """No numbers."""
        return {}

    def files(self) -> dict[str, bytes]:
        """No files."""
        return {}


def fit_vectors(name: str, texts: Sequence[str], seed: int = 0) -> Vectors:
    """Vectors by name, fitted on texts.

    Args:
        name: One of `NAMES`.
        texts: Training texts, cut to what a scorer reads.
        seed: Seed, where they have one.

    Raises:
        ConfigurationError: Another name.
        MissingExtra: What they need is not installed.
    """
    if name == "words":
        return WordTable.fit(texts, seed=seed)
    if name == "static":
        return StaticVectors.fit(texts)
    if name == "minilm":
        return MiniLMVectors()
    raise ConfigurationError(f"features are {', '.join(NAMES)}; {name!r} was given.")


def restore_vectors(
    settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], files: Mapping[str, bytes]
) -> Vectors:
    """Vectors as they were saved.

    Args:
        settings: What is on the card.
        arrays: Stored numbers.
        files: Stored files.

    Raises:
        ArtifactError: Something is missing, or they are of a kind this version does not know.
        MissingExtra: What they need is not installed.
    """
    kind = settings.get("kind")
    if kind == "words":
        return WordTable.restore(arrays, files)
    if kind == "static":
        try:
            return StaticVectors(
                arrays["static_centre"], arrays["static_scale"], str(settings["version"])
            )
        except KeyError as fault:
            raise ArtifactError(f"the router's features lack {fault}. Train again.") from None
    if kind == "minilm":
        return MiniLMVectors()
    raise ArtifactError(f"features {kind!r} are unknown to this version; it has {NAMES}.")


def _raw(scorer: Any, texts: Sequence[str]) -> Floats32:
    from llmroute.scoring.surface import surface_features

    latent = scorer.latent(list(texts))
    columns = [latent.demand, latent.difficulty[:, None], np.log(latent.tokens)[:, None]]
    parts: Floats32 = np.concatenate([*columns, surface_features(list(texts))], axis=1)
    return parts.astype(np.float32)


def _of_length_one(vectors: npt.NDArray[Any]) -> Floats32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled
