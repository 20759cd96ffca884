"""A model's ability from its answers, demands and difficulties being given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, sigmoid

_NEWTON_STEPS = 60
#: Longest Newton step; keeps the first ones from overshooting where all scores are 0 or 1.
_LONGEST_STEP = 1.0


@dataclass(frozen=True)
class AbilityFit:
    """What answers say of a model's ability: the posterior, as a normal about its mode.

    Attributes:
        ability: (K,) the mode.
        covariance: (K, K) inverse of the curvature there (Laplace's approximation).
        answers: How many scores took part.
    """

    ability: Floats
    covariance: Floats
    answers: int

    @property
    def deviation(self) -> Floats:
        """(K,) posterior standard deviation of each entry."""
        result: Floats = np.sqrt(np.diag(self.covariance))
        return result


def fit_ability(
    demand: Floats, difficulty: Floats, score: Floats, precision: Floats, mean: Floats | None = None
) -> Floats:
    """The ability that explains a model's scores, under a normal prior: the posterior's mode.

    Arguments, result and errors are those of `fit_posterior`, whose ability it returns.
    """
    return fit_posterior(demand, difficulty, score, precision, mean).ability


def fit_posterior(
    demand: Floats, difficulty: Floats, score: Floats, precision: Floats, mean: Floats | None = None
) -> AbilityFit:
    """What a model's scores say of its ability, under a normal prior.

    The maximum of a ridge logistic likelihood, by Newton's method; a score between 0 and 1 counts
    as that part of a success. Without an answer the prior comes back.

    Args:
        demand: (P, K) demands of the prompts.
        difficulty: (P,) their difficulties.
        score: (P,) scores 0..1, NaN where the model was not asked.
        precision: Inverse of the prior's covariance: (K, K), or its diagonal (K,) above 0.
        mean: (K,) mean of the prior, 0 by default.

    Raises:
        ConfigurationError: A precision that is not positive.
    """
    prior = _matrix(precision)
    centre = np.zeros(demand.shape[1]) if mean is None else mean
    known = ~np.isnan(score)
    demand, difficulty, score = demand[known], difficulty[known], score[known]
    ability = centre.copy()
    for _ in range(_NEWTON_STEPS):
        success = sigmoid(demand @ ability - difficulty)
        slope = demand.T @ (score - success) - prior @ (ability - centre)
        step = np.linalg.solve(_curvature(demand, success, prior), slope)
        length = float(np.abs(step).max())
        ability = ability + step * min(1.0, _LONGEST_STEP / max(length, 1e-12))
        if length < 1e-8:
            break
    success = sigmoid(demand @ ability - difficulty)
    covariance = np.linalg.inv(_curvature(demand, success, prior))
    return AbilityFit(ability, covariance.astype(np.float64), int(known.sum()))


def fisher_information(demand: Floats, difficulty: Floats, ability: float) -> Floats:
    """How much one answer to each prompt tells of a model's general ability.

    demand² · success · (1 − success), in units of 1 / ability²: n answers of information I each
    leave a standard deviation of 1/√(n·I), without a prior.

    Args:
        demand: (P, K) demands; only the first, general one counts.
        difficulty: (P,) difficulties.
        ability: The general ability the model is thought to have.

    Returns:
        (P,) informations.
    """
    success = sigmoid(demand[:, 0] * ability - difficulty)
    information: Floats = demand[:, 0] ** 2 * success * (1.0 - success)
    return information


def _matrix(precision: Floats) -> Floats:
    prior = np.diag(precision) if precision.ndim == 1 else precision
    if not (np.linalg.eigvalsh(prior) > 0).all():
        raise ConfigurationError(f"prior precisions must be above 0; {precision} was given.")
    return prior


def _curvature(demand: Floats, success: Floats, prior: Floats) -> Floats:
    weights = success * (1.0 - success)
    result: Floats = (demand * weights[:, None]).T @ demand + prior
    return result
