"""The router `minilm`: MiniLM's first layers behind the contract that the static one keeps."""

import threading
from pathlib import Path

import numpy as np
import pytest

from llmroute.pool import Model, ModelPool
from llmroute.scoring import Scorer, load_scorer
from llmroute.scoring.latent import LatentAbilityScorer

FOLDER = Path(__file__).parents[2] / "llmroute" / "scoring" / "bundled" / "minilm"
MEGABYTE = 1_000_000
PROMPTS = [
    "hi",
    "",
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational. " * 40,
    "Which of the following is a prime?\nA. 4\nB. 6\nC. 7\nD. 9\nAnswer:",
    "¿Cuál es la capital de Francia?",
    "x" * 10_000,
    "[PAD] [PAD]",
]

if not FOLDER.is_dir():
    pytest.skip("no router minilm is bundled", allow_module_level=True)


@pytest.fixture(scope="module")
def minilm() -> LatentAbilityScorer:
    return load_scorer("minilm")


def test_it_is_found_by_name_and_keeps_the_contract(
    minilm: LatentAbilityScorer, pool: ModelPool
) -> None:
    assert isinstance(minilm, Scorer)
    assert minilm.card.encoder == minilm.name == "minilm"
    est = minilm.estimate(PROMPTS, pool)
    assert est.quality.shape == est.cost.shape == (len(PROMPTS), 2)
    assert ((est.quality > 0) & (est.quality < 1)).all()
    assert (est.quality[:, 1] > est.quality[:, 0]).all()
    assert (est.tokens > 0).all()
    assert est.scorer == f"minilm {minilm.version}"


def test_it_is_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 18 * MEGABYTE


def test_neither_padding_nor_company_changes_a_prompts_numbers(
    minilm: LatentAbilityScorer, pool: ModelPool
) -> None:
    whole = minilm.estimate(PROMPTS, pool)
    for index, prompt in enumerate(PROMPTS):
        alone = minilm.estimate([prompt], pool)
        for name in ("quality", "cost", "tokens", "prompt_tokens"):
            found = getattr(whole, name)[index]
            assert found.tolist() == np.ravel(getattr(alone, name)[0]).tolist() or np.allclose(
                found, getattr(alone, name)[0], rtol=1e-6, atol=0
            ), name
        assert whole.unfamiliar[index] == alone.unfamiliar[0]


def test_the_order_of_words_counts(minilm: LatentAbilityScorer) -> None:
    """A mean of token vectors cannot tell these apart."""
    pool = ModelPool([Model("m", ability=0.0)])
    a, b = "The cat praised the dog.", "The dog praised the cat."
    est = minilm.estimate([a, b], pool)
    assert est.quality[0, 0] != est.quality[1, 0]
    static = load_scorer("static").estimate([a, b], pool)
    assert static.quality[0, 0] == pytest.approx(static.quality[1, 0])


def test_of_a_long_text_only_the_beginning_and_the_end_reach_the_encoder(
    minilm: LatentAbilityScorer,
) -> None:
    pool = ModelPool([Model("m", ability=0.0)])
    head, tail = "Read this. " * 20, "word " * 200 + "What follows?"
    assert len(head) < 400  # what is kept of a text's beginning before it is tokenised
    a, b = (head + middle * 500 + tail for middle in ("north ", "south "))
    est = minilm.estimate([a, b], pool)
    assert est.quality[0, 0] == pytest.approx(est.quality[1, 0], abs=1e-6)


def test_threads_share_it(minilm: LatentAbilityScorer, pool: ModelPool) -> None:
    expected = minilm.estimate(PROMPTS, pool).quality
    found: list[np.ndarray] = []

    def work() -> None:
        for _ in range(3):
            found.append(minilm.estimate(PROMPTS, pool).quality)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert all((one == expected).all() for one in found)
