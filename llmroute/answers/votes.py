"""Model outputs as votes for an answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

#: The answer of an output from which none could be read: it agrees with nothing.
NO_ANSWER = -1


@dataclass(frozen=True)
class Vote:
    """One output: which model's it is, with which others it agrees, how confident it was.

    Attributes:
        model: Column of the model in the pool.
        answer: Number of the group of outputs that agree; `NO_ANSWER` where none could be read.
        confidence: Evidence that came with the answer at no cost, 0..1: the probability of its
            decisive token, or the margin to the second one. NaN where the provider gives none.
        verified: Probability of "yes" in a verification call that was paid for, 0..1, or NaN.
    """

    model: int
    answer: int
    confidence: float = math.nan
    verified: float = math.nan


def leaders(groups: Sequence[int]) -> tuple[int, int]:
    """How many outputs the largest and the second largest group hold, `NO_ANSWER` left out."""
    counts = Counter(group for group in groups if group != NO_ANSWER).most_common(2)
    sizes = [size for _, size in counts] + [0, 0]
    return sizes[0], sizes[1]


def lead_probability(leading: int, second: int) -> float:
    """Probability that the leading answer is the more frequent one in the long run, 0..1.

    Of the two answers only, with a flat prior: P(p > 1/2), p ~ Beta(leading + 1, second + 1). For
    whole numbers that is a binomial sum (the Beta rule of adaptive consistency, arXiv 2305.11860).

    Args:
        leading: How many outputs give the leading answer.
        second: How many give the next.
    """
    total = leading + second + 1
    return sum(math.comb(total, k) for k in range(leading + 1)) / 2.0**total
