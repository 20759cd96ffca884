"""Bootstrap intervals over prompts, the same whichever way the prompts are split up or ordered.

The Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy, Muralidharan, Najmi and Naidu 2012)
draws each prompt Poisson(1) times, independently of the others. Drawing P of P prompts with
replacement has the same limit, but its counts must sum to P, so no shard can draw its own without
the others. Here the counts of a prompt depend on the seed and its id alone: shards on different
machines, shuffled rows and repeated runs get the same replicates, and sums over shards simply add
up. A replicate's mean is its weighted sum over its total weight.

Replicate r of two figures on the same prompts is drawn alike, so the difference of two routers is
the difference of their rows, `interval(one - other, prompts)`: paired, as it should be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints

Counts = npt.NDArray[np.uint8]

#: Cells of (replicate, prompt) ordered at a time: they stay in the processor's cache.
_BLOCK_CELLS = 1 << 18
#: Prompts that are drawn, or summed, at a time, to bound memory.
_PROMPTS_TOGETHER = 512


def _poisson_table() -> Counts:
    """Poisson(1) count of each 16-bit number: what a uniform number of 16 bits is turned into.

    Sixteen bits hold counts up to 8; the mean is 1 and the variance 1 to within 1e-5.
    """
    cumulative = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    ends = np.rint(cumulative * 65536)
    return np.searchsorted(ends, np.arange(65536), side="right").astype(np.uint8)


_POISSON = _poisson_table()


def _written(value: float, form: str) -> str:
    text = f"{value:{form}}"
    return text if text.strip("-0.") else text.replace("-", "")  # no minus zero


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap interval; `f"{interval:.3f}"` writes both.

    Attributes:
        value: The figure on all prompts.
        low: Lower end of the interval.
        high: Upper end.
        level: Probability the interval is made for.
        prompts: Prompts it was measured on.
    """

    value: float
    low: float
    high: float
    level: float
    prompts: int

    @property
    def is_known(self) -> bool:
        """Whether both ends are numbers: a figure of the sample only has none."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def alone(self) -> Interval:
        """The figure without its interval."""
        return replace(self, low=math.nan, high=math.nan)

    def scaled(self, factor: float) -> Interval:
        """The figure and its ends in another unit, such as percent."""
        value, low, high = (factor * end for end in (self.value, self.low, self.high))
        return replace(self, value=value, low=low, high=high)

    def __format__(self, form: str) -> str:
        value, low, high = (_written(end, form) for end in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]" if self.is_known else value

    def __str__(self) -> str:
        return f"{self:.3f}"


class Resamples:
    """Poisson bootstrap over prompts; see the module for why.

    Row 0 is the sample itself, every weight 1; rows 1..R are the replicates. The first rows are
    the same however many are drawn. Prompts with the same id are drawn together, as one unit.

    Args:
        prompt_ids: Ids of the P prompts.
        replicates: R, replicates beside the sample itself.
        seed: Seed of the drawing.

    Attributes:
        weights: (R+1, P) how often each prompt is drawn.
        totals: (R+1,) sums of the rows of `weights`.

    Raises:
        ConfigurationError: No prompt, or a negative number of replicates.
    """

    weights: Counts
    totals: Floats

    def __init__(self, prompt_ids: Sequence[str], replicates: int = 1000, seed: int = 0) -> None:
        if not len(prompt_ids) or replicates < 0:
            raise ConfigurationError(
                f"resampling needs at least 1 prompt and 0 or more replicates; got "
                f"{len(prompt_ids)} prompts and {replicates} replicates."
            )
        weights = np.ones((replicates + 1, len(prompt_ids)), dtype=np.uint8)
        for start in range(0, len(prompt_ids), _PROMPTS_TOGETHER):
            some = prompt_ids[start : start + _PROMPTS_TOGETHER]
            weights[1:, start : start + len(some)] = _drawn(some, replicates, seed).T
        self._hold(weights)

    def _hold(self, weights: Counts) -> None:
        self.weights = weights
        self.totals = weights.sum(axis=1, dtype=np.float64)

    @property
    def prompts(self) -> int:
        """P, the prompts that are drawn from."""
        return int(self.weights.shape[1])

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.integer]) -> Resamples:
        """The same draws of some of the prompts, such as one category, by (P,) mask or indices.

        ConfigurationError where no prompt is left.
        """
        weights = self.weights[:, which]
        if not weights.shape[1]:
            raise ConfigurationError("no prompt was selected; give a mask with at least one True.")
        chosen = Resamples.__new__(Resamples)
        chosen._hold(weights)
        return chosen

    def sums(self, columns: Floats) -> Floats:
        """Weighted sums Σₚ wᵣₚ·xₚ; those of shards add up to those of the whole.

        Of (P, C) figures of each prompt, or (P,): (R+1, C), or (R+1,). A NaN makes its column NaN;
        another number of prompts is a ConfigurationError.
        """
        columns = np.asarray(columns, dtype=np.float64)
        self.check(columns)
        out = np.zeros((len(self.weights), *columns.shape[1:]))
        for start in range(0, self.prompts, _PROMPTS_TOGETHER):
            some = slice(start, start + _PROMPTS_TOGETHER)
            out += self.weights[:, some].astype(np.float64) @ columns[some]
        return out

    def means(self, columns: Floats) -> Floats:
        """Weighted means: `sums` over `totals`, NaN in a replicate that drew no prompt."""
        sums = self.sums(columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            means: Floats = sums / self.totals.reshape(-1, *[1] * (sums.ndim - 1))
        return means

    def group_sums(
        self, ranking: Ranking, first: Floats, second: Floats
    ) -> Iterator[tuple[slice, Floats, Floats]]:
        """Weighted sums within each group of equal values, for figures that hang on an order.

        Of the P prompts in order, in G groups, and two (P,) figures of each prompt. Yields some
        rows, and of either figure (rows, G) its sums Σ wᵣₚ·xₚ over each group. Another number of
        prompts is a ConfigurationError.
        """
        self.check(ranking.order, first, second)
        tied = len(ranking.starts) < len(ranking.order)
        ordered = first[ranking.order], second[ranking.order]
        step = max(_BLOCK_CELLS // self.prompts, 1)
        for start in range(0, len(self.weights), step):
            rows = slice(start, start + step)
            weights = np.take(self.weights[rows], ranking.order, axis=1).astype(np.float64)
            sums = [weights * each for each in ordered]
            if tied:
                sums = [np.add.reduceat(each, ranking.starts, axis=1) for each in sums]
            yield rows, sums[0], sums[1]

    def check(self, *columns: Sized) -> None:
        """Raises ConfigurationError unless the first axis of each array is the P prompts."""
        for column in columns:
            if len(column) != self.prompts:
                raise ConfigurationError(
                    f"the resamples are of {self.prompts} prompts, the figures of {len(column)}; "
                    "take the resamples of the same prompts (Resamples.select)."
                )


def _drawn(prompt_ids: Sequence[str], replicates: int, seed: int) -> Counts:
    """(prompts, R) counts: bytes of SHAKE-128 of seed and id, two a count, looked up.

    A hash rather than a random generator, whose streams differ between versions.
    """
    drawn = b"".join(
        hashlib.shake_128(f"{seed}\0{prompt_id}".encode("utf-8", "surrogatepass")).digest(
            2 * replicates
        )
        for prompt_id in prompt_ids
    )
    counts: Counts = _POISSON[np.frombuffer(drawn, dtype="<u2")]
    return counts.reshape(len(prompt_ids), replicates)


@dataclass(frozen=True)
class Ranking:
    """P prompts in falling order of a value, in G groups of equal values."""

    order: Ints  #: (P,) prompts, highest value first
    starts: Ints  #: (G,) place in `order` where each group begins


def ranked(values: Floats) -> Ranking:
    """Prompts from the highest of (P,) values without NaN to the lowest."""
    order = np.argsort(-values, kind="stable").astype(np.int64)
    in_order = values[order]
    starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1])).astype(np.int64)
    return Ranking(order, starts)


def interval(values: Floats, prompts: int, level: float = 0.95) -> Interval:
    """A figure with the middle of its bootstrap replicates (percentile interval).

    Where the figure has no meaning (NaN) on the sample itself, or on more replicates than may lie
    outside at one end, it has no interval: one of the others alone would look surer than it is.
    `values` are (R+1,) the figure on the sample, then on each replicate; `level` is the part of the
    replicates that lies inside, 0..1.
    """
    value, replicates = float(values[0]), np.asarray(values[1:])
    known = replicates[~np.isnan(replicates)]
    too_many = len(known) < len(replicates) * (1 + level) / 2
    if math.isnan(value) or not len(known) or too_many:
        return Interval(value, math.nan, math.nan, level, prompts)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, prompts)
