"""An ONNX encoder that a router carries in its folder: one text in, one row of numbers out.

onnxruntime gives only what a graph declares as output. A value from its middle is made an output by
appending a few bytes: joined protobuf messages are one message with all their fields, so a graph
with one more output needs no package that edits graphs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32
from llmroute.scoring.router_folder import MODEL, TOKENIZER

#: Field numbers of ONNX's protobuf: ModelProto.graph, GraphProto.output, ValueInfoProto.name and
#: .type, TypeProto.tensor_type, and `elem_type: FLOAT` as it stands in a tensor's type.
_GRAPH, _OUTPUT, _NAME, _TYPE, _TENSOR = 7, 12, 1, 2, 1
_FLOAT = bytes([1 << 3, 1])


class Encoder:
    """The graph and the tokenizer. Thread-safe.

    A graph takes one text at a time: its activations are quantised by their range, so in a batch a
    text's numbers would depend on its company.

    Args:
        files: Content of `model.onnx` and `tokenizer.json`.
        output: What is read of the graph: one of its outputs, or a value from its middle.

    Raises:
        ArtifactError: They cannot be read, or the graph computes no such value.
    """

    def __init__(self, files: Mapping[str, bytes], output: str) -> None:
        from tokenizers import Tokenizer

        missing = [name for name in (MODEL, TOKENIZER) if name not in files]
        if missing:
            raise ArtifactError(f"the router has no {', '.join(missing)}. Train it again.")
        self._graph = _opened(files[MODEL], output)
        try:
            self._tokenizer = Tokenizer.from_str(files[TOKENIZER].decode("utf-8"))
        except Exception as fault:  # tokenizers has no base class for its errors
            raise ArtifactError(f"the router cannot be read: {fault}. Train it again.") from fault
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._output = output

    def rows(self, texts: Sequence[str], surface: Floats32 | None = None) -> Floats32:
        """(P, D) rows.

        Args:
            texts: P texts, cut to what a scorer reads.
            surface: (P, F) surface features, for a graph that takes them.
        """
        found = []
        for row, text in enumerate(texts):
            readable = text.encode("utf-8", "replace").decode("utf-8")
            ids = self._tokenizer.encode(readable, add_special_tokens=False).ids
            given: dict[str, Any] = {"token_ids": np.array([ids or [0]], dtype=np.int64)}
            if surface is not None:
                given["surface"] = surface[row : row + 1]
            found.append(self._graph.run([self._output], given)[0][0])
        return np.array(found, dtype=np.float32)


def _opened(graph: bytes, output: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3

    def session(content: bytes) -> Any:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    try:
        opened = session(graph)
        if output not in {declared.name for declared in opened.get_outputs()}:
            opened = session(graph + _one_more_output(output))
    except Exception as fault:  # onnxruntime's errors share no base class of their own
        raise ArtifactError(
            f"the router's graph cannot be read, or has no {output!r}: {fault}. Train it again."
        ) from fault
    return opened


def _one_more_output(name: str) -> bytes:
    """What makes a value of a graph an output of it, appended to the graph's bytes."""
    value = _field(_NAME, name.encode()) + _field(_TYPE, _field(_TENSOR, _FLOAT))
    return _field(_GRAPH, _field(_OUTPUT, value))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
