"""A trained network as one ONNX graph, written node by node.

token_ids (B, L) → the encoder's nodes → a: its vectors, through the first dense layer
surface (B, F)   → standardise → cut → Gemm → b
Gelu(a + b) → Gemm → demand (B, K), difficulty (B,), log_tokens (B,)
            → Gemm → Softmax → source (B, S)
a, surface  → distance (B,)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from llmroute.scoring.surface import FEATURES
from llmroute.training.familiarity import CHARACTERS_PER_TOKEN, Familiarity, surface_limits
from llmroute.training.fit import Fitted
from llmroute.training.graph import FLOAT, INT64, Graph
from llmroute.training.network import SURFACE_LIMIT

Floats32 = npt.NDArray[np.float32]

#: Adds an encoder's nodes to a graph with the input `token_ids`. They make `token_hidden` (B, H),
#: the text's part of the hidden layer; `token_columns` (B, A), means for the distance; and `count`
#: (B, 1), the tokens that were counted.
EncoderNodes = Callable[[Graph], None]


def export(
    fitted: Fitted, familiarity: Familiarity, encoder: EncoderNodes, batch: str | int = "batch"
) -> bytes:
    """The graph of a trained network.

    Args:
        fitted: The network.
        familiarity: The distance.
        encoder: Adds the encoder's nodes.
        batch: Texts in a run: any number, or 1.

    Returns:
        The content of `model.onnx`.
    """
    graph = Graph()
    network = fitted.network
    graph.constant("along_length", np.array([1], np.int64))
    encoder(graph)
    counted, counted_wide = _standardised_surface(
        graph, network.surface_mean.numpy(), network.surface_scale.numpy()
    )
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
    return graph.finished(
        {"token_ids": (INT64, (batch, "length")), "surface": (FLOAT, (batch, len(FEATURES)))},
        {
            "demand": (FLOAT, (batch, network.dimensions)),
            **dict.fromkeys(("difficulty", "log_tokens", "distance"), (FLOAT, (batch,))),
            "source": (FLOAT, (batch, len(network.source_shift))),
        },
    )


def _standardised_surface(graph: Graph, mean: Floats32, scale: Floats32) -> tuple[str, str]:
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


def _heads(graph: Graph, weight: Floats32, bias: Floats32, general_demand: float) -> None:
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


def _distance(graph: Graph, familiarity: Familiarity) -> None:
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
