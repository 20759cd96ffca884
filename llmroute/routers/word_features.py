"""Weighted words as vectors: learned with scikit-learn, read with it or with numpy alone.

A text's vector is the sum over its words of (1 + log count) · idf · the word's row of the singular
value basis, scaled to length 1. Weights and basis are one table in a router's folder, so a prompt
costs one look-up a word and one small product.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError, ConfigurationError, MissingExtra
from llmroute.numerics import Floats32
from llmroute.routers.base import Arrays, Vectors, of_length_one
from llmroute.scoring.artifact import VOCABULARY

_PATTERN = r"\w+|[^\w\s]"
_TABLE = "words"


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
            token_pattern=_PATTERN, sublinear_tf=True, max_features=vocabulary, dtype=np.float32
        )
        self._basis: Floats32 | None = None

    def fit(self, texts: Sequence[str]) -> WordFeatures:
        """Learn the words and the basis from training texts."""
        from sklearn.decomposition import TruncatedSVD
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # Of the lowest hashes, so that the order of the texts does not matter. No set of texts is
        # without a word, so that blank prompts are no special case below.
        counts = self._words.fit_transform([*sorted(texts, key=hash_of)[: self._sample], "prompt"])
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

        Raises:
            ConfigurationError: `fit` was not called.
        """
        _, basis = self._fitted()
        if not len(texts):
            return np.empty((0, basis.shape[1]), dtype=np.float32)
        return of_length_one(self._words.transform(texts) @ basis)

    def table(self) -> tuple[list[str], npt.NDArray[np.float16]]:
        """The words, and each one's weight times its row of the basis, in half precision.

        Raises:
            ConfigurationError: `fit` was not called.
        """
        places, basis = self._fitted()
        vocabulary = sorted(places, key=places.__getitem__)
        weighted = np.asarray(self._words.idf_, dtype=np.float64)[:, None] * basis
        return vocabulary, (weighted / np.abs(weighted).max()).astype(np.float16)

    def _fitted(self) -> tuple[dict[str, int], Floats32]:
        if self._basis is None:
            raise ConfigurationError("these features know no words yet; call fit(texts) first.")
        return self._words.vocabulary_, self._basis


class WordTable(Vectors):
    """Vectors of texts from the words they hold.

    Args:
        vocabulary: The V words, in the order of the table's rows.
        table: (V, D) numbers in half precision, as they are stored.
    """

    kind = "words"

    def __init__(self, vocabulary: Sequence[str], table: npt.NDArray[np.float16]) -> None:
        self._vocabulary = tuple(vocabulary)
        self._stored = table
        self._table = table.astype(np.float32)
        self._rows = {word: row for row, word in enumerate(self._vocabulary)}

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> WordTable:
        """Learn words, weights and basis; this needs scikit-learn."""
        return cls(*WordFeatures(seed=seed).fit(texts).table())

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, or 0 for a text without a known word."""
        result = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for place, text in enumerate(texts):
            counts = Counter(re.findall(_PATTERN, text.lower()))
            known = [(row, n) for w, n in counts.items() if (row := self._rows.get(w)) is not None]
            if known:
                rows, repeats = zip(*known, strict=True)
                weights = np.array([1 + math.log(n) for n in repeats], dtype=np.float32)
                vector = weights @ self._table[list(rows)]
                length = math.sqrt(float(vector @ vector))
                result[place] = vector / length if length else 0.0
        return result

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {_TABLE: self._stored}

    def files(self) -> dict[str, bytes]:
        """What is stored as files of its own."""
        text = json.dumps(self._vocabulary, ensure_ascii=False)
        return {VOCABULARY: text.encode("utf-8", "surrogatepass")}

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
    ) -> WordTable:
        """The table as it was saved."""
        try:
            vocabulary = json.loads(files[VOCABULARY].decode("utf-8", "surrogatepass"))
            table = arrays[_TABLE]
        except (KeyError, ValueError) as fault:
            raise ArtifactError(f"the router's words are damaged: {fault}. Train again.") from None
        if table.ndim != 2 or len(table) != len(vocabulary):
            raise ArtifactError(
                f"the router has {len(vocabulary)} words and a table of shape {table.shape}; "
                "one row a word was expected. Train again."
            )
        return cls(vocabulary, table)


def hash_of(text: str) -> bytes:
    """A text's hash, by which some of many texts are taken whatever their order."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
