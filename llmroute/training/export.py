"""A trained network as one ONNX graph, written node by node.

token_ids (B, L) → the encoder's nodes → text: its vectors, through the first dense layer
surface (B, F)   → Gemm, Clip → cut: standardised, in parts of the limit
Gelu(text + cut → Gemm) → Gemm → demand (B, K), difficulty (B,), log_tokens (B,), source (B, S)
text, cut → Gemm → distance (B,)

A single prompt pays for each node that is started, several times as much when other work has
emptied the caches, and next to nothing for what a node computes. So there are few: scales, means
and biases are part of the dense layers' constants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmroute.numerics import Floats, Floats32
from llmroute.scoring.surface import FEATURES
from llmroute.training.familiarity import CHARACTERS_PER_TOKEN, Familiarity, surface_limits
from llmroute.training.fit import Fitted
from llmroute.training.network import SURFACE_LIMIT, LatentNetwork
from llmroute.training.onnx_graph import FLOAT, INT64, Graph

#: Adds an encoder's nodes to a graph with the input `token_ids`. They make `counted`, as
#: `mean_nodes` does. Returns the name of `text` (B, H + A + 1): the text's part of the hidden
#: layer, means for the distance, and a column that says nothing.
EncoderNodes = Callable[[Graph], str]

#: Features that the distance cuts further out than the network does. In `cut` they stand twice.
_APART = np.flatnonzero(surface_limits() != SURFACE_LIMIT)


def export(
    fitted: Fitted, familiarity: Familiarity, encoder: EncoderNodes, batch: str | int = "batch"
) -> bytes:
    """The content of `model.onnx`, for a number of texts in a run: any, or 1.

    Returns:
        The content of `model.onnx`.
    """
    graph = Graph()
    network = fitted.network
    graph.constant("along_length", np.array([1], np.int64))
    text = encoder(graph)
    _cut_surface(graph, network.surface_mean.numpy(), network.surface_scale.numpy())
    # As wide as the text: what stands beside its hidden columns gets no weight in the heads.
    beside = len(familiarity.directions) - len(FEATURES) - network.surface.out_features + 1
    _hidden(graph, text, network, beside)
    _heads(graph, fitted, beside)
    graph.node("Concat", [text, "cut"], ["features"], axis=1)
    _distance(graph, familiarity)
    return graph.finished(
        {"token_ids": (INT64, (batch, "length")), "surface": (FLOAT, (batch, len(FEATURES)))},
        {
            "demand": (FLOAT, (batch, network.dimensions)),
            **dict.fromkeys(("difficulty", "log_tokens", "distance"), (FLOAT, (batch,))),
            "source": (FLOAT, (batch, len(network.source_shift))),
        },
    )


def _cut_surface(graph: Graph, mean: Floats32, scale: Floats32) -> None:
    """Makes `cut` (B, F + E + 1): features, those that stand apart once more, and a 1 for a bias.

    One product standardises them, and one cut serves them all because each is in parts of its
    limit.
    """
    column = np.concatenate([np.arange(len(FEATURES)), _APART])
    unit = scale[column].astype(np.float64) * _limits()
    weight = np.zeros((len(FEATURES), len(column) + 1))
    weight[column, np.arange(len(column))] = 1.0 / unit
    graph.constant("surface_part", weight.astype(np.float32))
    graph.constant("surface_start", np.append(-mean[column] / unit, 1.0).astype(np.float32))
    graph.constant("low", np.array(-1.0, np.float32))
    graph.constant("high", np.array(1.0, np.float32))
    graph.node("Gemm", ["surface", "surface_part", "surface_start"], ["surface_parts"])
    graph.node("Clip", ["surface_parts", "low", "high"], ["cut"])


def _limits() -> Floats:
    """(F + E,) the limits that the columns of `cut` are parts of."""
    return np.concatenate([np.full(len(FEATURES), SURFACE_LIMIT), surface_limits()[_APART]])


def _hidden(graph: Graph, text: str, network: LatentNetwork, beside: int) -> None:
    weight = network.surface.weight.detach().numpy().T * SURFACE_LIMIT
    apart = np.zeros((len(_APART), weight.shape[1]))
    bias = network.surface.bias.detach().numpy()[None]
    whole = np.pad(np.concatenate([weight, apart, bias]), ((0, 0), (0, beside)))
    graph.constant("surface_weight", whole.astype(np.float32))
    graph.node("Gemm", ["cut", "surface_weight", text], ["before"])
    graph.node("Gelu", ["before"], ["hidden"])


def _heads(graph: Graph, fitted: Fitted, beside: int) -> None:
    network = fitted.network
    heads = network.heads.weight.detach().numpy().T
    source = network.source_head.weight.detach().numpy().T
    # The general demand is one number for all prompts: a column without weights.
    weight = np.concatenate([np.zeros((len(heads), 1)), heads, source], axis=1)
    graph.constant("head_weight", np.pad(weight, ((0, beside), (0, 0))).astype(np.float32))
    bias = network.heads.bias.detach().numpy().copy()
    bias[-2] += fitted.difficulty_shift
    bias[-1] += fitted.log_tokens_mean
    bias = np.concatenate([[fitted.general_demand], bias, network.source_head.bias.detach()])
    graph.constant("head_bias", bias.astype(np.float32))
    graph.node("Gemm", ["hidden", "head_weight", "head_bias"], ["heads"])
    graph.constant("split_heads", np.array([network.dimensions, 1, 1, source.shape[1]], np.int64))
    outputs = ["demand", "difficulty_column", "log_tokens_column", "source_logits"]
    graph.node("Split", ["heads", "split_heads"], outputs, axis=1)
    for name in ("difficulty", "log_tokens"):
        graph.node("Squeeze", [f"{name}_column", "along_length"], [name])
    graph.node("Softmax", ["source_logits"], ["source"], axis=1)


def _distance(graph: Graph, familiarity: Familiarity) -> None:
    graph.constant("directions", _of_cut(familiarity.directions))
    graph.constant("from_centre", -familiarity.centre)
    graph.node("Gemm", ["features", "directions", "from_centre"], ["away"])
    graph.node("Mul", ["away", "away"], ["squares"])
    # The feature is log(1 + characters); the same floor as in the fit. A text without tokens
    # counts as one.
    graph.constant("length_feature", np.array([FEATURES.index("log_characters")], np.int64))
    graph.node("Gather", ["surface", "length_feature"], ["log_length"], axis=1)
    graph.node("Exp", ["log_length"], ["characters"])
    graph.constant("one_token", np.array(CHARACTERS_PER_TOKEN, np.float32))
    graph.node("Max", ["counted", "characters", "one_token"], ["read"])
    graph.constant("between", familiarity.between)
    graph.constant("within", np.float32(CHARACTERS_PER_TOKEN) * familiarity.within)
    graph.node("Div", ["within", "read"], ["within_share"])
    graph.node("Add", ["between", "within_share"], ["variance"])
    graph.node("Div", ["squares", "variance"], ["ratios"])
    graph.node("ReduceMean", ["ratios", "along_length"], ["distance"], keepdims=0)


def _of_cut(directions: Floats32) -> Floats32:
    """Directions out of text and `cut`, made of those out of text and standardised features."""
    text, surface = np.split(directions, [len(directions) - len(FEATURES)])
    nothing = np.zeros((1, directions.shape[1]), np.float32)
    near = surface * np.float32(SURFACE_LIMIT)
    near[_APART] = 0.0
    far = surface[_APART] * surface_limits()[_APART, None]
    return np.concatenate([text, nothing, near, far, nothing])
