from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, default_data

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402


def write(folder: Path, **columns: object) -> Path:
    prompts = {
        "prompt_id": ["a", "b", "c", "d"],
        "prompt": ["one", "two", "three", "four"],
        "category": ["x", "x", "y", "y"],
        "split": ["train", "test", "train", "exclude"],
    }
    rows = {
        "prompt_id": ["a", "a", "b", "c", "d"],
        "model": ["m1", "m0", "m1", "m0", "m0"],
        "score": [1.0, 0.25, 0.0, 1.0, 1.0],
        "est_cost_usd": [0.1, None, 0.3, 0.4, 0.5],
    }
    rows.update(columns)
    pq.write_table(pa.table(prompts), folder / "prompts.parquet")
    pq.write_table(pa.table(rows), folder / "outcomes.parquet")
    return folder


def test_reading_gives_a_grid_with_holes(tmp_path: Path) -> None:
    o = Outcomes.read(write(tmp_path), "train")
    assert o.prompts == ("one", "three")
    assert o.prompt_ids == ("a", "c")
    assert o.models == ("m0", "m1")
    np.testing.assert_array_equal(o.score, [[0.25, 1.0], [1.0, np.nan]])
    np.testing.assert_array_equal(o.cost, [[np.nan, 0.1], [0.4, np.nan]])
    assert o.completion_tokens is None


def test_excluded_prompts_are_never_read(tmp_path: Path) -> None:
    assert Outcomes.read(write(tmp_path)).prompts == ("one", "two", "three")
    assert Outcomes.read(tmp_path, "test").prompts == ("two",)
    with pytest.raises(ConfigurationError, match="'train', 'test' or None"):
        Outcomes.read(tmp_path, "exclude")  # type: ignore[arg-type]


def test_selecting_and_completing(tmp_path: Path) -> None:
    o = Outcomes.read(write(tmp_path))
    assert o.select([2, 0]).prompts == ("three", "one")
    assert o.select(np.array([False, True, False])).categories == ("x",)
    assert len(o.complete()) == 0


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"prompts\.parquet"):
        Outcomes.read(tmp_path)
    write(tmp_path)
    pq.write_table(pa.table({"prompt_id": ["a"], "score": [1.0]}), tmp_path / "outcomes.parquet")
    with pytest.raises(ConfigurationError, match="no column model"):
        Outcomes.read(tmp_path)
    (tmp_path / "outcomes.parquet").write_bytes(b"not parquet")
    with pytest.raises(ConfigurationError, match="parquet"):
        Outcomes.read(tmp_path)
    write(tmp_path, score=[8.0, 0, 0, 0, 0])
    with pytest.raises(ConfigurationError, match=r"0\.\.1"):
        Outcomes.read(tmp_path)


def test_shapes_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="score has shape"):
        Outcomes(("p",), ("1",), ("c",), ("m",), np.zeros((2, 1)))
    with pytest.raises(ConfigurationError, match="as many ids"):
        Outcomes(("p",), (), ("c",), ("m",), np.zeros((1, 1)))


def test_the_data_folder_can_be_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMROUTE_DATA", str(tmp_path))
    assert default_data() == tmp_path
    monkeypatch.setenv("LLMROUTE_DATA", str(tmp_path / "nowhere"))
    assert default_data() is None
