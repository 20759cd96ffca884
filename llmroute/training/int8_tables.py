"""Token tables in int8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats32

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
