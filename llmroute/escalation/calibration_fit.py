"""Fits a belief model on recorded answers: what was right, who agreed, how confident each was.

Expectation–maximisation. What is not known of a prompt, its θ and which wrong answer is the shared
error, is summed over given which answers were right; then each confidence model is a small
regression. The confidences take no part in the estimate of θ while fitting: they are many, and
would make θ stand for how confident models are rather than for who is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmroute.answers.votes import NO_ANSWER
from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.confidence_model import ConfidenceModel
from llmroute.escalation.evidence import voters
from llmroute.escalation.hypotheses import ewens
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

#: Rounds of expectation–maximisation, for θ and for the shared error.
_ROUNDS, _SHARED_ERROR_ROUNDS = 25, 12
#: From fewer prompts than this nothing is learned.
_LEAST_PROMPTS = 20
#: Quantiles that stand for a model's confidences.
_KNOTS = 41
#: Discriminations that are tried; and what draws each to the default, in log-likelihood a squared
#: unit.
_DISCRIMINATIONS: Floats = np.linspace(0.0, 4.0, 17)
_DISCRIMINATION_RIDGE = 2.5
#: Ridge on the coefficients of a confidence model, in answers.
_CONFIDENCE_RIDGE = 2.0
_LEAST_SPREAD = 0.1
#: In answers: what draws a model's rate of the shared error to its form's, and agreement to the
#: default's.
_SHARED_ERROR_RIDGE, _AGREE_RIDGE = 10.0, 2.0


@dataclass(frozen=True)
class Recorded:
    """Answers of M models to P prompts.

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
    """The belief model that explains recorded answers.

    Raises:
        ConfigurationError: There are too few.
    """
    known = ~np.isnan(recorded.score)
    if known.any(axis=1).sum() < _LEAST_PROMPTS:
        raise ConfigurationError(
            f"a belief model is fitted on {_LEAST_PROMPTS} prompts or more; "
            f"{int(known.any(axis=1).sum())} have answers. Use BeliefModel.unfitted for so few."
        )
    good = np.where(known, recorded.score >= 0.5, False)
    logits = logit(recorded.quality, LEAST)
    discriminations, posterior = _fit_theta(inside(recorded.quality), good, known)
    rates, shared_error = _fit_shared_error(recorded, good, known)
    members = []
    for m, discrimination in enumerate(discriminations.tolist()):
        confidence_models = {}
        for kind in ("token", "verified", "share"):
            table = getattr(recorded, kind)
            rows = known[:, m] & (False if table is None else ~np.isnan(table[:, m]))
            confidence_models[kind] = (
                _fit_confidence_model(
                    table[rows, m],
                    logits[rows, m],
                    good[rows, m].astype(np.float64),
                    posterior[rows],
                    shared_error[rows, m],
                )
                if rows.sum() >= _LEAST_PROMPTS
                else ConfidenceModel()
            )
        of_model = {form: float(rate[m]) for form, rate in rates.items()}
        members.append(ModelPriors(discrimination, of_model, **confidence_models))
    return BeliefModel(members, _fit_forms(recorded, good, known, rates))


