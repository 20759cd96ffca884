"""The ways to choose that every router is compared with: single models, chance, oracle, category.

Each gives a `Run` on outcomes of P prompts that all M models answered. A baseline that learns takes
a `train` table; without one it is cross-fitted: prompts are dealt to five folds, and what is
learned on four of them is used on the fifth, so that a prompt's own answers never take part in its
estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation.run import Run, run_of_choices, spend_of, strongest
from llmroute.metrics import oracle_choice
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import (
    check_every_model_answered,
    mean_of_known,
    names_to_indices,
    splits,
)
from llmroute.routers.base import group_means

#: Qualities that differ by no more are equal: the rest is how sums and products were rounded.
_EQUAL = 1e-12
#: Settings of a sweep of the willingness to pay, and thresholds of a sweep between two models.
SETTINGS, THRESHOLDS = 65, 101


def single(outcomes: Outcomes, model: int) -> Run:
    """The model of one column for every prompt. The run bears the model's name."""
    return _constant(outcomes.models[model], outcomes, [model])


def singles(outcomes: Outcomes) -> Iterator[Run]:
    """`single` for each of the M models, in their order."""
    return (single(outcomes, m) for m in range(len(outcomes.models)))


def cheapest(outcomes: Outcomes) -> Run:
    """The model of the lowest mean spend; of equals, the weakest."""
    return _constant("cheapest", outcomes, rising_spend(outcomes)[:1].tolist())


def zero_router(outcomes: Outcomes) -> Run:
    """The single models as settings of one run; its hull is the zero router of arXiv 2403.12031.

    Mixing single models at random reaches every point of the hull; between two models that is the
    line from the weak to the strong one. A router below it is useless.
    """
    return _constant("zero", outcomes, rising_spend(outcomes).tolist())


def random_choice(outcomes: Outcomes) -> Run:
    """A model drawn uniformly for each prompt, in expectation."""
    shape = (1, len(outcomes))
    return Run(
        name="random",
        score=outcomes.score.mean(axis=1).reshape(shape),
        cost=spend_of(outcomes).mean(axis=1).reshape(shape),
        strong=np.full(shape, 1 / len(outcomes.models)),
        parameter=np.zeros(1),
        preference=np.zeros(len(outcomes)) if len(outcomes.models) == 2 else None,
    )


def oracle_sweep(outcomes: Outcomes) -> Run:
    """The router that knows every score and cost beforehand.

    With costs: argmax λ·score − cost over λ; at the last λ it takes the cheapest of the best. Two
    models without costs: the strong model where it gains at least the threshold. More models
    without costs: one of the best.
    """
    score, cost = outcomes.score, outcomes.cost
    if cost is None and len(outcomes.models) == 2:
        return estimates_run("oracle", outcomes, score)
    if cost is None:
        pay, choices = np.zeros(1), oracle_choice(score)[None]
    else:
        pay = willingness_to_pay(score, cost)
        choices = np.vstack([_best_value(score, cost, pay), oracle_choice(score, cost)])
        pay = np.append(pay, _enough_for_any_gain(score, cost, pay))
    return run_of_choices("oracle", outcomes, choices, pay, quality=score)


def category_prior(
    outcomes: Outcomes, train: Outcomes | None = None, *, strength: float = 10.0
) -> Run:
    """A model's mean score in the prompt's category as its estimate: what a label alone is worth.

    Means are shrunk to the model's mean over all categories, which is also the estimate in a
    category that was not seen; `strength` is its weight, in prompts. Of `train` cells may be
    missing. See `fitted_run` for errors.
    """
    source = outcomes if train is None else train
    names, label = np.unique([*source.categories, *outcomes.categories], return_inverse=True)
    known, asked = label[: len(source)], label[len(source) :]
    columns = names_to_indices(source, outcomes.models)

    def predict(learn: Ints, held: Ints) -> Floats:
        score = source.score[np.ix_(learn, columns)]
        return group_means(score, known[learn], len(names), strength)[asked[held]]

    return fitted_run("category", outcomes, train, predict)


def fitted_run(
    name: str, outcomes: Outcomes, train: Outcomes | None, predict: Callable[[Ints, Ints], Floats]
) -> Run:
    """The run of a learned estimate, with each model's mean training cost as its cost.

    `predict` goes from prompts to learn from, indices into `train` (or, without one, `outcomes`),
    and prompts to estimate, H indices into `outcomes`, to (H, M) quality. ConfigurationError where
    `train` lacks a model or its costs, or there is too little to cross-fit.
    """
    source = outcomes if train is None else train
    columns = names_to_indices(source, outcomes.models)
    check_every_model_answered(source, columns)
    if outcomes.cost is not None and source.cost is None:
        raise ConfigurationError(
            f"{outcomes.source} has costs and {source.source}, which is learned from, has none; "
            "give a train table with costs."
        )
    quality = np.empty(outcomes.score.shape)
    cost = None if outcomes.cost is None else np.empty(outcomes.score.shape)
    for learn, held in splits(outcomes, train):
        quality[held] = predict(learn, held)
        if cost is not None and source.cost is not None:
            cost[held] = mean_of_known(source.cost[np.ix_(learn, columns)])
    return estimates_run(name, outcomes, quality, cost)


