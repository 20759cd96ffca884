"""One generation as a judge sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The answer of a generation from which none could be read: it agrees with nothing.
NO_ANSWER = -1


@dataclass(frozen=True)
class Vote:
    """One generation: who said it, with whom it agrees, how sure it was.

    Attributes:
        model: Column of the model in the pool.
        answer: Number of the group of generations that agree; `NO_ANSWER` where none could be read.
        confidence: Evidence that came with the answer at no cost, 0..1: the probability of its
            decisive token, or the margin to the second one. NaN where the provider gives none.
        verified: Probability of "yes" in a verification call that was paid for, 0..1, or NaN.
        style: Style of the prompt it answers; empty for the request as it came.
    """

    model: int
    answer: int
    confidence: float = math.nan
    verified: float = math.nan
    style: str = ""
