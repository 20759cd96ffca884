from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llmroute.decision import Estimates
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, pool_from_outcomes, replay_pool, replay_two
from llmroute.pool import Model, ModelPool
from llmroute.scoring import LatentAbilityScorer, RoutingText, load_scorer


class Fixed:
    """A scorer that says what it is told."""

    name, version = "fixed", "1"

    def __init__(self, models: Sequence[str], quality: np.ndarray, cost: np.ndarray) -> None:
        self.models, self.quality, self.cost = tuple(models), quality, cost

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        size = len(prompts)
        return Estimates(
            models=self.models,
            quality=self.quality,
            cost=self.cost,
            tokens=np.ones_like(self.cost),
            latency=np.ones_like(self.cost),
            prompt_tokens=np.ones(size),
            unfamiliar=np.zeros(size, dtype=bool),
            prior=self.quality.mean(axis=0),
            scorer="fixed 1",
        )


def made_up(models: int = 3, prompts: int = 400, seed: int = 0) -> Outcomes:
    generator = np.random.default_rng(seed)
    hard = generator.random((prompts, 1))
    score = (generator.random((prompts, models)) + np.linspace(0, 0.6, models) > hard).astype(float)
    cost = np.geomspace(1e-4, 1e-2, models) * generator.uniform(0.5, 1.5, (prompts, 1))
    return Outcomes(
        prompts=tuple(f"Question {i}: what is {i} times {i + 1}?" for i in range(prompts)),
        prompt_ids=tuple(map(str, range(prompts))),
        categories=tuple("ab"[i % 2] for i in range(prompts)),
        models=tuple(f"m{i}" for i in range(models)),
        score=score,
        cost=cost,
    )


POOL3 = ModelPool([Model(f"m{i}", input_price=1, output_price=1) for i in range(3)])


def test_a_scorer_that_knows_the_scores_comes_close_to_the_oracle() -> None:
    o = made_up()
    assert o.cost is not None
    found = replay_pool(POOL3, Fixed(o.models, o.score, o.cost), o)
    assert found.zero.value < found.aiq.value <= found.oracle.value + 1e-9
    assert found.closed.value > 0.95
    assert found.curve.shape[1] == 2
    assert set(found.singles) == set(o.models)


def test_a_scorer_that_knows_nothing_is_the_zero_router() -> None:
    o = made_up()
    assert o.cost is not None
    same = np.broadcast_to(o.score.mean(0), o.score.shape)
    flat = np.broadcast_to(o.cost.mean(0), o.cost.shape)
    found = replay_pool(POOL3, Fixed(o.models, same, flat), o)
    assert found.gain_over_zero.value == pytest.approx(0, abs=1e-9)
    assert found.random.value <= found.zero.value + 1e-9
    assert found.best_single.value <= found.zero.value + 1e-9


def test_two_models_by_every_preference() -> None:
    o = made_up(models=2)
    assert o.cost is not None
    knowing = Fixed(o.models, 0.1 + 0.8 * o.score, o.cost)
    pool = ModelPool(["m0", "m1"])
    found = replay_two(pool, knowing, o, "gain")
    assert (found.weak, found.strong) == ("m0", "m1")
    assert found.apgr.value == pytest.approx(found.oracle_apgr)
    for preference in ("failure", "win"):
        assert 0.5 < replay_two(pool, knowing, o, preference).apgr.value <= found.oracle_apgr
    with pytest.raises(ConfigurationError, match="'gain', 'failure' or 'win'"):
        replay_two(pool, knowing, o, "hope")  # type: ignore[arg-type]


def test_what_cannot_be_replayed_is_refused() -> None:
    o = made_up()
    assert o.cost is not None
    scorer = Fixed(o.models, o.score, o.cost)
    with pytest.raises(ConfigurationError, match="two models"):
        replay_two(POOL3, scorer, o)
    free = Outcomes(o.prompts, o.prompt_ids, o.categories, o.models, o.score)
    with pytest.raises(ConfigurationError, match="no costs"):
        replay_pool(POOL3, scorer, free)
    with pytest.raises(ConfigurationError, match="m2"):
        replay_pool(POOL3, Fixed(("m0", "m1", "x"), o.score, o.cost), o)
    with pytest.raises(ConfigurationError, match="no price"):
        replay_pool(POOL3, Fixed(o.models, o.score, np.full_like(o.cost, np.nan)), o)


def test_a_pool_from_outcomes_has_their_mean_costs_and_order() -> None:
    o = made_up(seed=3)
    assert o.cost is not None
    pool = pool_from_outcomes(o)
    scorer = load_scorer("static")
    estimates = scorer.estimate(o.prompts, pool)
    np.testing.assert_allclose(estimates.cost.mean(0), o.cost.mean(0), rtol=1e-6)
    general = [m.ability for m in pool]
    assert general == sorted(general)  # type: ignore[type-var]
    assert estimates.quality.mean(0) == pytest.approx(o.score.mean(0), abs=0.1)


def test_a_pool_needs_answers() -> None:
    o = made_up(models=2, prompts=5)
    o.score[:, 1] = np.nan
    with pytest.raises(ConfigurationError, match="m1"):
        pool_from_outcomes(o)


@pytest.fixture(scope="module")
def static() -> LatentAbilityScorer:
    return load_scorer("static")


def part(data: Path, prefix: str) -> Outcomes:
    o = Outcomes.read(data / "routellm", "test")
    return o.select(np.array([c.startswith(prefix) for c in o.categories]))


def test_the_bundled_router_on_mmlu(data: Path, static: LatentAbilityScorer) -> None:
    found = replay_two(ModelPool(list(part(data, "mmlu").models)), static, part(data, "mmlu"))
    assert found.apgr.value > 0.62
    assert found.apgr.low > 0.55
    assert found.unfamiliar < 0.05


def test_the_bundled_router_transfers(data: Path, static: LatentAbilityScorer) -> None:
    for prefix in ("gsm8k", "mt"):
        o = part(data, prefix)
        assert replay_two(ModelPool(list(o.models)), static, o, "failure").apgr.value > 0.5


def test_the_bundled_router_on_routerbench(data: Path, static: LatentAbilityScorer) -> None:
    pool = pool_from_outcomes(Outcomes.read(data / "routerbench", "train"), static)
    found = replay_pool(pool, static, Outcomes.read(data / "routerbench", "test"))
    assert found.aiq.value > found.random.value
    assert found.gain_over_zero.value > -0.01
