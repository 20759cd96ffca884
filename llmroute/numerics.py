"""Types of arrays, and the logistic function with its inverse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def sigmoid(logits: Floats) -> Floats:
    """The logistic function, by way of tanh, which never overflows."""
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return result


def logit(share: Floats, least: float = 1e-6) -> Floats:
    """The inverse of `sigmoid`.

    Args:
        share: Numbers in 0..1, in any shape.
        least: Shares nearer than this to 0 or 1 count as being so far from it.
    """
    # Cheaper than numpy.clip: this runs for every decision.
    inside = np.minimum(np.maximum(share, least), 1.0 - least)
    result: Floats = np.log(inside / (1.0 - inside))
    return result
