"""The calibration file: what is saved comes back, and what is damaged says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llmroute.answers.votes import Vote
from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.escalation.calibration_file import Calibration
from llmroute.escalation.priors import ModelPriors
from tests.escalation.test_belief import planted

NAMES = ("small", "middle", "large")


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return Calibration.fit(NAMES, planted(prompts=300), "planted")


def test_what_is_saved_comes_back(fitted: Calibration, tmp_path: Path) -> None:
    read = Calibration.load(fitted.save(tmp_path / "calibration.json"))
    assert (read.models, read.source, read.prompts) == (NAMES, "planted", 300)
    assert read.data_sha256 == fitted.data_sha256
    votes = [Vote(0, 0, 0.7), Vote(1, 0, 0.6)]
    one, other = (
        each.belief_model(NAMES).belief(np.array([0.5, 0.6, 0.7]), votes, "choice")
        for each in (fitted, read)
    )
    assert one.good == pytest.approx(other.good, abs=1e-4)
    # Saving again changes nothing.
    again = read.save(tmp_path / "again.json")
    assert again.read_text() == (tmp_path / "calibration.json").read_text()


def test_the_pool_may_have_another_order_and_unknown_models(fitted: Calibration) -> None:
    belief_model = fitted.belief_model(["large", "new", "small"])
    assert belief_model.members[0] == fitted.fitted.members[2]
    assert belief_model.members[1] == ModelPriors()


def test_other_data_have_another_hash(fitted: Calibration) -> None:
    other = Calibration.fit(NAMES, planted(prompts=300, seed=1))
    assert other.data_sha256 != fitted.data_sha256


def test_as_many_names_as_models(fitted: Calibration) -> None:
    with pytest.raises(ConfigurationError, match="2 names were given for 3 models"):
        Calibration.fit(NAMES[:2], planted(prompts=300))


def test_a_file_that_cannot_be_used_says_why(fitted: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    with pytest.raises(ArtifactError, match="no calibration at"):
        Calibration.load(path)
    good = json.loads(fitted.save(path).read_text())
    path.write_text(json.dumps({**good, "format": 99}))
    with pytest.raises(ArtifactError, match="has format 99"):
        Calibration.load(path)
    good["members"]["small"]["reach"] = -1
    path.write_text(json.dumps(good))
    with pytest.raises(ArtifactError, match=r"members\.small\.reach"):
        Calibration.load(path)
