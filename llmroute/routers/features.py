"""What a router sees of a prompt, by name: `words`, `static`, `minilm` or `both`.

- words: weighted words of the training prompts, stored with the router (`WordTable`).
- static: what the bundled router says of a prompt (demands, difficulty) and its surface features.
- minilm: the bundled encoder's mean vector, joined with surface features (`MiniLMVectors`).
- both: words and minilm side by side.

No outside embedding service is asked for any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.numerics import Floats32
from llmroute.routers.base import Arrays, StandardisedVectors, Vectors, of_length_one
from llmroute.routers.minilm_features import MiniLMFeatures, MiniLMVectors
from llmroute.routers.word_features import WordFeatures, WordTable
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.registry import load_latent
from llmroute.scoring.surface import surface_features


class Features(Protocol):
    """Texts to vectors."""

    def fit(self, texts: Sequence[str]) -> Any:
        """Learn what is needed from training prompts, cut to what a scorer reads."""

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, so that a product is a cosine; 0 where nothing is known."""
        ...


class StaticVectors(StandardisedVectors):
    """The bundled router's opinion of a prompt, standardised."""

    kind = "static"

    def __init__(self, centre: Floats32, scale: Floats32, version: str) -> None:
        super().__init__(centre, scale)
        self._scorer, self._version = load_latent("static"), version
        if self._scorer.version != version:
            raise ArtifactError(
                f"this router was trained on the bundled router's version {version}; version "
                f"{self._scorer.version} is installed. Train it again."
            )

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> StaticVectors:
        """Learn means and deviations."""
        scorer = load_latent("static")
        raw = _static(scorer, texts)
        scale = raw.std(axis=0)
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        return cls(raw.mean(axis=0), scale, scorer.version)

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
    ) -> StaticVectors:
        """The vectors as they were saved."""
        try:
            return cls(arrays["static_centre"], arrays["static_scale"], str(settings["version"]))
        except KeyError as fault:
            raise ArtifactError(f"the router's features lack {fault}. Train again.") from None

    def raw(self, texts: Sequence[str]) -> Floats32:
        """(P, D) demands, difficulty, log tokens and surface features."""
        return _static(self._scorer, texts)

    def settings(self) -> dict[str, Any]:
        """The bundled router's version, too."""
        return {"kind": self.kind, "version": self._version}


def _static(scorer: LatentAbilityScorer, texts: Sequence[str]) -> Floats32:
    latent = scorer.latent(texts)
    columns = [latent.demand, latent.difficulty[:, None], np.log(latent.tokens)[:, None]]
    parts: Floats32 = np.concatenate([*columns, surface_features(texts)], axis=1)
    return parts.astype(np.float32)


class BothVectors(Vectors):
    """Words and minilm side by side."""

    kind = "both"

    def __init__(self, words: WordTable, minilm: MiniLMVectors) -> None:
        self._words, self._minilm = words, minilm

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> BothVectors:
        """Fit both parts."""
        return cls(WordTable.fit(texts, seed), MiniLMVectors.fit(texts))

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
    ) -> BothVectors:
        """The vectors as they were saved."""
        words = WordTable.restore(settings, arrays, files)
        return cls(words, MiniLMVectors.restore(settings, arrays, files))

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, to which both parts add alike."""
        parts = self._words.transform(texts), self._minilm.transform(texts)
        return of_length_one(np.concatenate(parts, axis=1))

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        return {**self._minilm.settings(), "kind": self.kind}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {**self._words.arrays(), **self._minilm.arrays()}

    def files(self) -> dict[str, bytes]:
        """The words and the encoder."""
        return {**self._words.files(), **self._minilm.files()}


_KINDS: dict[str, type[Vectors]] = {
    kind.kind: kind for kind in (WordTable, StaticVectors, MiniLMVectors, BothVectors)
}
NAMES = tuple(_KINDS)


def fit_vectors(name: str, texts: Sequence[str], seed: int = 0) -> Vectors:
    """Vectors by name, fitted on texts.

    Raises:
        ConfigurationError: Another name.
        MissingExtra: What they need is not installed.
    """
    if name not in _KINDS:
        raise ConfigurationError(f"features are {', '.join(NAMES)}; {name!r} was given.")
    return _KINDS[name].fit(texts, seed)


def restore_vectors(
    settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
) -> Vectors:
    """Vectors as they were saved.

    Raises:
        ArtifactError: Something is missing, or they are of a kind this version does not know.
        MissingExtra: What they need is not installed.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ArtifactError(f"features {kind!r} are unknown to this version; it has {NAMES}.")
    return _KINDS[kind].restore(settings, arrays, files)


def features_named(features: Features | Literal["words", "minilm"], seed: int = 0) -> Features:
    """Features by name, or those that were given.

    Raises:
        ConfigurationError: Another name.
        MissingExtra: What they need is not installed.
    """
    if not isinstance(features, str):
        return features
    if features == "words":
        return WordFeatures(seed=seed)
    if features == "minilm":
        return MiniLMFeatures()
    raise ConfigurationError(f"features are 'words' or 'minilm'; {features!r} was given.")
