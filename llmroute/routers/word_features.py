"""Weighted words as plain numbers: learned with scikit-learn, read with numpy alone.

A text's vector is the sum over its words of (1 + log count) · idf · the word's row of the singular
value basis, scaled to length 1. Weights and basis are one table, so a prompt costs one look-up a
word and one small product.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32
from llmroute.routers.text_features import WordFeatures

_PATTERN = re.compile(r"\w+|[^\w\s]")
_TABLE = "words"


class WordTable:
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
    def fit(cls, texts: Sequence[str], dimensions: int = 128, seed: int = 0) -> WordTable:
        """Learn words, weights and basis.

        Args:
            texts: Training texts.
            dimensions: D, at most.
            seed: Seed of the decomposition.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        fitted = WordFeatures(dimensions, seed=seed).fit(texts)
        words, basis = fitted._words, fitted._basis
        assert basis is not None  # fit() made it
        vocabulary = sorted(words.vocabulary_, key=words.vocabulary_.__getitem__)
        weighted = np.asarray(words.idf_, dtype=np.float64)[:, None] * basis
        return cls(vocabulary, (weighted / np.abs(weighted).max()).astype(np.float16))

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1, or 0 for a text without a known word.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        result = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for place, text in enumerate(texts):
            counts = Counter(_PATTERN.findall(text.lower()))
            known = [(row, n) for w, n in counts.items() if (row := self._rows.get(w)) is not None]
            if known:
                rows, repeats = zip(*known, strict=True)
                weights = np.array([1 + math.log(n) for n in repeats], dtype=np.float32)
                vector = weights @ self._table[list(rows)]
                length = math.sqrt(float(vector @ vector))
                result[place] = vector / length if length else 0.0
        return result

    def settings(self) -> dict[str, Any]:
        """What is stored on the card."""
        return {"kind": self.kind}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored as numbers."""
        return {_TABLE: self._stored}

    def files(self) -> dict[str, bytes]:
        """What is stored as files of its own."""
        text = json.dumps(self._vocabulary, ensure_ascii=False)
        return {"vocabulary.json": text.encode("utf-8", "surrogatepass")}

    @classmethod
    def restore(
        cls, arrays: Mapping[str, npt.NDArray[Any]], files: Mapping[str, bytes]
    ) -> WordTable:
        """The table as it was saved.

        Args:
            arrays: What `arrays` gave.
            files: What `files` gave.

        Raises:
            ArtifactError: Something is missing or does not fit together.
        """
        try:
            vocabulary = json.loads(files["vocabulary.json"].decode("utf-8", "surrogatepass"))
            table = arrays[_TABLE]
        except (KeyError, ValueError) as fault:
            raise ArtifactError(f"the router's words are damaged: {fault}. Train again.") from None
        if table.ndim != 2 or len(table) != len(vocabulary):
            raise ArtifactError(
                f"the router has {len(vocabulary)} words and a table of shape {table.shape}; "
                "one row a word was expected. Train again."
            )
        return cls(vocabulary, table)
