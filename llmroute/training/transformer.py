"""The first layers of MiniLM as int8 nodes of an ONNX graph, for one text at a time.

    token_ids (1, L) → first and last of them, between [CLS] and [SEP]
                     → Gather (int8 table) + positions → layer norm
                     → layers (int8 weights, one scale a column; activations quantised as they come)
                     → mean over the tokens (1, 384)

Activations are quantised with the range of the whole tensor (`DynamicQuantizeLinear`), so the
numbers of a text would depend on the other rows of a batch and on its padding. Hence one text at a
time, which on one thread is no slower.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from llmroute.numerics import Floats32
from llmroute.training.minilm_torch import CLS, EPSILON, HEADS, SEP
from llmroute.training.onnx_graph import FLOAT, INT64, Graph

#: Tokens of a text that the encoder reads: the first and the last, as many characters of a long
#: text are kept of its beginning and its end.
HEAD_TOKENS, TAIL_TOKENS = 38, 120
#: Tokens it reads at most, [CLS] and [SEP] among them.
MOST_TOKENS = HEAD_TOKENS + TAIL_TOKENS + 2
#: Ids between the special tokens and the words, which BERT's vocabulary keeps free.
_UNUSED = range(104, 999)
_END = np.iinfo(np.int64).max


def encoder_nodes(graph: Graph, weights: Mapping[str, Tensor], layers: int) -> str:
    """Adds the encoder to a graph that has the input `token_ids`.

    Returns:
        Name of the (1, 384) mean over the tokens.
    """
    hidden = _embedded(graph, weights)
    for layer in range(layers):
        hidden = _layer(graph, weights, layer, hidden)
    graph.constant("along_tokens", np.array([0], np.int64))
    return graph.node("ReduceMean", [hidden, "along_tokens"], ["pooled"], keepdims=1)


def encoder_graph(weights: Mapping[str, Tensor], layers: int) -> bytes:
    """The encoder alone, which training reads its features from."""
    graph = Graph()
    encoder_nodes(graph, weights, layers)
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    return graph.finished({"token_ids": (INT64, (1, "length"))}, {"pooled": (FLOAT, (1, width))})


def _embedded(graph: Graph, weights: Mapping[str, Tensor]) -> str:
    """(L, 384) token vectors with their positions, normalised."""
    graph.constant("first_axis", np.array([0], np.int64))
    graph.constant("from_start", np.array([0], np.int64))
    graph.constant("head_tokens", np.array([HEAD_TOKENS], np.int64))
    graph.constant("last_tokens", np.array([-TAIL_TOKENS], np.int64))
    graph.constant("to_end", np.array([_END], np.int64))
    graph.constant("cls", np.array([CLS], np.int64))
    graph.constant("sep", np.array([SEP], np.int64))
    graph.node("Squeeze", ["token_ids", "first_axis"], ["all_ids"])
    graph.node("Slice", ["all_ids", "from_start", "head_tokens"], ["head_ids"])
    graph.node("Slice", ["all_ids", "head_tokens", "to_end"], ["further_ids"])
    graph.node("Slice", ["further_ids", "last_tokens", "to_end"], ["tail_ids"])
    graph.node("Concat", ["cls", "head_ids", "tail_ids", "sep"], ["read_ids"], axis=0)
    graph.node("Shape", ["read_ids"], ["read_length"])

    # Rows that the tokenizer never gives are not shipped; the ids behind them move up.
    graph.constant("last_special", np.array(_UNUSED.start - 1, np.int64))
    graph.constant("unused", np.array(len(_UNUSED), np.int64))
    graph.node("Greater", ["read_ids", "last_special"], ["is_word"])
    graph.node("Cast", ["is_word"], ["word_ones"], to=INT64)
    graph.node("Mul", ["word_ones", "unused"], ["moved_by"])
    graph.node("Sub", ["read_ids", "moved_by"], ["table_ids"])
    words = _array(weights["embeddings.word_embeddings.weight"])
    _rows(graph, "words", np.delete(words, _UNUSED, axis=0))
    graph.node("Gather", ["words", "table_ids"], ["word_rows"], axis=0)
    graph.node("Cast", ["word_rows"], ["word_values"], to=FLOAT)
    graph.node("Gather", ["words_unit", "table_ids"], ["word_units"], axis=0)
    graph.node("Mul", ["word_values", "word_units"], ["word_vectors"])
    # Every token is of the first kind, so its vector goes into the positions.
    places = _array(weights["embeddings.position_embeddings.weight"])[:MOST_TOKENS]
    _rows(graph, "places", places + _array(weights["embeddings.token_type_embeddings.weight"])[0])
    graph.node("Slice", ["places", "from_start", "read_length"], ["place_rows"])
    graph.node("Cast", ["place_rows"], ["place_values"], to=FLOAT)
    graph.node("Slice", ["places_unit", "from_start", "read_length"], ["place_units"])
    graph.node("Mul", ["place_values", "place_units"], ["place_vectors"])
    graph.node("Add", ["word_vectors", "place_vectors"], ["embedded"])
    return _norm(graph, weights, "embeddings.LayerNorm.", "embedded")


def _layer(graph: Graph, weights: Mapping[str, Tensor], layer: int, hidden: str) -> str:
    """One transformer layer on (L, 384)."""
    prefix = f"encoder.layer.{layer}."
    own = f"layer{layer}_"
    mixed = _attention(graph, weights, prefix, own, hidden)
    mixed = _dense(graph, own + "mix", *_parameters(weights, prefix + "attention.output.dense."),
                   *_quantised(graph, mixed))  # fmt: skip
    summed = graph.node("Add", [mixed, hidden], [own + "attended"])
    hidden = _norm(graph, weights, prefix + "attention.output.LayerNorm.", summed)
    inner = _dense(graph, own + "inner", *_parameters(weights, prefix + "intermediate.dense."),
                   *_quantised(graph, hidden))  # fmt: skip
    inner = graph.node("Gelu", [inner], [own + "active"])
    outer = _dense(graph, own + "outer", *_parameters(weights, prefix + "output.dense."),
                   *_quantised(graph, inner))  # fmt: skip
    summed = graph.node("Add", [outer, hidden], [own + "summed"])
    return _norm(graph, weights, prefix + "output.LayerNorm.", summed)


def _attention(
    graph: Graph, weights: Mapping[str, Tensor], prefix: str, own: str, hidden: str
) -> str:
    """(L, 384) what each token takes from the others, before its dense layer."""
    parts = [
        _parameters(weights, f"{prefix}attention.self.{name}.")
        for name in ("query", "key", "value")
    ]
    width = parts[0][0].shape[1]
    scale = np.float32((width / HEADS) ** -0.5)
    parts[0] = parts[0][0] * scale, parts[0][1] * scale
    # One product for all three.
    weight = np.concatenate([part[0] for part in parts], axis=1)
    bias = np.concatenate([part[1] for part in parts])
    together = _dense(graph, own + "qkv", weight, bias, *_quantised(graph, hidden))
    graph.constant("qkv_shape", np.array([-1, 3, HEADS, width // HEADS], np.int64))
    graph.constant("flat_shape", np.array([-1, width], np.int64))
    graph.node("Reshape", [together, "qkv_shape"], [own + "split"])
    for place, (name, order) in enumerate({"q": (1, 0, 2), "k": (1, 2, 0), "v": (1, 0, 2)}.items()):
        graph.constant(f"place{place}", np.array(place, np.int64).reshape(1))
        graph.constant("second_axis", np.array([1], np.int64))
        graph.node("Gather", [own + "split", f"place{place}"], [f"{own}{name}_wide"], axis=1)
        graph.node("Squeeze", [f"{own}{name}_wide", "second_axis"], [f"{own}{name}_rows"])
        graph.node("Transpose", [f"{own}{name}_rows"], [own + name], perm=order)
    graph.node("MatMul", [own + "q", own + "k"], [own + "likeness"])
    graph.node("Softmax", [own + "likeness"], [own + "shares"], axis=-1)
    graph.node("MatMul", [own + "shares", own + "v"], [own + "taken"])
    graph.node("Transpose", [own + "taken"], [own + "taken_rows"], perm=(1, 0, 2))
    return graph.node("Reshape", [own + "taken_rows", "flat_shape"], [own + "mixed"])


def _quantised(graph: Graph, value: str) -> tuple[str, str, str]:
    """The value as uint8 with its scale and zero point, both of the whole tensor."""
    names = f"{value}_uint8", f"{value}_scale", f"{value}_zero"
    graph.node("DynamicQuantizeLinear", [value], names)
    return names


def _dense(
    graph: Graph, name: str, weight: Floats32, bias: Floats32, value: str, scale: str, zero: str
) -> str:
    """A dense layer with int8 weights; onnxruntime makes one operator of its nodes."""
    largest = np.maximum(np.abs(weight).max(axis=0), 1e-8)
    unit = (largest / 127).astype(np.float32)
    graph.constant(f"{name}_weight", np.clip(np.rint(weight / unit), -127, 127).astype(np.int8))
    graph.constant(f"{name}_unit", unit)
    graph.constant(f"{name}_bias", bias)
    # Signed weights: their zero point is 0, one a column.
    graph.constant(f"{name}_weight_zero", np.zeros(len(unit), np.int8))
    operands = [value, f"{name}_weight", zero, f"{name}_weight_zero"]
    graph.node("MatMulInteger", operands, [f"{name}_whole"])
    graph.node("Cast", [f"{name}_whole"], [f"{name}_sum"], to=FLOAT)
    graph.node("Mul", [scale, f"{name}_unit"], [f"{name}_scale"])
    graph.node("Mul", [f"{name}_sum", f"{name}_scale"], [f"{name}_product"])
    return graph.node("Add", [f"{name}_product", f"{name}_bias"], [f"{name}_out"])


def _norm(graph: Graph, weights: Mapping[str, Tensor], prefix: str, value: str) -> str:
    graph.constant(prefix + "weight", _array(weights[prefix + "weight"]))
    graph.constant(prefix + "bias", _array(weights[prefix + "bias"]))
    return graph.node(
        "LayerNormalization",
        [value, prefix + "weight", prefix + "bias"],
        [prefix + "out"],
        axis=-1,
        epsilon=EPSILON,
    )


def _parameters(weights: Mapping[str, Tensor], prefix: str) -> tuple[Floats32, Floats32]:
    """Weight, (in, out), and bias of a dense layer."""
    return _array(weights[prefix + "weight"]).T, _array(weights[prefix + "bias"])


def _rows(graph: Graph, name: str, table: Floats32) -> None:
    """Adds a table in int8 and the unit of each row, (V, 1)."""
    unit = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8) / 127
    graph.constant(name, np.rint(table / unit).astype(np.int8))
    graph.constant(f"{name}_unit", unit.astype(np.float32))


def _array(value: Tensor) -> Floats32:
    array: Floats32 = value.detach().to("cpu").float().numpy()
    return array
