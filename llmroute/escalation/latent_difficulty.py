"""θ, the difficulty of a prompt that its text does not show, and how models depend on it."""

from __future__ import annotations

from bisect import bisect
from functools import lru_cache

import numpy as np

from llmroute.numerics import Floats, sigmoid

#: The D values of θ, in standard deviations of a normal.
GRID: Floats = np.linspace(-3.5, 3.5, 15)
#: How probable each of them is before there is evidence.
WEIGHTS: Floats = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()
#: Intercepts at which the mean success is worked out; between them it is interpolated.
INTERCEPTS: Floats = np.linspace(-16.0, 16.0, 257)
_INTERCEPTS: list[float] = INTERCEPTS.tolist()
#: Probabilities nearer than this to 0 or 1 count as being so far from it.
LEAST = 1e-4


@lru_cache(maxsize=1024)
def mean_success(discrimination: float) -> Floats:
    """Mean success over θ at each of `INTERCEPTS`, rising."""
    result: Floats = sigmoid(INTERCEPTS[:, None] + discrimination * GRID) @ WEIGHTS
    return result


def intercept_for(share: float, means: list[float]) -> float:
    """The intercept at which the mean success is a share, or the nearest that is known.

    Args:
        share: Success probability of the scorer, 0..1.
        means: `mean_success` of the model's discrimination.
    """
    # For one number several times faster than numpy.interp: this runs for every decision.
    inner = min(max(share, LEAST), 1 - LEAST)
    above = bisect(means, inner)
    if not 0 < above < len(means):
        return _INTERCEPTS[0] if above == 0 else _INTERCEPTS[-1]
    low, high = means[above - 1], means[above]
    steepness = (_INTERCEPTS[above] - _INTERCEPTS[above - 1]) / (high - low)
    return steepness * (inner - low) + _INTERCEPTS[above - 1]


def inside(share: Floats) -> Floats:
    """Probabilities of any shape, none nearer than `LEAST` to 0 or 1."""
    # Cheaper than numpy.clip: this runs for every decision.
    result: Floats = np.minimum(np.maximum(share, LEAST), 1 - LEAST)
    return result
