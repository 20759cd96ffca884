"""A trained router on the test split: figures for its card, and the report beside the baselines."""

from __future__ import annotations

import warnings

import numpy as np

from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.evaluation.baselines import estimates_run
from llmroute.metrics import Interval, Resamples, interval
from llmroute.numerics import Floats, logit, sigmoid
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

    `test` needs two models and a prompt that all of them answered; `train` is what the router was
    trained on, for the category label; `name` is what it is called in the report; `pool` holds the
    outcomes' models in their order, where the router needs more than their names.
    """
    whole = test.complete()
    estimates = scorer.estimate(whole.prompts, pool or ModelPool(list(whole.models)))
    if not len(whole):
        return evaluate([], test, classic=False)  # says what is wrong
    cost = None if whole.cost is None else estimates.cost
    run = estimates_run(name or scorer.name, whole, estimates.quality, cost)
    with warnings.catch_warnings():
        # That few prompts make wide intervals is seen at the intervals.
        warnings.simplefilter("ignore", UserWarning)
        return evaluate(run, test, train=train, name=run.name, classic=False, replicates=replicates)


def card_figures(report: Report) -> dict[str, Metric]:
    """The figures of a report that go on the card, by name."""
    return {
        f"{report.source} {name}": _as_metric(report.metrics[figure])
        for figure, name in _KEPT.items()
        if figure in report.metrics
    }


def comparison_figures(scorer: Scorer, test: Preferences, train: Preferences) -> dict[str, Metric]:
    """How well a router says who wins, beside one ranking for all prompts.

    Quality is read as a strength: P(a beats b) = q_a(1 − q_b) over that and its converse, which of
    two models is q_a itself. Models that were not compared in training are left out. Log loss of
    the router and of one Bradley–Terry ranking, and the share of decided comparisons whose winner
    the router names; nothing where no comparison is known.
    """
    known = np.isin(test.models, train.models)
    rows = np.flatnonzero(known[test.first] & known[test.second])
    if not len(rows):
        return {}
    column = np.array([train.models.index(n) if n in train.models else -1 for n in test.models])
    a, b, prompt = column[test.first[rows]], column[test.second[rows]], test.prompt[rows]
    won = test.won[rows]
    quality = scorer.estimate(test.prompts, ModelPool(list(train.models))).quality
    if len(train.models) == 2:
        chance = quality[prompt, a]
    else:
        logits = logit(quality, _LEAST)
        chance = sigmoid(logits[prompt, a] - logits[prompt, b])
    wins = np.zeros((len(train.models),) * 2)
    np.add.at(wins, (train.first, train.second), train.won)
    np.add.at(wins, (train.second, train.first), 1 - train.won)
    ranking = bradley_terry(wins[None])[0]
    resamples = Resamples([test.prompts[p] for p in prompt], 500)
    chances = {"log loss": chance, "log loss of one ranking": sigmoid(ranking[a] - ranking[b])}
    figures = {
        name: interval(resamples.means(_log_losses(p, won)), len(rows))
        for name, p in chances.items()
    }
    decided = won != 0.5
    if decided.any():
        right = ((chance > 0.5) == (won > 0.5)).astype(np.float64)[decided]
        figures["winner named"] = interval(resamples.select(decided).means(right), len(right))
    return {f"{test.source} {name}": _as_metric(figure) for name, figure in figures.items()}


def _as_metric(figure: Interval) -> Metric:
    """A figure as it stands on a card; ends that are not known are left out."""
    low, high = ((round(end, 5) if figure.is_known else None) for end in (figure.low, figure.high))
    return Metric(value=round(figure.value, 5), low=low, high=high, prompts=figure.prompts)


def _log_losses(chance: Floats, won: Floats) -> Floats:
    p = np.clip(chance, _LEAST, 1 - _LEAST)
    losses: Floats = -(won * np.log(p) + (1 - won) * np.log(1 - p))
    return losses