def estimates_run(
    name: str,
    outcomes: Outcomes,
    quality: Floats,
    cost: Floats | None = None,
    *,
    preference: Floats | None = None,
) -> Run:
    """A sweep of the choices that estimates lead to.

    With recorded costs, argmax λ·quality − cost over λ (RouterBench, arXiv 2403.12031); of equal
    values the cheaper model's. Two models without costs: the strong one where the preference for it
    reaches the threshold, over thresholds (RouteLLM, arXiv 2406.18665). More models without
    costs: one setting, the best.

    `quality` is (P, M) estimated quality, 0..1, all known; `cost` (P, M) or (M,) the expected cost
    of a call, USD, needed where outcomes have costs; `preference` (P,) that for the strong of two
    models without costs, by default its estimated gain.
    """
    _check(name, "quality", quality, outcomes)
    strong = strongest(outcomes)
    if outcomes.cost is not None:
        expected = np.broadcast_to(np.nan if cost is None else cost, outcomes.score.shape)
        _check(name, "cost", expected, outcomes)
        parameter = willingness_to_pay(quality, expected)
        choices = _best_value(quality, expected, parameter)
    elif len(outcomes.models) == 2:
        gain = quality[:, strong] - quality[:, 1 - strong]
        ranking = gain if preference is None else preference
        _check(name, "preference", ranking, outcomes)
        parameter = _thresholds(ranking)
        choices = np.where(ranking >= parameter[:, None], strong, 1 - strong)
    else:
        parameter, choices = np.zeros(1), _first_of_best(quality, _EQUAL)[None]
    details = {"quality": quality, "preference": preference}
    return run_of_choices(name, outcomes, choices, parameter, **details)


def willingness_to_pay(quality: Floats, cost: Floats) -> Floats:
    """(65,) values of λ, USD per unit of quality, from "only cost counts" to "only quality counts".

    For (P, M) estimated quality and expected cost, USD. Rising; the first is 0, the others
    geometric.
    """
    spread = max(float(np.ptp(cost, axis=1).max()), 1e-12)
    finest = max(float(np.ptp(quality, axis=1).max()), 1e-6)
    inner = np.geomspace(spread / finest * 1e-4, spread / finest * 1e4, SETTINGS - 1)
    return np.concatenate([[0.0], inner])


def rising_spend(outcomes: Outcomes) -> Ints:
    """The M models from the cheapest to the dearest by mean spend; of equals, the weaker first."""
    order: Ints = np.lexsort((outcomes.score.mean(axis=0), spend_of(outcomes).mean(axis=0)))
    return order


def _constant(name: str, outcomes: Outcomes, models: list[int]) -> Run:
    """One setting for each of some models, which it asks whatever the prompt."""
    choices = np.tile(np.array(models, dtype=np.int64)[:, None], (1, len(outcomes)))
    return run_of_choices(name, outcomes, choices, np.arange(len(models), dtype=np.float64))


def _best_value(quality: Floats, cost: Floats, pays: Floats) -> Ints:
    """(N, P) argmax λ·quality − cost at each of N λ; of equals, the model that costs less."""
    order = np.lexsort((-quality.mean(axis=0), cost.mean(axis=0)))
    quality, cost = quality[:, order], cost[:, order]
    best = [_first_of_best(pay * quality - cost, pay * _EQUAL) for pay in pays]
    chosen: Ints = order[np.stack(best)]
    return chosen


def _first_of_best(values: Floats, slack: float) -> Ints:
    """(P,) the first column of the greatest value, give or take a slack."""
    first: Ints = np.argmax(values >= values.max(axis=1, keepdims=True) - slack, axis=1)
    return first


def _enough_for_any_gain(score: Floats, cost: Floats, pays: Floats) -> float:
    """A λ beyond `pays` at which the smallest gain in score outweighs any difference in cost."""
    gaps = np.diff(np.sort(score, axis=1), axis=1)
    smallest = float(gaps.min(initial=1.0, where=gaps > 0))
    enough = 2 * float(np.ptp(cost, axis=1).max()) / smallest
    return min(max(enough, 2 * float(pays[-1])), float(np.finfo(np.float64).max))


def _thresholds(preference: Floats) -> Floats:
    """Falling thresholds, from "nobody" to "everybody": every level, or their quantiles."""
    levels = np.unique(preference)
    if len(levels) > THRESHOLDS:
        parts = np.linspace(0, 1, THRESHOLDS)
        levels = np.unique(np.quantile(preference, parts, method="nearest"))
    return np.append(levels, np.nextafter(levels[-1], np.inf))[::-1]


def _check(name: str, what: str, values: Floats, outcomes: Outcomes) -> None:
    """Raise ConfigurationError unless there is a number for each prompt (and each model)."""
    shape = outcomes.score.shape[: values.ndim]
    if values.shape != shape:
        raise ConfigurationError(f"{name}: {what} needs the shape {shape}; it has {values.shape}.")
    unknown = np.isnan(values)
    if unknown.any():
        columns = np.flatnonzero(unknown.any(axis=0)) if values.ndim == 2 else ()
        named = [repr(outcomes.models[m]) for m in columns]
        raise ConfigurationError(
            f"{name}: {what} is unknown in {unknown.sum():,} places"
            + (f", of {', '.join(named)}" if named else "")
            + "; give it for every prompt, or leave out what it is not known of."
        )
