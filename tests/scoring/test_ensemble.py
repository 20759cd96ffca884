"""Two scorers as one behind the same contract."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute import RouterChain
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring import EnsembleScorer, Scorer, load_scorer
from llmroute.scoring.latent import LatentAbilityScorer

PROMPTS = [
    "hi",
    "What is 2 + 2?",
    "Prove that the square root of 2 is irrational. " * 20,
    "q\x00§" * 99,
]


def log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


@pytest.fixture(scope="module")
def both() -> Scorer:
    return load_scorer("ensemble")


def test_it_is_found_by_name_and_keeps_the_contract(both: Scorer, pool: ModelPool) -> None:
    assert isinstance(both, Scorer)
    assert isinstance(both, EnsembleScorer)
    assert load_scorer("ensemble") is both
    found = both.estimate(PROMPTS, pool)
    assert found.quality.shape == found.cost.shape == (4, 2)
    assert found.scorer == f"ensemble {both.version}"
    assert "static" in both.version
    assert "minilm" in both.version
    assert both.estimate([], pool).quality.shape == (0, 2)


def test_log_odds_are_averaged_and_amounts_are_means(both: Scorer, pool: ModelPool) -> None:
    assert isinstance(both, EnsembleScorer)
    one, two = (load_scorer(name).estimate(PROMPTS, pool) for name in ("static", "minilm"))
    found = both.estimate(PROMPTS, pool)
    w = both.weight
    expected = w * log_odds(one.quality) + (1 - w) * log_odds(two.quality)
    np.testing.assert_allclose(log_odds(found.quality), expected, rtol=1e-6)
    for name in ("cost", "tokens", "latency", "prompt_tokens"):
        mean = (getattr(one, name) + getattr(two, name)) / 2
        np.testing.assert_allclose(getattr(found, name), mean)
    assert (found.cost_low <= found.cost).all()
    assert (found.cost_high >= found.cost).all()
    np.testing.assert_array_equal(found.unfamiliar, one.unfamiliar & two.unfamiliar)
    strange = found.unfamiliar
    np.testing.assert_allclose(
        found.quality[strange], np.tile(found.prior_quality, (int(strange.sum()), 1)), rtol=1e-6
    )


@given(weight=st.sampled_from([0.0, 1.0]))
def test_with_all_weight_on_one_its_quality_is_that_ones(weight: float) -> None:
    pool = ModelPool([Model("small", ability=-1.0), Model("large", ability=1.5)])
    static, minilm = load_scorer("static"), load_scorer("minilm")
    alone = static if weight else minilm
    found = EnsembleScorer(static, minilm, weight).estimate(PROMPTS, pool)
    np.testing.assert_allclose(found.quality, alone.estimate(PROMPTS, pool).quality, rtol=1e-9)


def test_a_chain_routes_by_it(pool: ModelPool) -> None:
    decision = RouterChain(pool=pool, scorer="ensemble").decide("What is 2 + 2?")
    assert decision.chosen in pool.names


def test_the_weight_that_explains_outcomes_best_is_found(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    minilm = load_scorer("minilm")
    prompts = tuple(f"Question {i}: what is {i} times {i + 7}?" for i in range(30))
    outcomes = Outcomes(
        prompts=prompts,
        prompt_ids=tuple(map(str, range(30))),
        categories=("",) * 30,
        models=pool.names,
        score=minilm.estimate(prompts, pool).quality,
    )
    assert EnsembleScorer.fit(scorer, minilm, outcomes, pool).weight == 0.0
    assert EnsembleScorer.fit(minilm, scorer, outcomes, pool).weight == 1.0


def test_what_cannot_be_is_refused(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    with pytest.raises(ConfigurationError, match=r"0\.\.1; 1\.5 was given"):
        EnsembleScorer(scorer, scorer, 1.5)
    empty = Outcomes(("a",), ("0",), ("",), pool.names, np.full((1, 2), np.nan))
    with pytest.raises(ConfigurationError, match="no score"):
        EnsembleScorer.fit(scorer, scorer, empty, pool)
