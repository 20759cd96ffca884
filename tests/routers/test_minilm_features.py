"""The bundled encoder's vectors: carried in the trained router's folder, needing no extra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ArtifactError
from llmroute.pool import ModelPool
from llmroute.routers import load, train
from llmroute.scoring.artifact import MODEL, TOKENIZER
from llmroute.scoring.registry import bundled_artifact
from llmroute.scoring.router_folder import read, save
from llmroute.scoring.session import Session
from llmroute.scoring.surface import FEATURES, surface_features
from tests.routers.material import outcomes, prompts

pytest.importorskip("sklearn")

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(6, 5000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("routers") / "r"
    train("linear", [outcomes()], out, features="minilm")
    return out


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(bundled_artifact("minilm").files)


def test_a_value_from_the_middle_of_a_graph_can_be_read(files: dict[str, bytes]) -> None:
    surface = surface_features(FRESH)
    found = Session(files, ["pooled"]).rows(FRESH, surface)
    assert found.shape == (6, 384)
    # How a text looks enters the graph after the encoder, so it does not move the encoder's vector.
    np.testing.assert_array_equal(found, Session(files, ["pooled"]).rows(FRESH, 0 * surface))
    declared = Session(files, ["difficulty"]).rows(FRESH, surface)
    assert declared.shape == (6,)


def test_a_graph_without_that_value_is_one_clear_message(files: dict[str, bytes]) -> None:
    with pytest.raises(ArtifactError, match="has no 'dreams'"):
        Session(files, ["dreams"])
    with pytest.raises(ArtifactError, match=r"has no tokenizer\.json"):
        Session({MODEL: files[MODEL]}, ["pooled"])


def test_the_folder_carries_the_encoder_and_names_where_it_is_from(
    folder: Path, files: dict[str, bytes]
) -> None:
    card = read(folder).card
    bundled = bundled_artifact("minilm").card
    assert card.features["encoder"] == {
        "name": "minilm",
        "version": bundled.version,
        "sha256": bundled.sha256[MODEL],
    }
    assert set(card.sha256) == {"arrays.npz", MODEL, TOKENIZER}
    assert (folder / MODEL).read_bytes() == files[MODEL]


def test_it_is_read_where_nothing_beyond_the_core_is_installed(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('sklearn', 'scipy', 'torch', 'onnx', 'sentence_transformers', 'pyarrow'):\n"
        "    sys.modules[name] = None\n"
        "from llmroute.pool import ModelPool\n"
        "from llmroute.routers import load\n"
        f"scorer = load({str(folder)!r})\n"
        f"pool = ModelPool({list(POOL.names)!r})\n"
        f"print(scorer.estimate([{FRESH[0]!r}], pool).quality[0].tolist())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    expected = load(folder).estimate(FRESH[:1], POOL).quality[0]
    np.testing.assert_allclose(json.loads(found.stdout), expected, rtol=1e-12)


def test_numbers_do_not_depend_on_company(folder: Path) -> None:
    scorer = load(folder)
    many = scorer.estimate(FRESH, POOL).quality
    alone = np.concatenate([scorer.estimate([p], POOL).quality for p in FRESH])
    np.testing.assert_allclose(many, alone, rtol=1e-6)
    odd = scorer.estimate(["", "∮ 漢字", "word " * 5000, "\ud800"], POOL).quality
    assert np.isfinite(odd).all()
    assert scorer.estimate([], POOL).quality.shape == (0, 3)


def test_an_encoder_that_does_not_belong_to_the_scales_is_seen(
    folder: Path, tmp_path: Path
) -> None:
    found = read(folder)
    arrays = {**found.arrays, "minilm_centre": np.zeros(384 + len(FEATURES) - 1, np.float32)}
    save(tmp_path / "r", found.card, arrays, found.files)
    with pytest.raises(ArtifactError, match="do not belong together"):
        load(tmp_path / "r")
