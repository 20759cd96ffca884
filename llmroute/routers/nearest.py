"""Who counts as one of the k nearest, so that rounding and the order of rows decide nothing.

A float32 product differs in its last bits with the machine, its threads and the rows it is worked
out with. Were exactly k rows taken, or all above a sharp bound, those bits would say which of
several equally near rows count, and an estimate would jump. So rows that are as near as the k-th
count wholly, and a little beyond them a row counts for less and less: where no similarity moves by
more than ε, no weight moves by more than 2 ε / (`FADE` − `TIE`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmroute.numerics import Floats, Ints

FloatsOfAnyWidth = npt.NDArray[np.floating]

#: Similarities that differ by no more are equal. The last bits of float32 vectors of length 1 move
#: them by some 1e-7, and vectors kept in half precision, each rounded on its own, by some 1e-6.
TIE = 1e-5
#: How much less near than the k-th a row is that counts no more.
FADE = 1e-4
#: Neighbours RouterBench's pooled figure is for; it tries 5, 10 and 40.
NEIGHBOURS = 40
#: Digits of a mean. The same numbers summed in another order differ in the sixteenth; so two models
#: that did equally well among the neighbours stay equal.
_DIGITS = 9


def counts_for(similarity: FloatsOfAnyWidth, kth: FloatsOfAnyWidth) -> Floats:
    """Weight of rows by their similarity: 1 as near as the k-th, 0 from `FADE` below it on."""
    below = kth.astype(np.float64) - similarity
    weight: Floats = np.clip((FADE - below) / (FADE - TIE), 0.0, 1.0)
    return weight


def weights_of_nearest(similarity: FloatsOfAnyWidth, k: int) -> Floats:
    """(P, T) weights of the T rows of a table for P prompts: of the k nearest 1, of most others 0.

    Args:
        similarity: (P, T), greater is nearer.
        k: 1 to T.
    """
    return counts_for(similarity, np.partition(similarity, -k, axis=1)[:, -k, None])


def first_nearest(similarity: FloatsOfAnyWidth) -> Ints:
    """(P,) for each prompt the first of the rows that are as near as the nearest."""
    near = similarity >= similarity.max(axis=1, keepdims=True) - TIE
    first: Ints = np.argmax(near, axis=1)
    return first


def means_of_neighbours(total: Floats, count: Floats, overall: Floats) -> Floats:
    """(P, M) mean scores among neighbours; what a neighbour's weight lacks of 1, `overall` gives.

    Args:
        total: (P, M) weighted sums of the neighbours' scores.
        count: (P, M) weights of the neighbours that are known.
        overall: (M,) mean scores over all prompts.
    """
    lacking = np.maximum(1.0 - count, 0.0)
    return np.round((total + lacking * overall) / (count + lacking), _DIGITS)
