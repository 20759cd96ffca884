"""Sharded evaluation: Ray's workers read and replay, the figures are the same."""

from pathlib import Path

import numpy as np
import pytest

from llmroute import RouterChain, Threshold, WillingnessToPay
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.evaluation.sharded import evaluate_sharded
from llmroute.policies import Policy
from tests.evaluation.made_up import made_up, pool_of

ray = pytest.importorskip("ray")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def write(outcomes: Outcomes, folder: Path) -> Path:
    folder.mkdir()
    prompts = {
        "prompt_id": outcomes.prompt_ids,
        "prompt": outcomes.prompts,
        "category": outcomes.categories,
        "split": ["test"] * len(outcomes),
    }
    parquet.write_table(pa.table(prompts), folder / "prompts.parquet")
    cells = [(p, m) for p in range(len(outcomes)) for m in range(len(outcomes.models))]
    rows = {
        "prompt_id": [outcomes.prompt_ids[p] for p, _ in cells],
        "model": [outcomes.models[m] for _, m in cells],
        "score": [outcomes.score[cell] for cell in cells],
    }
    if outcomes.cost is not None:
        rows["cost_usd"] = [outcomes.cost[cell] for cell in cells]
    parquet.write_table(pa.table(rows), folder / "outcomes.parquet")
    return folder


def shards_of(outcomes: Outcomes, folder: Path, count: int) -> list[Path]:
    which = np.arange(len(outcomes)) % count
    return [write(outcomes.select(which == n), folder / f"shard{n}") for n in range(count)]


def assert_same(one: Report, other: Report) -> None:
    assert set(one.baselines) == set(other.baselines)
    for name, mine in {"router": one.router, **one.baselines}.items():
        theirs = other.router if name == "router" else other.baselines[name]
        np.testing.assert_allclose(mine.curve, theirs.curve, rtol=0, atol=1e-9)
        assert set(mine.metrics) == set(theirs.metrics)
        for figure, value in mine.metrics.items():
            again = theirs.metrics[figure]
            for side in ("value", "low", "high"):
                assert getattr(value, side) == pytest.approx(
                    getattr(again, side), abs=1e-9, nan_ok=True
                ), (name, figure, side)


@pytest.mark.parametrize(
    ("models", "costs", "policy"),
    [(3, True, WillingnessToPay(usd=0.003)), (2, False, Threshold(threshold=0.2))],
    ids=["three models with costs", "two without"],
)
def test_the_figures_are_those_of_one_process(
    models: int, costs: bool, policy: Policy, tmp_path: Path
) -> None:
    outcomes, train = made_up(models, 120, costs=costs), made_up(models, 50, seed=1, costs=costs)
    pool = pool_of(outcomes) if costs else pool_of(outcomes).without_prices()
    router = RouterChain(pool=pool, policy=policy)
    whole = evaluate(router, outcomes, train=train, replicates=100, classic=False)
    shards = shards_of(outcomes, tmp_path, 3)
    assert_same(evaluate_sharded(router, shards, train=train, replicates=100), whole)


def test_a_prompt_in_two_shards_is_refused(tmp_path: Path) -> None:
    outcomes = made_up(prompts=10)
    shards = [write(outcomes, tmp_path / name) for name in ("a", "b")]
    with pytest.raises(ConfigurationError, match="'0' stands in two shards"):
        evaluate_sharded(RouterChain(pool=pool_of(outcomes)), shards, replicates=5)


def test_no_shard_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no shard"):
        evaluate_sharded(RouterChain(pool=pool_of(made_up())), [])
