"""Abilities of the training models: a start for training, and the exact fit after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmroute.numerics import Floats, logit
from llmroute.scoring.ability_fit import fit_ability
from llmroute.training.data import TrainingSet

_ROUNDS = 30
_MEAN_BOUND = 0.02


@dataclass(frozen=True)
class Abilities:
    """Ability vectors in units of the training models' spread.

    Attributes:
        vectors: (M, K), the first column of mean 0 and standard deviation 1.
        general_demand: Demand for general ability in these units.
        difficulty_shift: What to add to difficulties so that successes stay as they were.
    """

    vectors: Floats
    general_demand: float
    difficulty_shift: float


def starting_general(data: TrainingSet) -> Floats:
    """General abilities from mean scores alone, sources being of unequal difficulty.

    logit(mean score of model m in source s) = ability_m − difficulty_s, fitted by turns; models
    that occur in several sources tie these together. Without a good start the models that only a
    small source knows would stay where chance put them.

    Returns:
        (M,) standardised.
    """
    kept = ~data.validation
    logits = np.full((int(data.source.max()) + 1, len(data.models)), np.nan)
    for source in range(len(logits)):
        score = data.score[kept & (data.source == source)]
        known = ~np.isnan(score)
        asked = known.any(axis=0)
        mean = np.where(known, score, 0.0).sum(axis=0)[asked] / known.sum(axis=0)[asked]
        logits[source, asked] = logit(mean, _MEAN_BOUND)
    ability = np.zeros(len(data.models))
    asked = ~np.isnan(logits)
    filled = np.where(asked, logits, 0.0)
    for _ in range(_ROUNDS):
        difficulty = (asked * ability - filled).sum(1) / np.maximum(asked.sum(1), 1)
        sums = (filled + asked * difficulty[:, None]).sum(0)
        ability = sums / (asked.sum(0) + 0.1)
    spread = ability.std()
    standard: Floats = (ability - ability.mean()) / (spread if spread > 0 else 1.0)
    return standard


def refit(data: TrainingSet, demand: Floats, difficulty: Floats, shrinkage: float) -> Abilities:
    """Every training model's ability under the trained demands and difficulties."""
    score = data.score[~data.validation].astype(np.float64)
    precision = np.full(demand.shape[1], shrinkage)
    precision[0] = 1.0
    vectors = np.stack(
        [fit_ability(demand, difficulty, score[:, m], precision) for m in range(score.shape[1])]
    )
    mean, spread = float(vectors[:, 0].mean()), float(vectors[:, 0].std())
    spread = spread if spread > 0 else 1.0
    general_demand = float(demand[0, 0])
    vectors[:, 0] = (vectors[:, 0] - mean) / spread
    return Abilities(vectors, general_demand * spread, -general_demand * mean)
