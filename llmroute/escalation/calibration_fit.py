"""Fits a judge on recorded answers: what was right, who agreed, how sure each was.

Expectation–maximisation. What is not known of a prompt, its d and which wrong answer tempts, is
summed over given which answers were right; then each model's curve is a small regression. The
confidences take no part in what is believed of d while fitting: they are many, and would make d
stand for how sure models are rather than for who is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.answers.votes import NO_ANSWER
from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.confidence_model import ConfidenceModel, standard_score
from llmroute.escalation.latent_difficulty import (
    GRID,
    INTERCEPTS,
    LEAST,
    WEIGHTS,
    inside,
    mean_success,
)
from llmroute.escalation.priors import FORMS, AnswerForm, ModelPriors
from llmroute.numerics import Bools, Floats, Ints, logit

#: Rounds of expectation–maximisation, for d and for temptation.
_ROUNDS, _TEMPTING_ROUNDS = 25, 12
#: From fewer prompts than this nothing is learned.
_LEAST_PROMPTS = 20
#: Quantiles that stand for a model's confidences.
_KNOTS = 41
#: Reaches that are tried, and what draws one to the default's: in log-likelihood a squared unit.
_REACHES: Floats = np.linspace(0.0, 4.0, 17)
_REACH_RIDGE = 2.5
#: Ridge on a curve's coefficients, in answers.
_CURVE_RIDGE = 2.0
_LEAST_SPREAD = 0.1
#: In answers: what draws a model's temptation to its form's, and agreement to the default's.
_TEMPTED_RIDGE, _AGREE_RIDGE = 10.0, 2.0


@dataclass(frozen=True)
class Recorded:
    """Answers of M models to P prompts, as a judge is fitted on them.

    Attributes:
        quality: (P, M) what the scorer estimated before, 0..1, by one not fitted on these answers.
        score: (P, M) how good the answers were, 0..1, from one half on counting as good; NaN where
            a model was not asked.
        groups: (P, M) number of the group of answers that agree, `NO_ANSWER` where none was read.
        forms: (P,) form of the answers; see `FORMS`.
        token: (P, M) confidences that came with the answer, 0..1; NaN where there is none.
        verified: (P, M) those of verification calls.
        share: (P, M) shares of the model's own samples that agree.
    """

    quality: Floats
    score: Floats
    groups: Ints
    forms: npt.NDArray[np.str_]
    token: Floats | None = None
    verified: Floats | None = None
    share: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("score", "groups", "token", "verified", "share"):
            table = getattr(self, name)
            if table is not None and table.shape != self.quality.shape:
                raise ConfigurationError(
                    f"{name} has shape {table.shape}; quality has {self.quality.shape}."
                )


def fit_belief_model(recorded: Recorded) -> BeliefModel:
    """The judge that explains recorded answers.

    Args:
        recorded: The answers.

    Raises:
        ConfigurationError: There are too few.
    """
    known = ~np.isnan(recorded.score)
    if known.any(axis=1).sum() < _LEAST_PROMPTS:
        raise ConfigurationError(
            f"a judge is fitted on {_LEAST_PROMPTS} prompts or more; "
            f"{int(known.any(axis=1).sum())} have answers. Use Judge.unfitted for so few."
        )
    good = np.where(known, recorded.score >= 0.5, False)
    logits = logit(recorded.quality, LEAST)
    reaches, posterior = _fit_reaches(inside(recorded.quality), good, known)
    shared_error_rate = _fit_temptation(recorded, good, known)
    curves = {
        kind: _fit_curves(
            getattr(recorded, kind), logits, good, known, posterior, shared_error_rate.belief
        )
        for kind in ("token", "verified", "share")
    }
    members = [
        ModelPriors(
            discrimination=float(reaches[m]),
            shared_error_rate={
                form: float(rates[m]) for form, rates in shared_error_rate.rates.items()
            },
            token=curves["token"][m],
            verified=curves["verified"][m],
            share=curves["share"][m],
        )
        for m in range(len(reaches))
    ]
    forms = _fit_forms(recorded, good, known, shared_error_rate.rates)
    return BeliefModel(members, forms)


def _fit_reaches(prior: Floats, good: Bools, known: Bools) -> tuple[Floats, Floats]:
    """(M,) reach of each model; (P, D) what is believed of each prompt's d."""
    models = good.shape[1]
    found = np.full(models, ModelPriors().discrimination)
    for _ in range(_ROUNDS):
        logs = np.tile(np.log(WEIGHTS), (len(good), 1))
        for m in range(models):
            logs += _log_likelihood(found[m], prior[:, m], good[:, m], known[:, m])
        posterior = np.exp(logs - logs.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        before = found.copy()
        for m in range(models):
            scores = [
                (
                    posterior
                    * _log_likelihood(discrimination, prior[:, m], good[:, m], known[:, m])
                ).sum()
                - _REACH_RIDGE * (discrimination - ModelPriors().discrimination) ** 2
                for discrimination in _REACHES
            ]
            found[m] = _REACHES[int(np.argmax(scores))]
        if (found == before).all():
            break
    return found, posterior


def _log_likelihood(discrimination: float, prior: Floats, good: Bools, known: Bools) -> Floats:
    """(P, D) of one model's answers, good or bad; 0 where it was not asked."""
    intercept = np.interp(prior, mean_success(float(discrimination)), INTERCEPTS)
    inner = intercept[:, None] + discrimination * GRID
    signed = np.where(good[:, None], inner, -inner)
    return np.where(known[:, None], -np.logaddexp(0.0, -signed), 0.0)


@dataclass(frozen=True)
class _Temptation:
    """Which wrong answers tempt.

    Attributes:
        rates: By form, (M,) how likely each model falls for the tempting answer when it is wrong.
        belief: (P, M) probability that a model's answer is the tempting one.
    """

    rates: dict[str, Floats]
    belief: Floats


def _fit_temptation(recorded: Recorded, good: Bools, known: Bools) -> _Temptation:
    wrong = known & ~good
    belief = np.zeros(good.shape)
    rates: dict[str, Floats] = {}
    for name in np.unique(recorded.forms).tolist():
        form = FORMS.get(name, FORMS["text"])
        rows = np.flatnonzero(recorded.forms == name)
        cells = [_wrong_groups(recorded.groups[row], wrong[row]) for row in rows]
        rate = np.full(good.shape[1], form.shared_error_rate)
        for _ in range(_TEMPTING_ROUNDS):
            for row, groups in zip(rows, cells, strict=True):
                _believe(belief[row], groups, rate, form)
            fallen, count = belief[rows].sum(axis=0), wrong[rows].sum(axis=0)
            overall = (fallen.sum() + _TEMPTED_RIDGE * form.shared_error_rate) / (
                count.sum() + _TEMPTED_RIDGE
            )
            rate = (fallen + _TEMPTED_RIDGE * overall) / (count + _TEMPTED_RIDGE)
            rate = np.clip(rate, 0.02, 0.97)
        rates[name] = rate
    return _Temptation(rates, belief)


def _wrong_groups(groups: Ints, wrong: Bools) -> list[list[int]]:
    """The models of each wrong answer."""
    found: dict[int, list[int]] = {}
    for m in np.flatnonzero(wrong).tolist():
        group = int(groups[m])
        found.setdefault(group if group != NO_ANSWER else -2 - m, []).append(m)
    return list(found.values())


def _believe(belief: Floats, groups: list[list[int]], rate: Floats, form: AnswerForm) -> None:
    """Writes the probability that each model's answer is the tempting one."""
    if not groups:
        return
    falls, stands = np.log(rate), np.log1p(-rate)
    sizes = [len(models) for models in groups]
    apart = sum(float(stands[models].sum()) for models in groups)
    logs = [apart + _coincidence(sizes, form.other)]
    for place, models in enumerate(groups):
        rest = sizes[:place] + sizes[place + 1 :]
        moved = float((falls[models] - stands[models]).sum())
        logs.append(apart + moved + _coincidence(rest, form.other))
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    for place, models in enumerate(groups):
        belief[models] = weights[place + 1]


def _coincidence(sizes: Sequence[int], concentration: float) -> float:
    """Log-probability that answers fall into groups of these sizes, by Ewens's rule."""
    total = sum(sizes)
    among = sum(math.lgamma(size) for size in sizes) + len(sizes) * math.log(concentration)
    return among + math.lgamma(concentration) - math.lgamma(concentration + total)


def _fit_forms(
    recorded: Recorded,
    good: Bools,
    known: Bools,
    rates: Mapping[str, Floats],
) -> dict[str, AnswerForm]:
    """How often good answers of each form agree; drawn to the default."""
    found = {}
    for name, rate in rates.items():
        form = FORMS.get(name, FORMS["text"])
        rows = recorded.forms == name
        groups, right = recorded.groups[rows], good[rows] & known[rows]
        pairs = right[:, :, None] & right[:, None, :]
        same = (groups[:, :, None] == groups[:, None, :]) & (groups[:, :, None] != NO_ANSWER)
        upper = np.triu(np.ones(pairs.shape[1:], np.bool_), 1)
        count, agree = float((pairs & upper).sum()), float((pairs & same & upper).sum())
        share = (agree + _AGREE_RIDGE / (1 + form.right)) / (count + _AGREE_RIDGE)
        right_ways = max(1 / max(share, 0.02) - 1, 0.001)
        found[name] = AnswerForm(right_ways, float(rate.mean()), form.other)
    return found


def _fit_curves(
    confidence: Floats | None,
    logits: Floats,
    good: Bools,
    known: Bools,
    posterior: Floats,
    shared_error_rate: Floats,
) -> list[ConfidenceModel]:
    """Each model's curve; the default's where it has too few confidences."""
    curves = [ConfidenceModel()] * good.shape[1]
    if confidence is None:
        return curves
    for m in range(len(curves)):
        rows = known[:, m] & ~np.isnan(confidence[:, m])
        if rows.sum() >= _LEAST_PROMPTS:
            curves[m] = _fit_curve(
                confidence[rows, m],
                logits[rows, m],
                good[rows, m].astype(np.float64),
                posterior[rows],
                shared_error_rate[rows, m],
            )
    return curves


def _fit_curve(
    confidence: Floats, logit: Floats, good: Floats, posterior: Floats, shared_error_rate: Floats
) -> ConfidenceModel:
    knots = np.maximum.accumulate(np.quantile(confidence, np.linspace(0, 1, _KNOTS)))
    ranked = ConfidenceModel(knots=tuple(knots.tolist()))
    scores = np.array([standard_score(ranked, value) for value in confidence.tolist()])
    d = np.tile(GRID, len(scores))
    each = np.repeat(np.stack([good, logit, shared_error_rate], axis=1), len(GRID), axis=0)
    features = np.stack(
        [np.ones(len(d)), each[:, 0], d, each[:, 0] * d, each[:, 1], each[:, 2]], axis=1
    )
    target, weights = np.repeat(scores, len(GRID)), posterior.ravel()
    square = (features * weights[:, None]).T @ features + _CURVE_RIDGE * np.eye(6)
    found = np.linalg.solve(square, (features * weights[:, None]).T @ target)
    missed = (weights * (target - features @ found) ** 2).sum() / weights.sum()
    intercept, gap, load, both, prior, shared_error = found.tolist()
    return ConfidenceModel(
        knots=ranked.knots,
        intercept=intercept,
        gap=max(gap, 0.0),
        load=load,
        both=both,
        prior=prior,
        shared_error_rate=shared_error,
        spread=max(math.sqrt(missed), _LEAST_SPREAD),
    )
