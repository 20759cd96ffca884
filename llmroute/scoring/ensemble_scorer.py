"""Two scorers as one: `load_scorer("ensemble")` is the bundled `static` and `minilm` together.

Their log odds are averaged, with a weight. Scorers that read a prompt differently err differently,
so the mean errs less than most of its parts; it costs what both cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, logit, sigmoid
from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.scoring.scorer import Scorer
from llmroute.scoring.text import RoutingText, read_all

if TYPE_CHECKING:
    from llmroute.outcomes.outcomes import Outcomes


#: Weights that are tried where one is fitted.
_TRIED = tuple(step / 20 for step in range(21))
_LEAST = 1e-4


class EnsembleScorer:
    """Two scorers, averaged. Thread-safe if both are.

    Quality and prior are averaged as log odds; cost, tokens, latency and prompt tokens as they are,
    half and half, or taken from the one that knows them. A prompt is unfamiliar where both say so.

    Args:
        first: A scorer.
        second: Another.
        weight: Weight of the first in the log odds, 0..1; the second has the rest.
        name: Short name.

    Raises:
        ConfigurationError: The weight is outside 0..1.
    """

    def __init__(
        self, first: Scorer, second: Scorer, weight: float = 0.5, *, name: str = "ensemble"
    ) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigurationError(
                f"the weight of an ensemble's first scorer is 0..1; {weight!r} was given."
            )
        self.first, self.second, self.weight = first, second, float(weight)
        self.name = name
        self.version = (
            f"{first.name} {first.version} × {self.weight:g} + "
            f"{second.name} {second.version} × {1 - self.weight:g}"
        )

    @classmethod
    def fit(
        cls, first: Scorer, second: Scorer, outcomes: Outcomes, pool: ModelPool | None = None
    ) -> EnsembleScorer:
        """The ensemble whose weight has the least log loss on outcomes.

        Args:
            first: A scorer.
            second: Another.
            outcomes: Outcomes that neither was trained on, missing cells allowed.
            pool: The outcomes' models in their order; by default known by their names alone.

        Raises:
            ConfigurationError: No score is known.
        """
        members = ModelPool(list(outcomes.models)) if pool is None else pool
        losses = weight_losses(first, second, outcomes, members)
        return cls(first, second, min(losses, key=losses.__getitem__))

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models."""
        read = read_all(prompts)
        one, two = self.first.estimate(read, pool), self.second.estimate(read, pool)
        return Estimates(
            models=one.models,
            quality=_odds_mean(one.quality, two.quality, self.weight),
            cost=_known_mean(one.cost, two.cost),
            tokens=_known_mean(one.tokens, two.tokens),
            latency=_known_mean(one.latency, two.latency),
            prompt_tokens=_known_mean(one.prompt_tokens, two.prompt_tokens),
            unfamiliar=one.unfamiliar & two.unfamiliar,
            prior_quality=_odds_mean(one.prior_quality, two.prior_quality, self.weight),
            scorer=f"{self.name} {self.version}",
            output_cost=_mean_of_both(one.output_cost, two.output_cost),
            output_range=_mean_of_both(one.output_range, two.output_range),
        )


def weight_losses(
    first: Scorer, second: Scorer, outcomes: Outcomes, pool: ModelPool
) -> dict[float, float]:
    """Mean log loss of the ensemble by the weight of its first scorer, 0 to 1 in twentieths.

    Raises:
        ConfigurationError: No score is known.
    """
    known = ~np.isnan(outcomes.score)
    if not known.any():
        raise ConfigurationError(f"{outcomes.source} has no score, so no weight can be fitted.")
    one = first.estimate(outcomes.prompts, pool).quality
    two = second.estimate(outcomes.prompts, pool).quality
    right = outcomes.score[known]
    losses = {}
    for weight in _TRIED:
        p = np.clip(_odds_mean(one, two, weight)[known], _LEAST, 1 - _LEAST)
        losses[weight] = float(-(right * np.log(p) + (1 - right) * np.log(1 - p)).mean())
    return losses


def _odds_mean(one: Floats, two: Floats, weight: float) -> Floats:
    return sigmoid(weight * logit(one) + (1 - weight) * logit(two))


def _known_mean(one: Floats, two: Floats) -> Floats:
    """The mean; where one is unknown, the other."""
    both = (one + two) / 2
    known: Floats = np.where(np.isnan(one), two, np.where(np.isnan(two), one, both))
    return known


def _mean_of_both(one: Floats | None, two: Floats | None) -> Floats | None:
    return None if one is None or two is None else _known_mean(one, two)
