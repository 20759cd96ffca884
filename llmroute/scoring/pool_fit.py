"""A pool out of recorded outcomes: names, effective prices and fitted abilities."""

from __future__ import annotations

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring.ability_fit import fit_ability
from llmroute.scoring.latent import Latent, LatentAbilityScorer
from llmroute.scoring.registry import load_latent

#: Precision of the prior on a fitted general ability. Abilities have standard deviation 1 over the
#: training models, so the prior is a standard normal.
_PRIOR_PRECISION = np.ones(1)


def pool_from_outcomes(
    outcomes: Outcomes, scorer: str | LatentAbilityScorer = "static"
) -> ModelPool:
    """A pool of an outcomes table's models, for replaying choices among them.

    Where the scorer was trained on every one of the models, it has abilities of its own for them.
    Otherwise each model gets the general ability that explains its scores best under the scorer's
    demands and difficulties. Each gets the verbosity and the effective prices that explain its
    recorded costs best under the scorer's token estimates, and where latencies are recorded the
    tokens per second over whole calls. Where no cost is recorded, no price is
    known: one that LiteLLM knows of some models only would weigh in as a cost of those.

    Fit it on the train split and replay on the test split.

    Args:
        outcomes: The answers to fit on.
        scorer: Name or folder of a latent-ability scorer, or a loaded one.

    Raises:
        ConfigurationError: A model without a single answer, or a scorer of another kind.
    """
    loaded = load_latent(scorer) if isinstance(scorer, str) else scorer
    if not isinstance(loaded, LatentAbilityScorer):
        raise ConfigurationError(
            f"abilities are fitted under a latent-ability scorer; {scorer!r} is none. "
            "Give 'static' or a folder made by `llmroute train`."
        )
    latent = loaded.latent(outcomes.prompts)
    sources = loaded.ability_source(ModelPool(list(outcomes.models)))
    known = all(source == "fitted" for source in sources)
    pool = ModelPool([_member(outcomes, m, latent, known) for m in range(len(outcomes.models))])
    return pool if outcomes.cost is not None else pool.without_prices()


def _member(outcomes: Outcomes, index: int, latent: Latent, known: bool) -> Model:
    name = outcomes.models[index]
    score = outcomes.score[:, index]
    if np.isnan(score).all():
        raise ConfigurationError(
            f"model {name!r} has no answer in {outcomes.source}; drop it or add its outcomes."
        )
    numbers: dict[str, float] = {}
    if not known:
        ability = fit_ability(latent.demand[:, :1], latent.difficulty, score, _PRIOR_PRECISION)
        numbers["ability"] = float(ability[0])
    tokens = latent.tokens
    if outcomes.completion_tokens is not None:
        verbosity = _ratio(outcomes.completion_tokens[:, index], tokens)
        if verbosity is not None:
            numbers["verbosity"] = verbosity
            tokens = tokens * verbosity
        speed = _speed(outcomes, index)
        if speed is not None:
            numbers["first_token_s"], numbers["tokens_per_s"] = 0.0, speed
    if outcomes.cost is not None:
        prices = _effective_prices(outcomes.cost[:, index], latent.prompt_tokens, tokens)
        if prices is not None:
            numbers["input_price"], numbers["output_price"] = prices
    return Model(name, **numbers)


def _speed(outcomes: Outcomes, index: int) -> float | None:
    """Output tokens per second over the whole call: records do not tell when the first one came."""
    if outcomes.latency is None or outcomes.completion_tokens is None:
        return None
    return _ratio(outcomes.completion_tokens[:, index], outcomes.latency[:, index])


def _ratio(counted: Floats, expected: Floats) -> float | None:
    known = ~np.isnan(counted) & ~np.isnan(expected)
    if not known.any() or counted[known].sum() <= 0 or expected[known].sum() <= 0:
        return None
    return float(counted[known].sum() / expected[known].sum())


def _effective_prices(
    cost: Floats, prompt_tokens: Floats, tokens: Floats
) -> tuple[float, float] | None:
    """Input and output price, USD per million tokens, that explain the costs; never negative.

    The sum of the explained costs equals the sum of the recorded ones, so a pool's mean estimated
    costs are its recorded means.
    """
    known = ~np.isnan(cost)
    if not known.any():
        return None
    design = np.stack([prompt_tokens[known], tokens[known]], axis=1) / 1e6
    target = cost[known]
    prices = np.linalg.lstsq(design, target, rcond=None)[0]
    if (prices < 0).any():
        # With two prices, the best allowed fit then has one of them at zero.
        alone = np.clip((design * target[:, None]).sum(0) / (design**2).sum(0), 0.0, None)
        misfit = ((design * alone - target[:, None]) ** 2).sum(0)
        prices = np.where(np.arange(2) == np.argmin(misfit), alone, 0.0)
    explained = float((design @ prices).sum())
    if explained <= 0:
        return 0.0, 0.0
    scale = target.sum() / explained
    return float(prices[0] * scale), float(prices[1] * scale)
