"""What a prompt holds that its text does not show, d, and what models make of it."""

from __future__ import annotations

from bisect import bisect
from functools import lru_cache

import numpy as np

from llmroute.numerics import Floats, sigmoid

#: The values of d, in standard deviations of a normal.
GRID: Floats = np.linspace(-3.5, 3.5, 15)
#: How probable each of them is before anything is heard.
WEIGHTS: Floats = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()
#: Levels at which the mean success is worked out; between them it is interpolated.
INTERCEPTS: Floats = np.linspace(-16.0, 16.0, 257)
_INTERCEPTS: list[float] = INTERCEPTS.tolist()
#: Probabilities nearer to 0 or 1 than this say no more.
LEAST = 1e-4


@lru_cache(maxsize=1024)
def mean_success(discrimination: float) -> Floats:
    """Mean success over d at each of `INTERCEPTS`, rising.

    Args:
        discrimination: How much of d the model feels.
    """
    result: Floats = sigmoid(INTERCEPTS[:, None] + discrimination * GRID) @ WEIGHTS
    return result


def intercept_for(share: float, means: list[float]) -> float:
    """The level at which the mean success is a share, or the nearest that is known.

    Args:
        share: Success probability of the scorer, 0..1.
        means: `mean_success` of the model's reach.
    """
    # For one number several times faster than numpy.interp: this runs for every decision.
    inside = min(max(share, LEAST), 1 - LEAST)
    above = bisect(means, inside)
    if not 0 < above < len(means):
        return _INTERCEPTS[0] if above == 0 else _INTERCEPTS[-1]
    low, high = means[above - 1], means[above]
    steepness = (_INTERCEPTS[above] - _INTERCEPTS[above - 1]) / (high - low)
    return steepness * (inside - low) + _INTERCEPTS[above - 1]


def inside(share: Floats) -> Floats:
    """Probabilities brought within those that count.

    Args:
        share: Probabilities of any shape, 0..1.
    """
    # Cheaper than numpy.clip: this runs for every decision.
    result: Floats = np.minimum(np.maximum(share, LEAST), 1 - LEAST)
    return result