def _fit_theta(prior: Floats, good: Bools, known: Bools) -> tuple[Floats, Floats]:
    """(M,) discrimination of each model; (P, D) probability of each θ of a prompt."""
    default = ModelPriors().discrimination

    def log_likelihood(model: int, discrimination: float) -> Floats:
        """(P, D) of one model's answers, good or bad; 0 where it was not asked."""
        intercept = np.interp(prior[:, model], mean_success(float(discrimination)), INTERCEPTS)
        inner = intercept[:, None] + discrimination * GRID
        signed = np.where(good[:, [model]], inner, -inner)
        return np.where(known[:, [model]], -np.logaddexp(0.0, -signed), 0.0)

    models = range(good.shape[1])
    fitted = np.full(len(models), default)
    for _ in range(_ROUNDS):
        logs = np.tile(np.log(WEIGHTS), (len(good), 1))
        for m in models:
            logs += log_likelihood(m, fitted[m])
        posterior = np.exp(logs - logs.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        before = fitted.copy()
        for m in models:
            scores = [
                (posterior * log_likelihood(m, discrimination)).sum()
                - _DISCRIMINATION_RIDGE * (discrimination - default) ** 2
                for discrimination in _DISCRIMINATIONS
            ]
            fitted[m] = _DISCRIMINATIONS[int(np.argmax(scores))]
        if (fitted == before).all():
            break
    return fitted, posterior


def _fit_shared_error(
    recorded: Recorded, good: Bools, known: Bools
) -> tuple[dict[str, Floats], Floats]:
    """By form, (M,) rate at which each wrong model makes the shared error; (P, M) whether it did.

    The second are probabilities.
    """
    wrong = known & ~good
    probability = np.zeros(good.shape)
    rates: dict[str, Floats] = {}
    for name in np.unique(recorded.forms).tolist():
        form = FORMS.get(name, FORMS["text"])
        rows = np.flatnonzero(recorded.forms == name)
        wrong_answers = []
        for row in rows:
            models = np.flatnonzero(wrong[row])
            answered = zip(models.tolist(), recorded.groups[row, models].tolist(), strict=True)
            wrong_answers.append([each for _, each in voters(answered)])
        rate = np.full(good.shape[1], form.shared_error_rate)
        for _ in range(_SHARED_ERROR_ROUNDS):
            for row, answers in zip(rows, wrong_answers, strict=True):
                _set_shared_error(probability[row], answers, rate, form)
            shared, count = probability[rows].sum(axis=0), wrong[rows].sum(axis=0)
            overall = (shared.sum() + _SHARED_ERROR_RIDGE * form.shared_error_rate) / (
                count.sum() + _SHARED_ERROR_RIDGE
            )
            rate = (shared + _SHARED_ERROR_RIDGE * overall) / (count + _SHARED_ERROR_RIDGE)
            rate = np.clip(rate, 0.02, 0.97)
        rates[name] = rate
    return rates, probability


def _set_shared_error(
    probability: Floats, answers: list[list[int]], rate: Floats, form: AnswerForm
) -> None:
    """Writes the (M,) probability that each model made the shared error.

    `answers` are the models of each wrong answer; `rate` is (M,).
    """
    if not answers:
        return
    odds = np.log(rate) - np.log1p(-rate)
    sizes = np.array([len(models) for models in answers], dtype=np.float64)
    # None of the answers is the shared error, or one of them.
    other = np.vstack([np.ones(len(sizes)), 1 - np.eye(len(sizes))])
    logs = ewens(sizes, other, form.other)
    logs[1:] += [float(odds[models].sum()) for models in answers]
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    for models, weight in zip(answers, weights[1:], strict=True):
        probability[models] = weight


def _fit_forms(
    recorded: Recorded, good: Bools, known: Bools, rates: Mapping[str, Floats]
) -> dict[str, AnswerForm]:
    """How often good answers of each form agree; drawn to the default."""
    forms = {}
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
        forms[name] = AnswerForm(right_ways, float(rate.mean()), form.other)
    return forms


def _fit_confidence_model(
    confidence: Floats, logits: Floats, good: Floats, posterior: Floats, shared_error: Floats
) -> ConfidenceModel:
    """A ridge regression of N confidences' scores, over the (N, D) posterior of θ."""
    knots = np.maximum.accumulate(np.quantile(confidence, np.linspace(0, 1, _KNOTS)))
    ranked = ConfidenceModel(knots=tuple(knots.tolist()))
    scores = np.array([ranked.standard_score(value) for value in confidence.tolist()])
    theta = np.tile(GRID, len(scores))
    right, prior, shared = (np.repeat(each, len(GRID)) for each in (good, logits, shared_error))
    features = np.stack([np.ones(len(theta)), right, theta, right * theta, prior, shared], axis=1)
    target, weights = np.repeat(scores, len(GRID)), posterior.ravel()
    weighted = (features * weights[:, None]).T
    square = weighted @ features + _CONFIDENCE_RIDGE * np.eye(6)
    coefficients = np.linalg.solve(square, weighted @ target)
    missed = (weights * (target - features @ coefficients) ** 2).sum() / weights.sum()
    intercept, gap, load, both, of_prior, of_shared_error = coefficients.tolist()
    return replace(
        ranked,
        intercept=intercept,
        gap=max(gap, 0.0),
        load=load,
        both=both,
        prior=of_prior,
        shared_error_rate=of_shared_error,
        spread=max(math.sqrt(missed), _LEAST_SPREAD),
    )
