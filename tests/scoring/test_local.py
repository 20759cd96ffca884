"""A router corrected by local answers: nothing without them, itself with many, and on disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ArtifactError
from llmroute.numerics import logit, sigmoid
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring.hierarchical_fit import Block, fit_weights
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.local import LocalScorer, mixed

BLOCKS = (
    Block("level", slice(0, 1), 0.25, 0.5, None),
    Block("features", slice(1, 4), 0.01, 0.01, 4.0),
    Block("scale", slice(4, 5), 0.02, 0.01, 4.0),
)


def answers(scorer: LatentAbilityScorer, prompts: int = 300, categories: str = "a") -> Outcomes:
    """Two models; `cold` fails wherever there is code, against what the router thinks of it."""
    generator = np.random.default_rng(3)
    texts = tuple(
        f"def f{i}(x): return x + {i}  # explain this code"
        if i % 2
        else f"Who was king number {i}?"
        for i in range(prompts)
    )
    chance = np.array([[0.1, 0.8] if i % 2 else [0.8, 0.4] for i in range(prompts)])
    return Outcomes(
        prompts=texts,
        prompt_ids=tuple(map(str, range(prompts))),
        categories=tuple(categories[i % len(categories)] for i in range(prompts)),
        models=("cold", "warm"),
        score=(generator.random((prompts, 2)) < chance).astype(float),
        source="made up",
    )


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    return ModelPool([Model("cold", input_price=1, output_price=4), Model("warm", output_price=8)])


def test_without_answers_it_is_the_base_router(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    nobody = answers(scorer, 20).select(np.zeros(20, dtype=bool))
    silent = Outcomes(**{**vars(answers(scorer, 20)), "score": np.full((20, 2), np.nan)})
    base = scorer.estimate(["Prove it.", "hi"], pool)
    for outcomes in (nobody, silent):
        found = LocalScorer.fit(outcomes, pool=pool).estimate(["Prove it.", "hi"], pool)
        assert (found.quality == base.quality).all()
        assert (found.prior_quality == base.prior_quality).all()


def test_what_the_answers_say_is_learned(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    local = LocalScorer.fit(answers(scorer), pool=pool)
    code, king = local.estimate(
        ["def g(x): return x * 7  # explain this code", "Who was king number 999?"], pool
    ).quality
    assert code[0] < 0.35 < 0.6 < code[1]
    assert king[1] < king[0]


def test_more_answers_bring_it_nearer_to_the_truth(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    held = answers(scorer, 100)
    truth = np.array([[0.1, 0.8] if i % 2 else [0.8, 0.4] for i in range(100)])
    off = [np.abs(scorer.estimate(held.prompts, pool).quality - truth).mean()]
    for count in (20, 80, 300, 1200):
        local = LocalScorer.fit(answers(scorer, count), pool=pool)
        off.append(np.abs(local.estimate(held.prompts, pool).quality - truth).mean())
    assert (np.diff(off) < 0).all()


def test_costs_and_lengths_stay_the_base_routers(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    local = LocalScorer.fit(answers(scorer), pool=pool)
    before, after = (s.estimate(["Why?"], pool) for s in (scorer, local))
    assert np.array_equal(before.cost, after.cost, equal_nan=True)
    assert (before.tokens == after.tokens).all()
    assert after.scorer.startswith("local ")


def test_the_graph_is_run_once_a_request(scorer: LatentAbilityScorer, pool: ModelPool) -> None:
    local = LocalScorer.fit(answers(scorer), pool=pool)
    session, texts = scorer._session, []

    class Counting:
        one_at_a_time = session.one_at_a_time
        run = staticmethod(session.run)

        def tokenize(self, read: list[str]) -> list[list[int]]:
            texts.append(len(read))
            return session.tokenize(read)

    local.base._session = Counting()  # type: ignore[assignment]
    try:
        local.estimate(["Why?"], pool)
        local.estimate(["Why?", "Prove it."], pool)
    finally:
        local.base._session = session
    assert texts == [1, 2]


def test_a_model_without_answers_gets_what_all_models_share(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    local = LocalScorer.fit(answers(scorer), pool=pool)
    more = ModelPool([*pool, Model("stranger")])
    quality = local.estimate(["Who was king number 4?"], more).quality
    assert quality.shape == (1, 3)
    assert ((quality > 0) & (quality < 1)).all()


def test_planted_weights_are_found() -> None:
    generator = np.random.default_rng(0)
    features = np.column_stack([np.ones(4000), generator.normal(size=(4000, 3))])
    base = generator.normal(size=(4000, 2))
    shared = np.array([0.5, 0.6, 0.0, -0.4])
    own = np.array([[0.3, 0.4, 0.0, 0.0], [-0.3, -0.4, 0.0, 0.0]])
    chance = sigmoid(base + features @ (shared + own).T)
    score = (generator.random(chance.shape) < chance).astype(float)
    weights = fit_weights(base, features, score, BLOCKS)
    found = weights.add_to(base, features) - base
    assert np.abs(found - features @ (shared + own).T).mean() < 0.12


def test_weights_are_zero_without_answers() -> None:
    features, base = np.ones((5, 4)), np.zeros((5, 2))
    weights = fit_weights(base, features, np.full((5, 2), np.nan), BLOCKS)
    assert not weights.shared.any()
    assert not weights.own.any()


def test_the_logit_undoes_the_logistic_function() -> None:
    values = np.linspace(-10, 10, 21)
    assert np.allclose(logit(sigmoid(values)), values)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_mixing_draws_differences_and_leaves_what_is_shared() -> None:
    quality = np.array([[0.9, 0.5], [0.2, 0.4]])
    standing = np.array([0.6, 0.5])
    assert (mixed(quality, standing, 1.0) == quality).all()
    none = mixed(quality, standing, 0.0)
    assert np.allclose(none[:, 0] - none[:, 1], 0.1)
    assert np.allclose(none.mean(axis=1), quality.mean(axis=1))
    half = mixed(quality, standing, 0.5)
    assert np.allclose(half[:, 0] - half[:, 1], [0.25, -0.05])


def test_caution_keeps_less_of_what_only_holds_within_categories(
    scorer: LatentAbilityScorer, pool: ModelPool
) -> None:
    outcomes = answers(scorer, 400, categories="abcd")
    # Which model is right is a matter of the category, and the categories look alike.
    better = np.array([0, 1, 0, 1])[np.arange(400) % 4]
    generator = np.random.default_rng(0)
    score = (generator.random((400, 2)) < np.where(better[:, None] == [0, 1], 0.9, 0.1)).astype(
        float
    )
    texts = tuple(f"{'abcd'[i % 4] * 9} {i}?" for i in range(400))
    made = Outcomes(**{**vars(outcomes), "score": score, "prompts": texts})
    bold, cautious = (LocalScorer.fit(made, pool=pool, cautious=c) for c in (False, True))
    assert bold.mixing == 1.0
    assert cautious.mixing < 1.0
    one_category = LocalScorer.fit(answers(scorer, 60), pool=pool, cautious=True)
    assert one_category.mixing == 1.0


def test_a_saved_router_says_the_same(
    scorer: LatentAbilityScorer, pool: ModelPool, tmp_path: Path
) -> None:
    local = LocalScorer.fit(answers(scorer, 100), pool=pool)
    again = LocalScorer.load(local.save(tmp_path / "mine"))
    prompts = ["Prove it.", "Who was king number 5?"]
    assert (again.estimate(prompts, pool).quality == local.estimate(prompts, pool).quality).all()
    assert again.version == local.version
    assert json.loads((tmp_path / "mine" / "local.json").read_text())["base"] == "static"


def test_a_damaged_folder_is_refused(
    scorer: LatentAbilityScorer, pool: ModelPool, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="no local router"):
        LocalScorer.load(tmp_path)
    folder = LocalScorer.fit(answers(scorer, 30), pool=pool).save(tmp_path / "mine")
    facts = json.loads((folder / "local.json").read_text())
    (folder / "local.json").write_text(json.dumps({**facts, "base_sha256": {"model.onnx": "0"}}))
    with pytest.raises(ArtifactError, match="another router"):
        LocalScorer.load(folder)
    (folder / "local.json").write_text(json.dumps(facts))
    weights = folder / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ArtifactError, match="damaged"):
        LocalScorer.load(folder)
    (folder / "local.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ArtifactError, match="format 99"):
        LocalScorer.load(folder)


def test_a_folder_of_something_else_is_never_replaced(
    scorer: LatentAbilityScorer, pool: ModelPool, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    local = LocalScorer.fit(answers(scorer, 30), pool=pool)
    with pytest.raises(ArtifactError, match="something else"):
        local.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    folder = local.save(tmp_path / "mine")
    assert local.save(folder) == folder  # its own kind is
    assert sorted(path.name for path in folder.iterdir()) == ["local.json", "weights.npz"]
