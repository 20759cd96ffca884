"""One generation as a judge sees it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
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


def leaders(groups: Sequence[int]) -> tuple[int, int]:
    """How many generations the largest and the second largest group hold.

    Args:
        groups: Number of each generation's group; `NO_ANSWER` agrees with nothing.
    """
    counts = Counter(group for group in groups if group != NO_ANSWER).most_common(2)
    sizes = [size for _, size in counts] + [0, 0]
    return sizes[0], sizes[1]


def lead_probability(leading: int, second: int) -> float:
    """Probability that the leading answer is the more frequent one in the long run, 0..1.

    Of the two answers only, with a flat prior: P(p > 1/2), p ~ Beta(leading + 1, second + 1). For
    whole numbers that is a binomial sum (the Beta rule of adaptive consistency, arXiv 2305.11860).

    Args:
        leading: Generations that gave it.
        second: Generations that gave the next.
    """
    total = leading + second + 1
    return sum(math.comb(total, k) for k in range(leading + 1)) / 2.0**total
