"""Hypotheses on different answers: which are good, which is the shared error, which are wrong."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from llmroute.numerics import Floats

#: Of more different answers than this, at most two are taken to be good: it keeps the sums short.
_MANY = 5


@dataclass(frozen=True)
class Hypotheses:
    """L hypotheses on G answers, as 0 and 1.

    Attributes:
        good: (L, G).
        shared_error: (L, G), at most one in a row.
        other: (L, G) wrong otherwise.
        with_all: (L, 1 + G) `good` after a column of ones, which sums over all.
    """

    good: Floats
    shared_error: Floats
    other: Floats
    with_all: Floats


@lru_cache
def all_hypotheses(answers: int) -> Hypotheses:
    """All hypotheses on G answers."""
    most_good = 2 if answers > _MANY else answers
    rows = [
        row
        for row in itertools.product((0, 1, 2), repeat=answers)
        if row.count(1) <= 1 and row.count(0) <= most_good
    ]
    table = np.array(rows, dtype=np.int64).reshape(len(rows), answers)
    good, shared_error, other = ((table == state).astype(np.float64) for state in range(3))
    return Hypotheses(good, shared_error, other, np.hstack([np.ones((len(rows), 1)), good]))


def ewens(sizes: Floats, labels: Floats, concentration: float) -> Floats:
    """(L,) log-probability that the labelled votes fall into just these groups (Ewens's rule).

    Args:
        sizes: (G,) votes for each answer.
        labels: (L, G) the answers that are looked at, as 0 and 1.
        concentration: How many ways there are to answer so, about.
    """
    total = (labels @ sizes).astype(np.int64)
    within = np.array([math.lgamma(size) for size in sizes.tolist()])
    steps = np.log(concentration + np.arange(max(int(sizes.sum()), 1)))
    up_to = np.concatenate([[0.0], np.cumsum(steps)])
    result: Floats = labels @ (math.log(concentration) + within) - up_to[total]
    return result
