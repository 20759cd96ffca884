"""A trained router on the test split: figures for its card, and the report beside the baselines."""

from __future__ import annotations

import time
import warnings

import numpy as np

from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.evaluation.baselines import estimates_run
from llmroute.metrics import Interval, Resamples, interval
from llmroute.numerics import Floats, sigmoid
from llmroute.pool import ModelPool
from llmroute.routers.preferences import Preferences
from llmroute.routers.sw import bradley_terry
from llmroute.scoring.artifact import Metric
from llmroute.scoring.scorer import Scorer

#: Figure of a report → its name on the card, where the report has it.
_KEPT = {
    "apgr": "APGR",
    "cpt50": "CPT(50)",
    "cpt80": "CPT(80)",
    "aiq_closed": "share of the gap from zero router to oracle closed",
    "quality": "quality",
    "ece": "calibration error",
}
_LEAST = 1e-4


def report_on(
    scorer: Scorer,
    test: Outcomes,
    train: Outcomes,
    *,
    name: str | None = None,
    replicates: int = 500,
    pool: ModelPool | None = None,
) -> Report:
    """The router beside single models, zero router, category label and oracle.

    Args:
        scorer: The trained router.
        test: What to measure on.
        train: What it was trained on, for the category label.
        name: What it is called in the report; the router's name by default.
        replicates: Bootstrap replicates.
        pool: The outcomes' models in their order, where the router needs more than their names.

    Raises:
        ConfigurationError: No prompt that every model answered, or fewer than two models.
    """
    whole = test.complete()
    called = name or scorer.name
    estimates = scorer.estimate(whole.prompts, pool or ModelPool(list(whole.models)))
    if not len(whole):
        return evaluate([], test, classic=False)  # says what is wrong
    cost = None if whole.cost is None else estimates.cost
    run = estimates_run(called, whole, estimates.quality, cost)
    with warnings.catch_warnings():
        # That few prompts make wide intervals is seen at the intervals.
        warnings.simplefilter("ignore", UserWarning)
        return evaluate(run, test, train=train, name=called, classic=False, replicates=replicates)


def card_figures(report: Report) -> dict[str, Metric]:
    """The figures of a report that go on the card, by name.

    Args:
        report: What was found.
    """
    return {
        f"{report.source} {called}": as_metric(report.metrics[figure])
        for figure, called in _KEPT.items()
        if figure in report.metrics
    }


def comparison_figures(scorer: Scorer, test: Preferences, train: Preferences) -> dict[str, Metric]:
    """How well a router says who wins, beside one ranking for all prompts.

    Quality is read as a strength: P(a beats b) = q_a(1 − q_b) over that and its converse, which of
    two models is q_a itself. Models that were not compared in training are left out.

    Args:
        scorer: The trained router.
        test: Comparisons to measure on.
        train: Comparisons it was trained on.

    Returns:
        Log loss of the router and of one Bradley–Terry ranking, and the share of decided
        comparisons whose winner the router names; nothing where no comparison is known.
    """
    known = [name in train.models for name in test.models]
    rows = np.flatnonzero(np.array(known)[test.first] & np.array(known)[test.second])
    if not len(rows):
        return {}
    column = np.array([train.models.index(n) if n in train.models else -1 for n in test.models])
    a, b, prompt = column[test.first[rows]], column[test.second[rows]], test.prompt[rows]
    won = test.won[rows]
    quality = scorer.estimate(test.prompts, ModelPool(list(train.models))).quality
    quality = np.clip(quality, _LEAST, 1 - _LEAST)
    strength = np.log(quality / (1 - quality)) / 2
    chance = sigmoid(2 * (strength[prompt, a] - strength[prompt, b]))
    if len(train.models) == 2:
        chance = quality[prompt, a]
    wins = np.zeros((len(train.models),) * 2)
    np.add.at(wins, (train.first, train.second), train.won)
    np.add.at(wins, (train.second, train.first), 1 - train.won)
    ranking = bradley_terry(wins[None])[0]
    resamples = Resamples([test.prompts[p] for p in prompt], 500)

    def mean(values: Floats) -> Metric:
        return as_metric(interval(resamples.means(values), len(values)))

    decided = won != 0.5
    name = test.source
    figures = {
        f"{name} log loss": mean(_log_losses(chance, won)),
        f"{name} log loss of one ranking": mean(_log_losses(sigmoid(ranking[a] - ranking[b]), won)),
    }
    if decided.any():
        right = ((chance > 0.5) == (won > 0.5)).astype(np.float64)
        of_decided = resamples.select(np.flatnonzero(decided))
        found = interval(of_decided.means(right[decided]), int(decided.sum()))
        figures[f"{name} winner named"] = as_metric(found)
    return figures


def microseconds(scorer: Scorer, test: Outcomes, count: int = 200) -> float:
    """Median CPU time from one prompt's text to its estimates, one prompt at a time.

    CPU time, which other work on the machine moves less than it moves the clock on the wall.

    Args:
        scorer: The router.
        test: Where prompts are taken from, evenly.
        count: How many.
    """
    pool = ModelPool(list(test.models))
    prompts = test.prompts[:: max(len(test) // count, 1)][:count]
    spent = []
    for prompt in prompts:
        start = time.process_time()
        scorer.estimate([prompt], pool)
        spent.append(time.process_time() - start)
    return 1e6 * float(np.median(spent))


def as_metric(figure: Interval) -> Metric:
    """A figure as it stands on a card.

    Args:
        figure: The figure with its interval; ends that are not known are left out.
    """

    def end(value: float) -> float | None:
        return None if np.isnan(value) else round(float(value), 5)

    return Metric(
        value=round(float(figure.value), 5),
        low=end(figure.low),
        high=end(figure.high),
        prompts=figure.prompts,
    )


def _log_losses(chance: Floats, won: Floats) -> Floats:
    p = np.clip(chance, _LEAST, 1 - _LEAST)
    losses: Floats = -(won * np.log(p) + (1 - won) * np.log(1 - p))
    return losses
