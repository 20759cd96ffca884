"""What a few answers on top of a router are worth: `LocalScorer` measured.

Answers are drawn from the train part, several times; intervals are over the test prompts and the
draws together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from examples.reproduce.profile_data import Field, pooled, shown, without_abilities
from llmroute.evaluation import Outcomes, pool_from_outcomes
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.splits import category_splits, is_held
from llmroute.pool import ModelPool
from llmroute.profiling.ability_profile import fit_abilities
from llmroute.routers.dataset import dataset_of
from llmroute.routers.trainer import fit_scorer, new_card
from llmroute.scoring import load_latent
from llmroute.scoring.local import LocalScorer

BASE = "static"
#: A router fitted on some answers: its estimates for prompts.
Fit = Callable[[Outcomes, ModelPool, Sequence[str]], Floats]

LOCAL_HEADS = ["data, measure", "answers", "base alone", "local alone", "combined", "over base"]
LOCAL_HEADS += ["over local", "abilities fitted"]
UNSEEN_HEADS = ["data", "", "all categories in training", "categories left out"]
UNSEEN_HEADS += ["mixing learned there"]


def combined(answers: Outcomes, pool: ModelPool, prompts: Sequence[str]) -> Floats:
    """(P, M) qualities by the base router and answers together.

    Args:
        answers: The answers.
        pool: The models.
        prompts: P prompts to estimate.
    """
    return LocalScorer.fit(answers, BASE, pool=pool).estimate(prompts, pool).quality


def alone(answers: Outcomes, pool: ModelPool, prompts: Sequence[str]) -> Floats:
    """(P, M) qualities by answers alone: `llmroute train --router linear`.

    Args:
        answers: The answers.
        pool: The models.
        prompts: P prompts to estimate.
    """
    # Of fifty prompts the tenth that the router keeps for validation may be none, by hash.
    seeds = (s for s in itertools.count() if any(is_held(p, s) for p in answers.prompts))
    lessons = dataset_of([answers], seed=next(seeds))
    scorer = fit_scorer(new_card("linear", lessons, "local", features="words"), lessons)
    return scorer.estimate(prompts, pool).quality


def fitted_abilities(answers: Outcomes, pool: ModelPool, prompts: Sequence[str]) -> Floats:
    """(P, M) qualities by the base router, abilities fitted from the answers.

    Args:
        answers: The answers.
        pool: The models.
        prompts: P prompts to estimate.
    """
    return load_latent(BASE).estimate(prompts, fit_abilities(pool, answers, BASE)).quality


WAYS: dict[str, Fit] = {"local": alone, "combined": combined, "fitted": fitted_abilities}


def local_rows(field: Field, draws: int, sizes: Sequence[int]) -> Iterator[list[str]]:
    """Rows of the table of few answers.

    Args:
        field: The data.
        draws: How often answers are drawn.
        sizes: How many answers (of each model) are drawn.
    """
    pool = field.pool()
    base = load_latent(BASE).estimate(field.test.prompts, pool)
    before = field.figures(base.quality, base.cost)
    drawn = {
        size: [
            {way: field.figures(each, base.cost) for way, each in quality.items()}
            for quality in (_estimated(field, pool, size, seed) for seed in range(draws))
        ]
        for size in sizes
    }
    for measure in field.measures:
        for size in sizes:
            by_way = {way: np.stack([one[way][measure] for one in drawn[size]]) for way in WAYS}
            both, own = by_way["combined"], by_way["local"]
            yield [
                f"{field.name}, {measure}" if size == sizes[0] else "",
                str(size),
                shown(before[measure]) if size == sizes[0] else "",
                shown(pooled(own)),
                shown(pooled(both)),
                shown(pooled(both - before[measure]), "+.4f"),
                shown(pooled(both - own), "+.4f"),
                shown(pooled(by_way["fitted"])),
            ]


def _estimated(field: Field, pool: ModelPool, size: int, seed: int) -> dict[str, Floats]:
    """Each way's (P, M) qualities for the test prompts, by answers drawn with one seed."""
    random = np.random.default_rng(1000 * size + seed)
    quality = {way: np.empty(field.test.score.shape) for way in WAYS}
    for learn, held in field.splits():
        answers = field.train.select(random.choice(learn, min(size, len(learn)), replace=False))
        prompts = [field.test.prompts[row] for row in held]
        for way, fit in WAYS.items():
            quality[way][held] = fit(answers, pool, prompts)
    return quality


def unseen_rows(field: Field) -> Iterator[list[str]]:
    """Rows of the table of categories nobody labelled, plain and cautious, on data with costs.

    Args:
        field: The data.
    """
    for name, cautious in (("plain", False), ("cautious", True)):
        everything = np.arange(len(field.train)), np.arange(len(field.test))
        home, _ = _corrected(field, [everything], cautious)
        away, mixing = _corrected(field, category_splits(field.test, field.train), cautious)
        figures = [shown(field.closed(each), "+.1f", 100) for each in (home, away)]
        yield [field.name, name, *figures, ", ".join(f"{share:.2g}" for share in mixing)]


def _corrected(
    field: Field, parts: Iterable[tuple[Ints, Ints]], cautious: bool
) -> tuple[Floats, list[float]]:
    """(R+1,) AIQ of scorers fitted on the first rows for the second ones, and their mixing."""
    quality, cost = np.empty((2, *field.test.score.shape))
    mixing = []
    for learn, held in parts:
        known = field.train.select(learn)
        pool = without_abilities(pool_from_outcomes(known))
        scorer = LocalScorer.fit(known, BASE, pool=pool, cautious=cautious)
        found = scorer.estimate([field.test.prompts[row] for row in held], pool)
        quality[held], cost[held] = found.quality, found.cost
        mixing.append(scorer.mixing)
    return field.aiq(quality, cost), mixing
