"""Label modes: what a router is taught a model's answer was worth (Hybrid LLM, arXiv 2404.14618).

Hybrid LLM teaches a router of two models whether the small one's answer is good enough beside the
large one's. With H = quality of the small − quality of the large model's answer:

- hard: 1 where H ≥ 0 for one answer of each;
- soft: P(H ≥ 0) over several answers of each;
- shifted: P(H ≥ −t), with the t at which the labels of two prompts differ most on the mean. Where
  the large model is nearly always better, all soft labels are near 0 and teach little.

With more models a model is good enough where no other's answer beats it by more than t; with two
that is the paper's label. `score` is no such label: the score itself, which says how good an answer
is and not only how it compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

Mode = Literal["score", "hard", "soft", "shifted"]

MODES: tuple[Mode, ...] = get_args(Mode)
#: Shifts that are tried, at most.
_SHIFTS = 101
#: Values that scores may have for labels to be worked out value by value.
_LEVELS = 64
#: Steps to which scores of several generations are rounded when they have more values than that.
_STEPS = 50
#: Scores that differ by less are equal.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Labels:
    """What is taught.

    Attributes:
        target: (P, M) labels 0..1, NaN where there is none.
        mode: How they were made.
        shift: t, in units of score; 0 unless the mode is `"shifted"`.
    """

    target: Floats
    mode: Mode
    shift: float = 0.0


def labelled(outcomes: Outcomes, mode: Mode = "score") -> Labels:
    """Labels of outcomes.

    Args:
        outcomes: P prompts and M models, missing cells allowed. Several generations of its models
            count where they were read (`Outcomes.read(…, samples=True)`); otherwise each score is
            the one generation there is, and soft labels are hard ones.
        mode: One of `MODES`.

    Raises:
        ConfigurationError: Another mode.
    """
    if mode not in MODES:
        raise ConfigurationError(f"labels are {', '.join(MODES)}; {mode!r} was given.")
    if mode == "score":
        return Labels(outcomes.score, mode)
    scores = generations(outcomes)
    if mode == "hard":
        return Labels(good_enough(scores[:, :, :1]), mode)
    shift = best_shift(scores) if mode == "shifted" else 0.0
    return Labels(good_enough(scores, shift), mode, shift)


def generations(outcomes: Outcomes) -> Floats:
    """(P, M, S) scores of up to S generations, NaN where there are fewer.

    Args:
        outcomes: P prompts and M models. Samples count for the model of their model's name, or of
            `MODEL|STYLE`, where ways of asking are models of their own.
    """
    samples = outcomes.samples
    if samples is None:
        return outcomes.score[:, :, None]
    column = {name: place for place, name in enumerate(outcomes.models)}
    # (model, style) of a sample → its column, by the model's name or by that of model and style.
    named = np.array(
        [
            [column.get(name, column.get(f"{name}|{style}", -1)) for style in samples.styles]
            for name in samples.models
        ]
    )
    places = named[samples.model, samples.style]
    kept = np.flatnonzero(places >= 0)
    if not len(kept):
        return outcomes.score[:, :, None]
    cell = samples.prompt[kept] * len(outcomes.models) + places[kept]
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=outcomes.score.size)
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(kept)) - starts[cell[order]]
    result = np.full((outcomes.score.size, max(int(counts.max()), 1)), np.nan)
    result[cell[order], rank] = samples.score[kept][order]
    alone = counts == 0  # not sampled: its recorded score is its one generation
    result[alone, 0] = outcomes.score.ravel()[alone]
    return result.reshape(*outcomes.score.shape, -1)


def good_enough(scores: Floats, shift: float = 0.0) -> Floats:
    """Probability that no other model's answer beats a model's by more than the shift.

    Generations of different models are independent, so it is the mean, over a model's generations,
    of the product of the others' distribution functions there. Several generations with more than
    64 different scores in all are rounded to 0.02 first.

    Args:
        scores: (P, M, S) scores of generations, NaN where there is none.
        shift: t, 0 or more.

    Returns:
        (P, M) probabilities; NaN where the model, or every other one, has no generation.
    """
    return _labeller(scores)(shift)


def _labeller(scores: Floats) -> Callable[[float], Floats]:
    """Labels as a function of the shift, with what does not depend on it worked out once."""
    known = ~np.isnan(scores)
    levels = np.unique(scores[known])
    if len(levels) > _LEVELS and scores.shape[2] > 1:
        scores = np.round(scores * _STEPS) / _STEPS
        levels = np.unique(scores[known])
    count = known.sum(axis=2)
    has = count > 0
    is_compared = has & (has.sum(axis=1, keepdims=True) - has > 0)
    if len(levels) > _LEVELS:
        return lambda shift: np.where(is_compared, _one_by_one(scores, shift), np.nan)
    cell = np.arange(count.size).reshape(*count.shape, 1) * len(levels)
    places = (cell + np.searchsorted(levels, scores))[known]
    at = np.bincount(places, minlength=count.size * len(levels)).reshape(*count.shape, -1)
    share = at / np.maximum(count, 1)[:, :, None]
    return lambda shift: np.where(is_compared, _by_levels(share, levels, shift), np.nan)


def _by_levels(share: Floats, levels: Floats, shift: float) -> Floats:
    """The chance of each model, over the (L,) rising values that scores have."""
    reached = np.searchsorted(levels, levels + shift + _ROUNDING, side="right") - 1
    total = share.cumsum(axis=2)
    # Who has no generation beats nobody.
    below = np.where(total[:, :, -1:] > 0, total[:, :, reached], 1.0)
    ones = np.ones_like(below[:, :1])
    before = np.concatenate([ones, below[:, :-1]], axis=1).cumprod(axis=1)
    after = np.concatenate([ones, below[:, :0:-1]], axis=1).cumprod(axis=1)[:, ::-1]
    chance: Floats = (share * before * after).sum(axis=2)
    return np.minimum(chance, 1.0)


def _one_by_one(scores: Floats, shift: float) -> Floats:
    """The same, generation by generation, where scores have many values."""
    known = ~np.isnan(scores)
    count = known.sum(axis=2)
    filled = np.where(known, scores, np.inf)  # never at most anything
    result = np.zeros(count.shape)
    for m in range(scores.shape[1]):
        reach = np.where(known[:, m], scores[:, m], -np.inf) + shift + _ROUNDING
        chance = np.ones_like(reach)
        for j in range(scores.shape[1]):
            if j != m:
                below = (filled[:, j, None, :] <= reach[:, :, None]).sum(axis=2)
                of_known = below / np.maximum(count[:, j, None], 1)
                chance *= np.where(count[:, j, None] > 0, of_known, 1.0)
        result[:, m] = np.where(known[:, m], chance, 0).sum(axis=1) / np.maximum(count[:, m], 1)
    return result


def best_shift(scores: Floats) -> float:
    """The t at which labels differ most: the greatest mean absolute pairwise difference.

    Labels change only where t passes a difference between two scores, so those are tried; of more
    than 101 of them, quantiles. The strongest model's label is not counted, as in the paper, where
    only the small model has one.
    """
    candidates = shifts(scores)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(scores, axis=(0, 2)) / (~np.isnan(scores)).sum(axis=(0, 2))
    weaker = np.arange(scores.shape[1]) != int(np.nanargmax(mean))
    labels = _labeller(scores)
    found = [mean_spread(labels(t)[:, weaker]) for t in candidates]
    # Of equally wide spreads the least t, however their sums were rounded.
    return float(candidates[int(np.argmax(np.array(found) >= max(found) - _ROUNDING))])


def shifts(scores: Floats) -> Floats:
    """Rising values of t that are worth trying, the first 0."""
    levels = np.unique(scores[~np.isnan(scores)])
    if len(levels) > 4 * _SHIFTS:
        levels = np.quantile(levels, np.linspace(0, 1, 4 * _SHIFTS))
    gaps = np.unique(np.abs(levels[:, None] - levels).round(9))
    if len(gaps) > _SHIFTS:
        gaps = np.quantile(gaps, np.linspace(0, 1, _SHIFTS), method="nearest")
    return gaps if len(gaps) else np.zeros(1)


def mean_spread(labels: Floats) -> float:
    """Mean over the models of the mean |y_i − y_j| over all pairs of prompts, i = j included."""
    found = []
    for column in labels.T:
        y = np.sort(column[~np.isnan(column)])
        if len(y):
            # In order, y_i is the larger of a pair i times and the smaller of it n − 1 − i times.
            signs = 2 * np.arange(len(y)) - len(y) + 1
            found.append(2 * float(signs @ y) / len(y) ** 2)
    return float(np.mean(found)) if found else 0.0
