"""Token tables in int8, and means of their rows over a text's tokens as nodes of a graph.

token_ids (B, L) → Gather (int8 table) → Cast → ReduceSum → ÷ (count ÷ scale)

Token 0 is padding: its row is zero and it is not counted. A last column of the table does the
counting. The sum runs over whole numbers, all of which float32 holds up to 132,000 tokens, so
neither padding nor the other rows of a batch change a row's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats32
from llmroute.training.familiarity import CHARACTERS_PER_TOKEN
from llmroute.training.onnx_graph import FLOAT, Graph

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
    """A (V, C) token table in int8."""
    largest = np.quantile(np.abs(table), _CLIP_QUANTILE, axis=0)
    scale = (np.maximum(largest, 1e-8) / 127).astype(np.float32)
    values = np.clip(np.rint(table / scale), -127, 127).astype(np.int8)
    values[0] = 0
    return QuantisedTable(values, scale)


def mean_nodes(graph: Graph, table: QuantisedTable) -> str:
    """Adds them to a graph that has the input `token_ids` and the constant `along_length`.

    They also make `counted` (B, 1): the characters that the text's tokens stand for at least.

    Returns:
        Name of the (B, C + 1) means; the last one is the counting column's, and says nothing.
    """
    counting = np.full((len(table.values), 1), CHARACTERS_PER_TOKEN, np.int8)
    counting[0] = 0
    graph.constant("table", np.concatenate([table.values, counting], axis=1))
    graph.constant("counting_column", np.array([table.values.shape[1]], np.int64))
    graph.node("Gather", ["table", "token_ids"], ["whole_rows"], axis=0)
    graph.node("Cast", ["whole_rows"], ["rows"], to=FLOAT)
    graph.node("ReduceSum", ["rows", "along_length"], ["sums"], keepdims=0)
    graph.node("Gather", ["sums", "counting_column"], ["counted"], axis=1)
    # Sums become means in their own units by one division. What is added is lost in any count
    # but that of a text without tokens, where it stands against a division by zero.
    units = CHARACTERS_PER_TOKEN * np.append(table.scale, np.float32(1.0))
    graph.constant("per_unit", (1.0 / units)[None].astype(np.float32))
    graph.constant("above_zero", np.array([np.finfo(np.float32).tiny]))
    graph.node("Gemm", ["counted", "per_unit", "above_zero"], ["divisors"])
    return graph.node("Div", ["sums", "divisors"], ["means"])
