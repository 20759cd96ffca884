import math

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.pool import Model, ModelPool
from llmroute.scoring.abilities import AbilityTable, exact_key
from llmroute.scoring.latent import LatentAbilityScorer

TABLE = AbilityTable(
    [
        "gpt-4o-2024-05-13",
        "gpt-4o-2024-08-06",
        "gpt-4o-mini-2024-07-18",
        "gpt-4-1106-preview",
        "gpt-4-0314",
        "claude-3-haiku-20240307",
        "Meta-Llama-3_1-8B",
        "Meta-Llama-3_1-8B-Instruct",
        "Llama-2-70b-hf",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "gemini-1.5-pro-002",
        "Qwen2.5-7B-Instruct",
    ]
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
        ("azure/gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0314"),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307"),
        ("anthropic/claude-3-haiku", "claude-3-haiku-20240307"),
        ("bedrock/meta.llama3-1-8b-instruct-v1:0", "Meta-Llama-3_1-8B-Instruct"),
        ("together_ai/meta-llama/Llama-3.1-8B-Instruct", "Meta-Llama-3_1-8B-Instruct"),
        ("ollama/llama3.1:8b", "Meta-Llama-3_1-8B-Instruct"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        ("gemini/gemini-1.5-pro", "gemini-1.5-pro-002"),
        ("gemini-1.5-pro-latest", "gemini-1.5-pro-002"),
        ("qwen/qwen2.5-7b-instruct", "Qwen2.5-7B-Instruct"),
    ],
)
def test_spellings_of_the_same_model_are_found(asked: str, found: str) -> None:
    assert TABLE.find(asked) == found


def test_a_name_that_stands_in_the_table_means_itself() -> None:
    # Recorded data hold base models beside their chat models.
    assert TABLE.find("Meta-Llama-3_1-8B") == "Meta-Llama-3_1-8B"
    assert TABLE.find("meta-llama-3.1-8b") == "Meta-Llama-3_1-8B-Instruct"


@pytest.mark.parametrize(
    "asked",
    [
        "gpt-4o-audio-preview",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4-turbo",
        "gpt-4-vision-preview",
        "claude-3-opus",
        "claude-3-5-haiku",
        "llama-3.1-70b-instruct",
        "llama-3-8b-instruct",
        "llama-2-70b-chat",
        "gemini-1.5-flash",
        "qwen2.5-72b-instruct",
        "qwen2.5-coder-7b-instruct",
        "mini",
        "",
    ],
)
def test_other_models_are_not_mistaken_for_them(asked: str) -> None:
    assert TABLE.find(asked) is None


def test_keys_tell_sizes_and_versions_apart() -> None:
    assert exact_key("gpt-4o") != exact_key("gpt-4o-mini")
    assert exact_key("llama-3.1-8b") != exact_key("llama-3.1-80b")
    assert exact_key("Meta-Llama-3_1-8B") == exact_key("meta/llama3.1:8b")


def test_sources_come_in_the_documented_order(scorer: LatentAbilityScorer) -> None:
    pool = ModelPool(
        [
            Model("openai/gpt-4o-mini", ability=0.7),
            Model("azure/gpt-4o-mini"),
            Model("mystery-weak", tier="weak", output_price=1.0),
            Model("mystery-strong", tier="strong", output_price=20.0),
            Model("mystery-priced", output_price=8.0),
            Model("mystery-free", input_price=0, output_price=0),
            Model("mystery"),
        ]
    )
    assert scorer.ability_source(pool) == (
        "stated",
        "fitted",
        "tier",
        "tier",
        "price",
        "price",
        "neutral",
    )
    general = scorer.abilities(pool)[:, 0]
    assert general[0] == 0.7
    assert general[2] < 0 < general[3]
    assert general[5] < general[4]
    assert general[6] == 0
    assert (scorer.abilities(pool)[2:, 1:] == 0).all()


def test_price_counts_monotonically_and_stays_in_the_fitted_range(
    scorer: LatentAbilityScorer,
) -> None:
    prices = [0.0, 0.01, 0.1, 1.0, 5.0, 15.0, 1000.0]
    pool = ModelPool([Model(f"m{i}", output_price=p) for i, p in enumerate(prices)])
    general = scorer.abilities(pool)[:, 0]
    assert (np.diff(general) >= 0).all()
    assert np.abs(general).max() < 3


def test_training_abilities_are_standardised(scorer: LatentAbilityScorer) -> None:
    general = np.array([v[0] for v in scorer.card.abilities.values()])
    assert abs(general.mean()) < 1e-3
    assert math.isclose(general.std(), 1, abs_tol=1e-3)
    by = scorer.card.abilities
    assert by["gpt-4o-mini-2024-07-18"][0] > by["Meta-Llama-3-8B-Instruct"][0]
    assert by["o1-preview-2024-09-12"][0] > by["gpt-3.5-turbo-0125"][0]


def test_a_stated_vector_must_fit_the_scorer(scorer: LatentAbilityScorer) -> None:
    with pytest.raises(ConfigurationError, match="ability of 2 numbers"):
        scorer.estimate(["hi"], ModelPool([Model("m", ability=(1.0, 2.0))]))


def test_a_full_vector_can_be_stated(scorer: LatentAbilityScorer) -> None:
    vector = scorer.card.abilities["gpt-4-1106-preview"]
    pool = ModelPool([Model("mine", ability=vector), Model("gpt-4-1106-preview")])
    quality = scorer.estimate(["Prove it."], pool).quality
    assert quality[0, 0] == quality[0, 1]


def test_like_is_compared_with_like(scorer: LatentAbilityScorer) -> None:
    fitted = [Model("gpt-4-1106-preview"), Model("mistralai/Mixtral-8x7B-Instruct-v0.1")]
    assert (scorer.abilities(ModelPool(fitted))[:, 1:] != 0).all()
    mixed = scorer.abilities(ModelPool([*fitted, Model("mystery", tier="weak")]))
    assert (mixed[:, 1:] == 0).all()
    assert mixed[0, 0] == scorer.card.abilities["gpt-4-1106-preview"][0]
