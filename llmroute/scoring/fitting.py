"""A model's ability from its answers, demands and difficulties being given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError

Floats = npt.NDArray[np.float64]

_NEWTON_STEPS = 60
#: Longest Newton step; keeps the first ones from overshooting where all scores are 0 or 1.
_LONGEST_STEP = 1.0


def fit_ability(
    demand: Floats, difficulty: Floats, score: Floats, precision: Floats, mean: Floats | None = None
) -> Floats:
    """The ability that explains a model's scores, under a normal prior.

    The maximum of a ridge logistic likelihood, by Newton's method; a score between 0 and 1 counts
    as that part of a success. Without an answer the prior mean comes back.

    Args:
        demand: (P, K) demands of the prompts.
        difficulty: (P,) their difficulties.
        score: (P,) scores 0..1, NaN where the model was not asked.
        precision: (K,) inverse variances of the prior, above 0.
        mean: (K,) mean of the prior, 0 by default.

    Returns:
        (K,) ability vector.

    Raises:
        ConfigurationError: A precision that is not above 0.
    """
    if not (precision > 0).all():
        raise ConfigurationError(f"prior precisions must be above 0; {precision} was given.")
    centre = np.zeros(demand.shape[1]) if mean is None else mean
    known = ~np.isnan(score)
    demand, difficulty, score = demand[known], difficulty[known], score[known]
    ability = centre.copy()
    for _ in range(_NEWTON_STEPS):
        success = 0.5 * (1.0 + np.tanh(0.5 * (demand @ ability - difficulty)))
        slope = demand.T @ (score - success) - precision * (ability - centre)
        weights = success * (1.0 - success)
        curvature = (demand * weights[:, None]).T @ demand + np.diag(precision)
        step = np.linalg.solve(curvature, slope)
        length = float(np.abs(step).max())
        ability = ability + step * min(1.0, _LONGEST_STEP / max(length, 1e-12))
        if length < 1e-8:
            break
    return ability
