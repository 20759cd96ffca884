"""`load_scorer` gives back whatever `llmroute train` wrote."""

from pathlib import Path

import numpy as np
import pytest

from llmroute import RouterChain
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
    estimates = scorer.estimate(OUTCOMES.prompts[:5], pool_of(OUTCOMES))
    assert estimates.quality.shape == (5, 3)
    assert np.isfinite(estimates.quality).all()


def test_a_chain_routes_by_it(folder: Path) -> None:
    chain = RouterChain(pool=pool_of(OUTCOMES), scorer=str(folder))
    decision = chain.decide(OUTCOMES.prompts[0])
    assert decision.chosen in OUTCOMES.models
    assert "linear" in decision.router or "mine" in decision.router


def test_the_bundled_one_is_a_latent_ability_scorer() -> None:
    assert load_scorer("static") is load_latent("static")


def test_where_abilities_are_needed_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError):
        load_latent(folder)
