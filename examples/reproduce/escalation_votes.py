"""Sampling a weak model until its vote is decided, and asking the strong one where it is divided.

After arXiv 2310.03094: k samples of the weak model, in one style of prompt or in several by turns;
the share of the most frequent answer decides. Sampling stops as soon as the vote is decided
(adaptive consistency's Beta rule, arXiv 2305.11860), with the product's own function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.answers.votes import lead_probability
from llmroute.evaluation.run import Run
from llmroute.metrics import cost_at, quality_at
from llmroute.metrics.bootstrap import Interval, Resamples, interval
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

#: Most samples of the weak model, and how sure the lead must be for sampling to stop.
MOST, SURE = 7, 0.95
#: Orders in which a prompt's recorded samples are drawn; figures are means over them.
_DRAWS = 20
#: What stands where a program gave no answer.
_NO_RESULT = frozenset({"", "none", "nan", "finished"})
STRONG = "gpt-4"
#: A sample: its answer or None, its score, what it counts.
_Sample = tuple[str | None, float, float]


@dataclass(frozen=True)
class Polls:
    """Recorded samples of a weak model on P prompts, and what the strong one makes of them.

    Attributes:
        ids: The prompts' ids.
        styles: Names of the styles the weak model was sampled in.
        answers: For each prompt and style, the samples: answer or None, and score.
        strong: (P,) mean score of the strong model's samples: what one call is expected to give.
    """

    ids: tuple[str, ...]
    styles: tuple[str, ...]
    answers: tuple[dict[str, list[tuple[str | None, float]]], ...]
    strong: Floats


def polls(outcomes: Outcomes, category: str, weak: str) -> Polls:
    """The prompts of a category that the weak model was sampled on in every of its styles.

    Args:
        outcomes: Outcomes with samples.
        category: The category.
        weak: The weak model's name.
    """
    samples = outcomes.samples
    assert samples is not None, "read with samples=True"
    names = np.array(samples.models)[samples.model]
    styles = np.array(samples.styles)[samples.style]
    found: dict[int, dict[str, list[tuple[str | None, float]]]] = {}
    strong: dict[int, list[float]] = {}
    for prompt, name, style, result, score in zip(
        samples.prompt.tolist(), names, styles, samples.result, samples.score.tolist(), strict=True
    ):
        if outcomes.categories[prompt] != category:
            continue
        if name == weak:
            answer = None if result is None or result.lower() in _NO_RESULT else str(result)
            found.setdefault(prompt, {}).setdefault(str(style), []).append((answer, score))
        elif name == STRONG and "greedy" not in style:
            strong.setdefault(prompt, []).append(score)
    used = sorted({style for by_style in found.values() for style in by_style})
    kept = [p for p in sorted(found) if p in strong and len(found[p]) == len(used)]
    return Polls(
        ids=tuple(outcomes.prompt_ids[p] for p in kept),
        styles=tuple(used),
        answers=tuple(found[p] for p in kept),
        strong=np.array([np.mean(strong[p]) for p in kept]),
    )


@dataclass(frozen=True)
class Votes:
    """What sampling came to, for P prompts and D orders of their samples.

    Attributes:
        share: (P, D) share of the most frequent answer, as after one more sample each way.
        score: (P, D) score of that answer.
        samples: (P, D) how many samples were drawn.
    """

    share: Floats
    score: Floats
    samples: Floats


def style_weights(recorded: Polls) -> dict[str, float]:
    """What a sample of each style counts in a vote: more where the style is more often right.

    1 plus the logit of its accuracy, a third at least: with as many ways to be wrong as to be right
    the logit alone would be what a vote is worth, and with more of them each vote is worth more.

    Args:
        recorded: Samples to learn from, of the train split.
    """
    weights = {}
    for style in recorded.styles:
        scores = [score for one in recorded.answers for _, score in one[style]]
        right = min(max(float(np.mean(scores)), 0.01), 0.99)
        weights[style] = max(1 + math.log(right / (1 - right)), 1 / 3)
    return weights


def vote(
    recorded: Polls,
    styles: Sequence[str],
    weights: Mapping[str, float],
    most: int = MOST,
    sure: float = SURE,
) -> Votes:
    """Samples in the styles by turns until the vote is decided.

    Args:
        recorded: The samples.
        styles: Names of the styles, in the order of their turns.
        weights: What a sample of each counts.
        most: Most samples of a prompt.
        sure: Probability that the leading answer stays ahead from which sampling stops.
    """
    rng = np.random.default_rng(0)
    shape = len(recorded.answers), _DRAWS
    share, score, drawn = np.zeros((3, *shape))
    mean = sum(weights[style] for style in styles) / len(styles)
    of_style = {style: weights[style] / mean for style in styles}
    for row, by_style in enumerate(recorded.answers):
        for draw in range(_DRAWS):
            turns = [_weighed(by_style[style], of_style[style], rng) for style in styles]
            order = [turn[k] for k in range(most) for turn in turns if k < len(turn)][:most]
            share[row, draw], score[row, draw], drawn[row, draw] = _poll(order, sure)
    return Votes(share, score, drawn)


def _weighed(
    samples: list[tuple[str | None, float]], weight: float, rng: np.random.Generator
) -> list[_Sample]:
    """The samples in an order drawn at random, with what each counts."""
    return [(*samples[k], weight) for k in rng.permutation(len(samples)).tolist()]


def _poll(order: list[_Sample], sure: float) -> tuple[float, float, int]:
    """Share, score and number of samples of one sequence."""
    counts: dict[str, int] = {}
    weighed: dict[str, float] = {}
    scores: dict[str, float] = {}
    drawn, total = 0, 0.0
    for answer, score, weight in order:
        drawn, total = drawn + 1, total + weight
        if answer is not None:
            counts[answer] = counts.get(answer, 0) + 1
            weighed[answer] = weighed.get(answer, 0.0) + weight
            scores.setdefault(answer, score)
        ahead = [*sorted(counts.values(), reverse=True), 0, 0]
        if lead_probability(ahead[0], ahead[1]) >= sure:
            break
    if not counts:
        return 1 / (total + 2), 0.0, drawn
    best = max(weighed, key=lambda answer: weighed[answer])
    return (weighed[best] + 1) / (total + 2), scores[best], drawn


def escalated(name: str, recorded: Polls, votes: Votes) -> Run:
    """The strong model where the share is below a threshold, over thresholds; cost is its calls.

    Args:
        name: What it is called in a report.
        recorded: The samples.
        votes: What they came to.
    """
    levels = np.unique(np.round(votes.share, 9))
    parameter = np.append(levels, levels[-1] + 1)
    strong = np.stack([(np.round(votes.share, 9) < level).mean(axis=1) for level in parameter])
    score = np.stack(
        [
            np.where(np.round(votes.share, 9) < level, recorded.strong[:, None], votes.score).mean(
                axis=1
            )
            for level in parameter
        ]
    )
    return Run(name=name, score=score, cost=strong, strong=strong, parameter=parameter)


@dataclass(frozen=True)
class VoteFigures:
    """What a way of sampling is worth on some prompts.

    Attributes:
        weak: Accuracy of the vote alone.
        strong: Accuracy of the strong model alone.
        share: Share of prompts the strong model must be asked to reach its accuracy; NaN where
            only asking it always does.
        quarter: Accuracy at a quarter of strong calls.
        area: Mean accuracy over all shares of strong calls.
        samples: Mean samples of the weak model.
    """

    weak: Interval
    strong: Interval
    share: Interval
    quarter: Interval
    area: Interval
    samples: float


def vote_figures(run: Run, recorded: Polls, votes: Votes, replicates: int = 1000) -> VoteFigures:
    """The figures of a sweep, with intervals over prompts.

    Args:
        run: The sweep.
        recorded: The samples.
        votes: What they came to.
        replicates: Of the bootstrap.
    """
    resamples = Resamples(recorded.ids, replicates)
    points = np.stack([resamples.means(run.cost.T), resamples.means(run.score.T)], axis=-1)
    target = resamples.means(recorded.strong)
    prompts = len(recorded.ids)
    width, height = np.diff(points[..., 0]), points[..., 1]
    area = (width * (height[:, 1:] + height[:, :-1]) / 2).sum(axis=1)
    return VoteFigures(
        weak=interval(height[:, 0], prompts),
        strong=interval(target, prompts),
        share=interval(cost_at(points, target[:, None])[:, 0], prompts),
        quarter=interval(quality_at(points, 0.25), prompts),
        area=interval(area, prompts),
        samples=float(votes.samples.mean()),
    )
