"""An ONNX graph in the making: nodes and constants collected on the way to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Gelu came with opset 20, which onnxruntime reads from 1.17 on.
_OPSET = 20
_IR_VERSION = 9

#: Name → element type and shape, of a graph's inputs or outputs.
Values = Mapping[str, tuple[int, Sequence[str | int]]]


class Graph:
    """Nodes and constants by name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Adds a constant, in place of one of that name, and gives its name.

        Returns:
            The name.
        """
        self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: object
    ) -> str:
        """Adds a node of an operator such as `Gemm`, and gives the name of its first output.

        Returns:
            The name of the first output.
        """
        self._nodes.append(helper.make_node(kind, list(inputs), list(outputs), **attributes))
        return outputs[0]

    def finished(self, inputs: Values, outputs: Values) -> bytes:
        """The model, checked, as `model.onnx` holds it."""
        graph = helper.make_graph(
            self._nodes,
            "llmroute-latent",
            _described(inputs),
            _described(outputs),
            list(self._constants.values()),
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="llmroute")
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


def _described(values: Values) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, kind, list(shape))
        for name, (kind, shape) in values.items()
    ]


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
