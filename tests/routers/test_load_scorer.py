"""`load_scorer` gives back whatever `llmroute train` wrote."""

from pathlib import Path

import numpy as np
import pytest

from llmroute import RouterChain, WillingnessToPay
from llmroute.errors import ArtifactError
from llmroute.routers import train
from llmroute.scoring import load_latent, load_scorer
from llmroute.scoring.latent import LatentAbilityScorer
from tests.evaluation.made_up import made_up, pool_of

pytest.importorskip("sklearn")
OUTCOMES = made_up(prompts=80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("routers") / "mine"
    train("linear", [OUTCOMES], target)
    return target


def test_a_router_of_the_field(folder: Path) -> None:
    scorer = load_scorer(folder)
    assert not isinstance(scorer, LatentAbilityScorer)
    estimates = scorer.estimate(OUTCOMES.prompts[:2], pool_of(OUTCOMES))
    expected = [[0.6492, 0.8204, 0.9655], [0.6749, 0.8298, 0.9661]]
    assert estimates.quality == pytest.approx(np.array(expected), abs=2e-3)
    assert estimates.prior_quality == pytest.approx(OUTCOMES.score.mean(axis=0), abs=0.02)


def test_a_chain_routes_by_it(folder: Path) -> None:
    policy = WillingnessToPay(usd=5e-3)
    chain = RouterChain(pool=pool_of(OUTCOMES), scorer=str(folder), policy=policy, escalation=None)
    decisions = chain.decide_batch(OUTCOMES.prompts)
    scorer = load_scorer(folder)
    assert {d.router for d in decisions} == {f"{scorer.name} {scorer.version}"}
    estimates = scorer.estimate(OUTCOMES.prompts, pool_of(OUTCOMES))
    best = np.argmax(5e-3 * estimates.quality - estimates.cost, axis=1)
    assert [d.chosen for d in decisions] == [OUTCOMES.models[m] for m in best]
    assert len(set(best)) > 1  # or the estimates would not matter


def test_the_bundled_one_is_a_latent_ability_scorer() -> None:
    assert load_scorer("static") is load_latent("static")


def test_where_abilities_are_needed_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="is no latent-ability router"):
        load_latent(folder)
