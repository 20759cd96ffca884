import shutil
from pathlib import Path

import pytest

from llmroute.pool import Model, ModelPool
from llmroute.scoring import load_scorer
from llmroute.scoring.latent import LatentAbilityScorer

BUNDLED = Path(__file__).parents[2] / "llmroute" / "scoring" / "bundled" / "static"


@pytest.fixture(scope="session")
def scorer() -> LatentAbilityScorer:
    return load_scorer("static")


@pytest.fixture(scope="session")
def pool() -> ModelPool:
    return ModelPool(
        [
            Model("small", ability=-1.0, input_price=0.1, output_price=0.4, verbosity=0.5),
            Model("large", ability=1.5, input_price=3, output_price=15, tokens_per_s=50.0),
        ]
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The bundled router's folder, to be damaged."""
    return Path(shutil.copytree(BUNDLED, tmp_path / "router"))
