"""From graded answers to a model's ability, its uncertainty, verbosity and speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.pool import Model, ModelPool
from llmroute.profiling.anchors import Anchor, load_anchors
from llmroute.profiling.profile_file import Graded, Profile
from llmroute.scoring.ability_fit import AbilityFit, fit_posterior
from llmroute.scoring.latent import Latent, LatentAbilityScorer
from llmroute.scoring.registry import load_latent

if TYPE_CHECKING:
    from llmroute.outcomes.outcomes import Outcomes


#: Added to the variances of the prior, so that no direction of ability is ruled out because the
#: training models happen not to differ in it.
_RIDGE = 0.02
#: Part of the training models' variance that is left for a model which is one of them: a provider
#: serves it under other settings than those it was measured with.
_KNOWN_SHARE = 0.25
#: Fewer output tokens than this in all say nothing about speed.
_FEW_TOKENS = 20


def ability_prior(scorer: LatentAbilityScorer, model: Model) -> tuple[Floats, Floats]:
    """What is thought of a model before it answers: mean (K,) and precision (K, K).

    The training models' abilities as a normal; its mean is moved to what is known of the model
    (its own ability in training, tier, price), and the further entries follow the general one as
    far as they do among the training models.
    """
    table = np.array(list(scorer.card.abilities.values()), dtype=np.float64)
    centre = table.mean(axis=0)
    covariance = np.cov(table.T, bias=True).reshape(len(centre), -1)
    covariance = covariance + _RIDGE * np.eye(len(centre))
    pool = ModelPool([model])
    known = scorer.abilities(pool)[0]
    (source,) = scorer.ability_source(pool)
    if source in ("fitted", "stated"):
        return known, _inverse(_KNOWN_SHARE * covariance)
    mean = centre + covariance[:, 0] / covariance[0, 0] * (known[0] - centre[0])
    return mean, _inverse(covariance)


def _inverse(covariance: Floats) -> Floats:
    precision: Floats = np.linalg.inv(covariance).astype(np.float64)
    return precision


def fit_one(scorer: LatentAbilityScorer, model: Model, latent: Latent, score: Floats) -> AbilityFit:
    """A model's ability from its scores on P prompts.

    Args:
        scorer: The scorer that `latent` is of.
        model: The model; what is known of it is where the fit starts from.
        latent: What the scorer says of the prompts.
        score: (P,) scores 0..1, NaN where it was not asked.
    """
    mean, precision = ability_prior(scorer, model)
    demand = latent.demand.copy()
    # As the scorer reads them: what lies beside general ability counts as far as a prompt is of a
    # kind that was trained on.
    demand[:, 1:] *= latent.source.sum(axis=1, keepdims=True)
    return fit_posterior(demand, latent.difficulty, score, precision, mean)


def fit_abilities(
    pool: ModelPool, outcomes: Outcomes, scorer: str | Path | LatentAbilityScorer = "static"
) -> ModelPool:
    """The pool with abilities fitted from recorded answers; a model without any stays as it is.

    Args:
        pool: The models.
        outcomes: Recorded answers; models are found by their names in the pool.
        scorer: Name or folder of the scorer the pool is used with, or a loaded one.

    Raises:
        ConfigurationError: No model of the pool has an answer, or a scorer of another kind.
    """
    loaded = scorer if isinstance(scorer, LatentAbilityScorer) else load_latent(scorer)
    latent = loaded.latent(outcomes.prompts)
    members, found = [], 0
    for model in pool:
        score = _scores(outcomes, model)
        if score is None:
            members.append(model)
            continue
        found += 1
        fitted = fit_one(loaded, model, latent, score).ability
        members.append(model.model_copy(update={"ability": tuple(float(v) for v in fitted)}))
    if not found:
        raise ConfigurationError(
            f"{outcomes.source} has no answer of {', '.join(map(repr, pool.names))}; it is about "
            f"{', '.join(map(repr, outcomes.models))}. Use the same names in the pool."
        )
    return ModelPool(members)


def _scores(outcomes: Outcomes, model: Model) -> Floats | None:
    for name in (model.name, model.litellm_name):
        if name in outcomes.models:
            score = outcomes.score[:, outcomes.models.index(name)]
            return None if np.isnan(score).all() else score
    return None


def fit_profile(
    scorer: LatentAbilityScorer,
    model: Model,
    graded: Mapping[str, Graded],
    anchors: Sequence[Anchor] | None = None,
) -> Profile:
    """A model's profile from its graded answers.

    Args:
        scorer: The scorer under which the ability is fitted.
        model: The model.
        graded: Anchor id → graded answer.
        anchors: The anchors; by default those of the package. Answers to others are kept, and do
            not count.
    """
    asked = [a for a in (load_anchors() if anchors is None else anchors) if a.id in graded]
    answers = [graded[anchor.id] for anchor in asked]
    latent = scorer.latent([anchor.prompt for anchor in asked])
    fitted = fit_one(scorer, model, latent, np.array([answer.score for answer in answers]))
    costs = [answer.cost_usd for answer in graded.values() if answer.cost_usd is not None]
    first = [a.first_token_s for a in answers if a.first_token_s is not None]
    return Profile(
        scorer=f"{scorer.name} {scorer.version}",
        scorer_sha256=scorer.card.sha256,
        ability=tuple(round(float(v), 5) for v in fitted.ability),
        deviation=tuple(round(float(v), 5) for v in fitted.deviation),
        answers=len(answers),
        right=float(np.mean([a.score for a in answers])) if answers else None,
        verbosity=_verbosity(answers, latent.tokens),
        first_token_s=float(np.median(first)) if first else None,
        tokens_per_s=_speed(answers),
        cost_usd=sum(costs) if len(costs) == len(graded) else None,
        graded=graded,
    )


def _verbosity(answers: Sequence[Graded], expected: Floats) -> float | None:
    counted = [
        (answer.completion_tokens, float(tokens))
        for answer, tokens in zip(answers, expected, strict=True)
        if answer.completion_tokens
    ]
    if not counted:
        return None
    made, thought = np.array(counted, dtype=np.float64).sum(axis=0)
    return float(made / thought)


def _speed(answers: Sequence[Graded]) -> float | None:
    """Output tokens per second after the first one."""
    tokens = seconds = 0.0
    for answer in answers:
        if answer.completion_tokens is not None and answer.first_token_s is not None:
            tokens += answer.completion_tokens - 1
            seconds += answer.latency_s - answer.first_token_s
    return tokens / seconds if tokens >= _FEW_TOKENS and seconds > 0 else None
