"""Vectors of free texts from the encoder inside the bundled router `minilm`, in this process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import llmroute.scoring
from llmroute.scoring.artifact import load
from llmroute.scoring.text import BUDGET, head_and_tail

Floats32 = npt.NDArray[np.float32]

_FOLDER = Path(llmroute.scoring.__file__).parent / "bundled" / "minilm"
#: The value of its graph that is the mean of a text's token vectors.
_VECTOR = "pooled"


def similarity(one: str, other: str) -> float:
    """The cosine of two texts' vectors, -1..1; about 2 milliseconds for a text not met before.

    Args:
        one: A text; of a long one beginning and end are read.
        other: Another.

    Raises:
        ArtifactError: The bundled router's files cannot be read.
    """
    return float(_vector(head_and_tail(one, BUDGET)) @ _vector(head_and_tail(other, BUDGET)))


@lru_cache(maxsize=1024)
def _vector(text: str) -> Floats32:
    """(384,) of length 1."""
    tokenizer, graph = _opened()
    # Halves of surrogate pairs, which a cut leaves, are no text to the tokenizer.
    readable = text.encode("utf-8", "replace").decode("utf-8")
    ids = tokenizer.encode(readable, add_special_tokens=False).ids or [0]
    width = next(i.shape[1] for i in graph.get_inputs() if i.name == "surface")
    given = {
        "token_ids": np.array([ids], dtype=np.int64),
        "surface": np.zeros((1, width), dtype=np.float32),  # is not read for this output
    }
    vector: Floats32 = graph.run([_VECTOR], given)[0][0]
    scaled: Floats32 = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return scaled


@lru_cache
def _opened() -> tuple[Any, Any]:
    """The tokenizer and the graph, opened at the first use."""
    import onnxruntime
    from tokenizers import Tokenizer

    artifact = load(_FOLDER)
    tokenizer = Tokenizer.from_file(str(artifact.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    graph = onnxruntime.InferenceSession(
        artifact.model.read_bytes() + _output(_VECTOR), options, providers=["CPUExecutionProvider"]
    )
    return tokenizer, graph


def _output(name: str) -> bytes:
    """What declares an inner value of an ONNX graph as one of its outputs.

    onnxruntime returns outputs only, and the graph's are the router's. A message of Protocol
    Buffers that is parsed twice is merged, so behind the file stands one more output, in the
    encoding of ModelProto.graph (7), GraphProto.output (12), ValueInfoProto.name (1).
    """
    encoded = name.encode()
    for number in (1, 12, 7):
        encoded = bytes([number << 3 | 2, len(encoded)]) + encoded
    return encoded
