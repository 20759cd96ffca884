"""The interval of a call's cost: only output tokens are uncertain, and nobody else pays for it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from llmroute.pool import Model, ModelPool
from llmroute.records import Estimates, model_estimates
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.latent_folder import TokenCalibration

PROMPTS = ["What is the capital of France?", "Prove that the square root of 2 is irrational."]


def test_the_ends_are_input_plus_output_at_its_tenth_and_ninetieth_percentile(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    found = scorer.estimate(PROMPTS, pool)
    low, high = scorer.card.tokens.range
    given = found.prompt_tokens[:, None] * pool.arrays.input_price
    made = found.tokens * pool.arrays.output_price
    np.testing.assert_allclose(found.cost_low, given + low * made)
    np.testing.assert_allclose(found.cost_high, given + high * made)
    assert (found.cost_low < found.cost).all()
    assert (found.cost < found.cost_high).all()


def test_a_decision_records_the_ends(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    found = scorer.estimate(PROMPTS, pool)
    large = model_estimates(found, 1)["large"]
    assert large.cost_low == pytest.approx(found.cost_low[1, 1])
    assert large.cost_high == pytest.approx(found.cost_high[1, 1])
    alone = model_estimates(found.row(1), 0)["large"]
    assert alone == large


def test_a_free_model_costs_nothing_for_certain(scorer: LatentAbilityScorer) -> None:
    pool = ModelPool([Model("local", input_price=0, output_price=0)])
    found = scorer.estimate(PROMPTS, pool)
    assert (found.cost_low == 0).all()
    assert (found.cost_high == 0).all()


def test_without_a_price_the_ends_are_unknown(scorer: LatentAbilityScorer) -> None:
    pool = ModelPool([Model("secret")])
    found = scorer.estimate(PROMPTS, pool)
    assert np.isnan(found.cost_low).all()
    one = model_estimates(found, 0)["secret"]
    assert one.cost is one.cost_low is one.cost_high is None


def test_a_scorer_that_states_no_interval_has_unknown_ends() -> None:
    ones = np.ones((2, 1))
    bare = Estimates(
        models=("x",), quality=ones / 2, cost=ones, tokens=ones, latency=ones,
        prompt_tokens=np.ones(2), unfamiliar=np.zeros(2, dtype=bool),
        prior_quality=np.ones(1), scorer="s",
    )  # fmt: skip
    assert np.isnan(bare.cost_low).all()
    assert np.isnan(bare.row(1).cost_high).all()
    assert model_estimates(bare, 1)["x"].cost_high is None


def test_cards_written_before_there_were_intervals_still_load(copied: Path) -> None:
    card = json.loads((copied / "card.json").read_text("utf-8"))
    card["tokens"].pop("range", None)
    low, high = TokenCalibration.model_validate(card["tokens"]).range
    assert 0 < low < 1 < high < math.inf


def test_what_is_known_of_prompts_gives_the_same_estimates_without_reading_them_again(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    latent = scorer.latent(PROMPTS)
    kept, read = scorer.estimate_latent(latent, pool), scorer.estimate(PROMPTS, pool)
    for name in ("quality", "cost", "tokens", "latency", "prompt_tokens", "cost_high"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(read, name), err_msg=name)
