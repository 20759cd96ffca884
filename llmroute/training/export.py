"""A trained network as one ONNX graph with an int8 token table, written node by node.

    token_ids (B, L) → Gather (int8 table) → Cast int32 → ReduceSum → × scale ÷ count → a
    surface (B, F)   → standardise → cut → Gemm → b
    Gelu(a + b) → Gemm → demand (B, K), difficulty (B,), log_tokens (B,)
                → Gemm → Softmax → source (B, S)
    a, surface  → distance (B,)

Token 0 is padding: its row is zero and it is not counted. The sum runs over integers, so neither
padding nor the other rows of a batch change a row's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from llmroute.scoring.surface import FEATURES
from llmroute.training.familiarity import CHARACTERS_PER_TOKEN, Familiarity, surface_limits
from llmroute.training.fit import Fitted
from llmroute.training.network import SURFACE_LIMIT

Floats32 = npt.NDArray[np.float32]

#: Gelu came with opset 20, which onnxruntime reads from 1.17 on.
_OPSET = 20
_IR_VERSION = 9
#: Values beyond this quantile of a column are clipped, so that one rare token does not coarsen all.
_CLIP_QUANTILE = 0.9999


@dataclass(frozen=True)
class QuantisedTable:
    """A token table in int8, one scale per column so that it can be applied after the sum.

    Attributes:
        values: (V, C) int8, row 0 zero.
        scale: (C,) what a unit is worth.
    """

    values: npt.NDArray[np.int8]
    scale: Floats32

    def restored(self) -> Floats32:
        """(V, C) the table as the graph sees it."""
        return self.values.astype(np.float32) * self.scale


def quantise(table: Floats32) -> QuantisedTable:
    """A token table in int8.

    Args:
        table: (V, C) rows.
    """
    largest = np.quantile(np.abs(table), _CLIP_QUANTILE, axis=0)
    scale = (np.maximum(largest, 1e-8) / 127).astype(np.float32)
    values = np.clip(np.rint(table / scale), -127, 127).astype(np.int8)
    values[0] = 0
    return QuantisedTable(values, scale)


def export(fitted: Fitted, table: QuantisedTable, familiarity: Familiarity) -> bytes:
    """The graph of a trained network.

    Args:
        fitted: The network.
        table: Its folded token table with the token columns of `familiarity` beside it.
        familiarity: The distance.

    Returns:
        The content of `model.onnx`.
    """
    graph = _Graph()
    network = fitted.network
    dimensions, hidden = network.dimensions, network.project.weight.shape[0]
    graph.constant("table", table.values)
    graph.constant("table_scale", table.scale)
    means = _token_means(graph)
    counted, counted_wide = _standardised_surface(
        graph, network.surface_mean.numpy(), network.surface_scale.numpy()
    )
    graph.constant("split_table", np.array([hidden, table.values.shape[1] - hidden], np.int64))
    graph.node("Split", [means, "split_table"], ["token_hidden", "token_columns"], axis=1)
    graph.constant("surface_weight", network.surface.weight.detach().numpy().T)
    graph.constant("surface_bias", network.surface.bias.detach().numpy())
    graph.node("Gemm", [counted, "surface_weight", "surface_bias"], ["surface_hidden"])
    graph.node("Add", ["token_hidden", "surface_hidden"], ["before"])
    graph.node("Gelu", ["before"], ["hidden"])
    bias = network.heads.bias.detach().numpy().copy()
    bias[-2] += fitted.difficulty_shift
    bias[-1] += fitted.log_tokens_mean
    _heads(graph, network.heads.weight.detach().numpy().T, bias, fitted.general_demand)
    graph.constant("source_weight", network.source_head.weight.detach().numpy().T)
    graph.constant("source_bias", network.source_head.bias.detach().numpy())
    graph.node("Gemm", ["hidden", "source_weight", "source_bias"], ["source_logits"])
    graph.node("Softmax", ["source_logits"], ["source"], axis=1)
    graph.node("Concat", ["token_hidden", "token_columns", counted_wide], ["features"], axis=1)
    _distance(graph, familiarity)
    return graph.finished(dimensions, len(network.source_shift))


class _Graph:
    """Nodes and constants collected on the way to a model."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: object) -> str:
        self._nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]

    def finished(self, dimensions: int, sources: int) -> bytes:
        def value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self._nodes,
            "llmroute-latent",
            [
                value("token_ids", TensorProto.INT64, ["batch", "length"]),
                value("surface", TensorProto.FLOAT, ["batch", len(FEATURES)]),
            ],
            [
                value("demand", TensorProto.FLOAT, ["batch", dimensions]),
                *(
                    value(name, TensorProto.FLOAT, ["batch"])
                    for name in ("difficulty", "log_tokens", "distance")
                ),
                value("source", TensorProto.FLOAT, ["batch", sources]),
            ],
            self._constants,
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="llmroute")
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


