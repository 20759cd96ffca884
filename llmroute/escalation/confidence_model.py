"""What a confidence says of an answer, and which confidences are to be expected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from llmroute.escalation.latent_difficulty import GRID, LEAST
from llmroute.numerics import Floats

#: Where scores are cut when a plan looks at confidences that may come.
_CUTS: Floats = np.array([-1.0, 0.0, 1.0])
#: No confidence counts for more than this many standard deviations.
_MOST = 2.4

#: Names in a calibration file that differ from those in the code: format 1 is older than they are.
_IN_FILE = {"intercept": "level", "discrimination": "reach", "shared_error_rate": "tempted"}
#: How values are read from a calibration file, and written to it.
IN_FILE = ConfigDict(
    extra="forbid",
    allow_inf_nan=False,
    alias_generator=lambda name: _IN_FILE.get(name, name),
    populate_by_name=True,
)
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class ConfidenceModel:
    """How one kind of confidence of one model depends on whether its answer is good.

    A confidence becomes a standard score by its rank among `knots`, evenly spaced quantiles of the
    model's confidences, or among those that were observed of it; where neither is known, by its
    logit. The score is normal about intercept + gap·good + load·θ + both·good·θ + prior·logit
    + shared_error_rate·(the answer is the shared error).

    Attributes:
        knots: (K,) rising quantiles of the confidence, 0..1; empty where none are known.
        intercept: Mean of bad answers' scores.
        gap: How much higher good answers' lie.
        load: What θ adds.
        both: What θ adds for good answers.
        prior: What the prior logit adds.
        shared_error_rate: How much higher the scores of the shared error lie.
        spread: Standard deviation.
        centre: The logit whose score is 0, where no quantiles are known; 2.2 is 0.9.
        scale: Logits in one score, likewise.
    """

    __pydantic_config__ = IN_FILE

    knots: tuple[float, ...] = ()
    intercept: float = -0.6
    gap: float = 0.9
    load: float = 0.2
    both: float = 0.0
    prior: float = 0.0
    shared_error_rate: float = 0.3
    spread: Positive = 0.85
    centre: float = 2.2
    scale: Positive = 2.5

    def standard_score(self, confidence: float, rank: float | None = None) -> float:
        """The score of a confidence.

        Args:
            confidence: 0..1.
            rank: The share of the model's confidences that lie below it, 0..1, where some were
                observed of a model whose quantiles are not known.
        """
        if self.knots:
            ranks = np.linspace(0, 1, len(self.knots))
            rank = float(np.interp(confidence, self.knots, ranks))
        if rank is not None:
            score = NormalDist().inv_cdf(min(max(rank, 1e-6), 1 - 1e-6))
        else:
            inner = min(max(confidence, LEAST), 1 - LEAST)
            score = (math.log(inner / (1 - inner)) - self.centre) / self.scale
        return max(-_MOST, min(_MOST, score))

    def log_likelihoods(self, score: float, logit: float) -> Floats:
        """(3, D) log-likelihoods of a standard score: answer good, the shared error, else wrong.

        `logit` is that of the model's prior, as in `bins`.
        """
        result: Floats = -0.5 * ((score - self._means(logit)) / self.spread) ** 2
        return result

    def bins(self, logit: float) -> tuple[Floats, Floats, Floats]:
        """(4, D) each: probability of a score between the cuts; good, shared error, wrong."""
        scores = (_CUTS[:, None, None] - self._means(logit)) / self.spread
        # The normal distribution function, to three places, which is all that planning needs.
        below = 0.5 * (1 + np.tanh(0.7978845608 * (scores + 0.044715 * scores**3)))
        shares = np.diff(below, axis=0, prepend=0.0, append=1.0)
        return shares[:, 0], shares[:, 1], shares[:, 2]

    def _means(self, logit: float) -> Floats:
        """(3, D) mean scores of a good answer, the shared error, and another wrong one."""
        wrong = self.intercept + self.prior * logit + self.load * GRID
        good = wrong + self.gap + self.both * GRID
        return np.stack([good, wrong + self.shared_error_rate, wrong])
