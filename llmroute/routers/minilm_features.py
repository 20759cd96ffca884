"""`minilm`: the bundled encoder's mean vector of a text, joined with how the text looks.

The first three layers of all-MiniLM-L6-v2, int8, as the router `minilm` ships them: milliseconds,
no package that is not installed anyway. The encoder is copied into the trained router's folder (17
MB), so that a later version of llmroute, with another encoder, reads what was trained on this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32
from llmroute.scoring.encoder import Encoder
from llmroute.scoring.router_folder import MODEL, TOKENIZER
from llmroute.scoring.surface import surface_features

#: The bundled router whose encoder it is, and its graph's mean over the last layer's tokens.
BUNDLED, _POOLED = "minilm", "pooled"
#: Texts that means and deviations are taken from, at most.
_SAMPLE = 1000
#: Standard deviations at which a standardised number is cut.
_CUT = 4.0
#: A number that varies less than this among training texts is not stretched.
_LEAST_SCALE = 1e-3


class MiniLMVectors:
    """Mean vectors and surface features, standardised, each row of length 1.

    Args:
        files: Content of the encoder's `model.onnx` and `tokenizer.json`.
        centre: (D,) means over training texts; D is 384 and the number of surface features.
        scale: (D,) standard deviations.
        origin: The bundled router the encoder comes from: name, version and sha256 of its graph.

    Raises:
        ArtifactError: The encoder cannot be read, or is not the one it was stored with.
    """

    kind = "minilm"

    def __init__(
        self,
        files: Mapping[str, bytes],
        centre: Floats32,
        scale: Floats32,
        origin: Mapping[str, str],
    ) -> None:
        self._files = {name: files[name] for name in (MODEL, TOKENIZER) if name in files}
        self._encoder = Encoder(files, _POOLED)
        self._centre, self._scale, self._origin = centre, scale, dict(origin)
        found = _raw(self._encoder, [""]).shape[1:]
        if not found == centre.shape == scale.shape:
            raise ArtifactError(
                f"the router's encoder gives {found[0]} numbers and its scales are of shapes "
                f"{centre.shape} and {scale.shape}: they do not belong together. Train it again."
            )

    @classmethod
    def fit(cls, texts: Sequence[str]) -> MiniLMVectors:
        """Take the bundled encoder, and means and deviations from at most 1,000 of the texts.

        Args:
            texts: Training texts.

        Raises:
            ArtifactError: No router `minilm` is bundled.
        """
        from llmroute.scoring.registry import bundled_artifact

        artifact = bundled_artifact(BUNDLED)
        files = {MODEL: artifact.model.read_bytes(), TOKENIZER: artifact.tokenizer.read_bytes()}
        card = artifact.card
        origin = {"name": card.name, "version": card.version, "sha256": card.sha256[MODEL]}
        sample = texts[:: max(len(texts) // _SAMPLE, 1)][:_SAMPLE]
        raw = _raw(Encoder(files, _POOLED), sample)
        scale = raw.std(axis=0)
        scale = np.where(scale > _LEAST_SCALE, scale, 1).astype(np.float32)
        return cls(files, raw.mean(axis=0), scale, origin)

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
        files: Mapping[str, bytes],
    ) -> MiniLMVectors:
        """The vectors as they were saved.

        Args:
            settings: What `settings` gave.
            arrays: What `arrays` gave.
            files: What `files` gave.

        Raises:
            ArtifactError: Something is missing or does not fit together.
        """
        try:
            centre, scale = arrays["minilm_centre"], arrays["minilm_scale"]
            return cls(files, centre, scale, settings["encoder"])
        except (KeyError, TypeError, ValueError) as fault:
            raise ArtifactError(
                f"the router's features are damaged: {fault}. Train again."
            ) from None

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, D) vectors of length 1.

        Args:
            texts: P texts, cut to what a scorer reads.
        """
        if not len(texts):
            return np.zeros((0, len(self._centre)), dtype=np.float32)
        standard = (_raw(self._encoder, texts) - self._centre) / self._scale
        return of_length_one(np.clip(standard, -_CUT, _CUT))

    def settings(self) -> dict[str, Any]:
        """Which encoder it is."""
        return {"kind": self.kind, "encoder": self._origin}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Means and deviations."""
        return {"minilm_centre": self._centre, "minilm_scale": self._scale}

    def files(self) -> dict[str, bytes]:
        """The encoder."""
        return self._files


def of_length_one(vectors: npt.NDArray[Any]) -> Floats32:
    """Rows scaled to length 1; a row of zeros stays.

    Args:
        vectors: (P, D).
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def _raw(encoder: Encoder, texts: Sequence[str]) -> Floats32:
    surface = surface_features(texts)
    joined: Floats32 = np.concatenate([encoder.rows(texts, surface), surface], axis=1)
    return joined