def _token_means(graph: _Graph) -> str:
    graph.constant("padding", np.array(0, np.int64))
    graph.constant("along_length", np.array([1], np.int64))
    graph.constant("one", np.array(1.0, np.float32))
    graph.node("Gather", ["table", "token_ids"], ["rows"], axis=0)
    graph.node("Cast", ["rows"], ["whole_rows"], to=TensorProto.INT32)
    graph.node("ReduceSum", ["whole_rows", "along_length"], ["whole_sum"], keepdims=0)
    graph.node("Cast", ["whole_sum"], ["sum"], to=TensorProto.FLOAT)
    graph.node("Equal", ["token_ids", "padding"], ["is_padding"])
    graph.node("Not", ["is_padding"], ["is_token"])
    graph.node("Cast", ["is_token"], ["token_ones"], to=TensorProto.FLOAT)
    graph.node("ReduceSum", ["token_ones", "along_length"], ["tokens"], keepdims=1)
    count = graph.node("Max", ["tokens", "one"], ["count"])
    graph.node("Mul", ["sum", "table_scale"], ["scaled_sum"])
    return graph.node("Div", ["scaled_sum", count], ["means"])


def _standardised_surface(graph: _Graph, mean: Floats32, scale: Floats32) -> tuple[str, str]:
    graph.constant("surface_mean", mean)
    graph.constant("surface_scale", scale)
    graph.node("Sub", ["surface", "surface_mean"], ["surface_away"])
    graph.node("Div", ["surface_away", "surface_scale"], ["surface_scaled"])
    for name, limit in (("narrow", np.float32(SURFACE_LIMIT)), ("wide", surface_limits())):
        graph.constant(f"{name}_low", np.asarray(-limit))
        graph.constant(f"{name}_high", np.asarray(limit))
        graph.node("Min", ["surface_scaled", f"{name}_high"], [f"{name}_cut"])
        graph.node("Max", [f"{name}_cut", f"{name}_low"], [f"surface_{name}"])
    return "surface_narrow", "surface_wide"


def _heads(graph: _Graph, weight: Floats32, bias: Floats32, general_demand: float) -> None:
    further = weight.shape[1] - 2
    graph.constant("head_weight", weight)
    graph.constant("head_bias", bias)
    graph.node("Gemm", ["hidden", "head_weight", "head_bias"], ["heads"])
    graph.constant("split_heads", np.array([further, 1, 1], np.int64))
    outputs = ["further", "difficulty_column", "log_tokens_column"]
    graph.node("Split", ["heads", "split_heads"], outputs, axis=1)
    # One number for all prompts, given the batch's height by way of a column that has it.
    graph.constant("general_demand", np.array(general_demand, np.float32))
    graph.constant("zero", np.array(0.0, np.float32))
    graph.node("Mul", ["difficulty_column", "zero"], ["zero_column"])
    graph.node("Add", ["zero_column", "general_demand"], ["general"])
    graph.node("Concat", ["general", "further"], ["demand"], axis=1)
    for name in ("difficulty", "log_tokens"):
        graph.node("Squeeze", [f"{name}_column", "along_length"], [name])


def _distance(graph: _Graph, familiarity: Familiarity) -> None:
    graph.constant("directions", familiarity.directions)
    graph.constant("centre", familiarity.centre)
    graph.constant("between", familiarity.between)
    graph.constant("within", familiarity.within)
    graph.node("MatMul", ["features", "directions"], ["projected"])
    graph.node("Sub", ["projected", "centre"], ["away"])
    graph.node("Mul", ["away", "away"], ["squares"])
    # The feature is log(1 + characters); the same floor as in the fit.
    graph.constant("length_feature", np.array([FEATURES.index("log_characters")], np.int64))
    graph.node("Gather", ["surface", "length_feature"], ["log_length"], axis=1)
    graph.node("Exp", ["log_length"], ["characters"])
    graph.constant("characters_per_token", np.array(CHARACTERS_PER_TOKEN, np.float32))
    graph.node("Div", ["characters", "characters_per_token"], ["least_tokens"])
    graph.node("Max", ["count", "least_tokens"], ["tokens_counted"])
    graph.node("Div", ["within", "tokens_counted"], ["within_share"])
    graph.node("Add", ["between", "within_share"], ["variance"])
    graph.node("Div", ["squares", "variance"], ["ratios"])
    graph.node("ReduceMean", ["ratios", "along_length"], ["distance"], keepdims=0)
