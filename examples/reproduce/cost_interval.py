"""How often a call's recorded cost lies in the interval that was stated before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.pool_fit import pool_from_outcomes


@dataclass(frozen=True)
class Coverage:
    """Where recorded costs lie.

    Attributes:
        cells: (prompt, model) pairs with a recorded cost.
        inside: Part of them in the interval; 80 % is what it says.
        below: Part that was cheaper.
        above: Part that was dearer.
    """

    cells: int
    inside: float
    below: float
    above: float


def coverage(scorer: LatentAbilityScorer, train: Outcomes, test: Outcomes) -> Coverage | None:
    """Measures the interval on recorded costs.

    Verbosity is fitted on the train part. Where token counts are recorded beside the costs, the
    providers' prices are found from them, and the input is counted as recorded: the requests were
    longer than the prompts that stand in the data, by worked examples that a router would have
    seen. Elsewhere the effective prices of `pool_from_outcomes` stand in for both.

    Args:
        scorer: The router.
        train: Answers to fit on.
        test: Answers of the same models to measure on.

    Returns:
        None where no costs are recorded.
    """
    if test.cost is None or train.cost is None:
        return None
    fitted = pool_from_outcomes(train, scorer)
    members = [_at_prices(fitted[name], train, m) for m, name in enumerate(train.models)]
    pool = ModelPool(members)
    stated = scorer.estimate(test.prompts, pool)
    unseen = np.zeros_like(test.cost)
    if test.prompt_tokens is not None:
        unseen = (test.prompt_tokens - stated.prompt_tokens[:, None]) * pool.arrays.input_price
    known = ~np.isnan(test.cost) & ~np.isnan(stated.cost + unseen)
    below = (test.cost < stated.cost_low + unseen)[known]
    above = (test.cost > stated.cost_high + unseen)[known]
    return Coverage(
        cells=int(known.sum()),
        inside=float(1 - below.mean() - above.mean()),
        below=float(below.mean()),
        above=float(above.mean()),
    )


def _at_prices(model: Model, train: Outcomes, index: int) -> Model:
    """The model at the prices that its token counts and costs were recorded with."""
    if train.cost is None or train.prompt_tokens is None or train.completion_tokens is None:
        return model
    columns = np.stack([train.prompt_tokens[:, index], train.completion_tokens[:, index]], axis=1)
    cost = train.cost[:, index]
    known = ~np.isnan(columns).any(axis=1) & ~np.isnan(cost)
    prices = np.linalg.lstsq(columns[known] / 1e6, cost[known], rcond=None)[0]
    given, made = (max(float(price), 0.0) for price in prices)
    return Model(model.name, input_price=given, output_price=made, verbosity=model.verbosity)
