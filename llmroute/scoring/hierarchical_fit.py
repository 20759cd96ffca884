"""What local answers add to a router's logits: shrunken logistic corrections, shared and per model.

    logit of model m on prompt p = base logit + (shared + own_m) · features of p

Every weight has a normal prior of mean 0, so without answers the base's logits stand. How strongly
a block of weights is drawn to 0 follows from the answers: its variance is the one that maximises
the marginal likelihood, by the fixed-point rule of the evidence framework (MacKay, Neural
Computation 1992), under a prior on the variance that a few answers cannot overrule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.numerics import Floats, sigmoid

#: Rounds of weights and variances by turns; in the first few the variances stay.
_ROUNDS, _STILL = 15, 2
#: Longest step of a weight in one round.
_LONGEST_STEP = 2.0
_LEAST_VARIANCE, _LEAST_CURVATURE = 1e-9, 1e-6


@dataclass(frozen=True)
class Block:
    """Features whose weights share a variance.

    Attributes:
        name: Short name.
        columns: Which columns of the features they are.
        shared: Prior variance of the weights that all models share.
        own: Prior variance of each model's departure from those; (M,) where models differ.
        trust: How many weights' worth of evidence the two count as; None where the answers do not
            change them.
    """

    name: str
    columns: slice
    shared: float
    own: float | Floats
    trust: float | None


@dataclass(frozen=True)
class Weights:
    """Fitted weights: shared (D,), and each model's departures, own (M, D)."""

    shared: Floats
    own: Floats

    def add_to(self, base: Floats, features: Floats) -> Floats:
        """(P, M) corrected logits."""
        total = self.shared + self.own
        logits: Floats = base * (1.0 + total[:, -1]) + features @ total[:, :-1].T
        return logits


def fit_weights(base: Floats, features: Floats, score: Floats, blocks: Sequence[Block]) -> Weights:
    """The weights that answers speak for, under the blocks' priors.

    Shared and own weights are fitted by turns, by Newton's method (a mean-field approximation of
    their posterior); the prior's variances are set between the rounds.

    Args:
        base: (P, M) the base's logits.
        features: (P, D − 1) features beside them.
        score: (P, M) scores 0..1, NaN where a model was not asked.
        blocks: Together they cover the D columns once; the last column is the base's logit.
    """
    width, models = features.shape[1] + 1, score.shape[1]
    known = ~np.isnan(score)
    rows = [np.column_stack([features, base[:, m]])[known[:, m]] for m in range(models)]
    target = [score[known[:, m], m] for m in range(models)]
    start = [base[known[:, m], m] for m in range(models)]
    weights = Weights(np.zeros(width), np.zeros((models, width)))
    shared, own = np.empty(width), np.empty((models, width))
    for block in blocks:
        shared[block.columns] = block.shared
        own[:, block.columns] = np.reshape(block.own, (-1, 1))
    for turn in range(_ROUNDS):
        gone = np.empty((models, width))
        slope, curvature = _sums(weights, rows, start, target)
        for m in range(models):
            step, left = _newton(slope[m], curvature[m], weights.own[m], own[m])
            weights.own[m] += step
            gone[m] = left / own[m]
        slope, curvature = _sums(weights, rows, start, target)
        step, left = _newton(slope.sum(0), curvature.sum(0), weights.shared, shared)
        weights = Weights(weights.shared + step, weights.own)
        if turn >= _STILL:
            for block in blocks:
                _revise(block, weights, left / shared, gone, shared, own)
    return weights


def _sums(
    weights: Weights, rows: list[Floats], start: list[Floats], target: list[Floats]
) -> tuple[Floats, Floats]:
    """(M, D) slopes and (M, D, D) curvatures of the models' log likelihoods."""
    slopes, curvatures = [], []
    for m, (x, base, wanted) in enumerate(zip(rows, start, target, strict=True)):
        success = sigmoid(base + x @ (weights.shared + weights.own[m]))
        bend = np.maximum(success * (1.0 - success), _LEAST_CURVATURE)
        slopes.append(x.T @ (wanted - success))
        curvatures.append((x * bend[:, None]).T @ x)
    return np.stack(slopes), np.stack(curvatures)


def _newton(
    slope: Floats, curvature: Floats, weights: Floats, variance: Floats
) -> tuple[Floats, Floats]:
    """A Newton step under the prior, and the (D,) posterior variances."""
    covariance = np.linalg.inv(curvature + np.diag(1.0 / variance))
    step = covariance @ (slope - weights / variance)
    shortened = step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))
    return shortened, np.diag(covariance)


def _revise(
    block: Block, weights: Weights, left: Floats, gone: Floats, shared: Floats, own: Floats
) -> None:
    """Sets a block's variances to what its weights speak for; `left` is posterior over prior."""
    if block.trust is None:
        return
    columns, trust = block.columns, block.trust

    def revised(prior: float, found: Floats, share_left: Floats) -> float:
        determined = float(np.maximum(1.0 - share_left, 0.0).sum())
        variance = (trust * prior + float((found**2).sum())) / (trust + determined)
        return max(variance, _LEAST_VARIANCE)

    shared[columns] = revised(block.shared, weights.shared[columns], left[columns])
    mean_own = float(np.mean(block.own))
    own[:, columns] = revised(mean_own, weights.own[:, columns], gone[:, columns])
