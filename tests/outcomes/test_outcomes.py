from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, default_data
from llmroute.outcomes.table import Samples

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


def table(**fields: object) -> Outcomes:
    """Three prompts, two models."""
    given = {
        "prompts": ("one", "two", "three"),
        "prompt_ids": ("a", "b", "c"),
        "categories": ("x", "x", "y"),
        "models": ("m0", "m1"),
        "score": np.array([[0.0, 1.0], [0.5, 0.5], [1.0, np.nan]]),
        **fields,
    }
    return Outcomes(**given)  # type: ignore[arg-type]


def samples(prompt: list[int]) -> Samples:
    size = len(prompt)
    return Samples(
        models=("m0",),
        styles=("cot", "pot"),
        prompt=np.array(prompt, dtype=np.int64),
        model=np.zeros(size, dtype=np.int64),
        style=np.arange(size) % 2,
        result=np.array([f"answer {i}" for i in range(size)], dtype=object),
        score=np.arange(size) % 2 / 1.0,
    )


def test_reading_gives_a_grid_with_holes(tmp_path: Path) -> None:
    o = Outcomes.read(write(tmp_path), "train")
    assert o.prompts == ("one", "three")
    assert o.prompt_ids == ("a", "c")
    assert o.models == ("m0", "m1")
    np.testing.assert_array_equal(o.score, [[0.25, 1.0], [1.0, np.nan]])
    np.testing.assert_array_equal(o.cost, [[np.nan, 0.1], [0.4, np.nan]])
    assert o.completion_tokens is None
    assert o.source == tmp_path.name


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
    assert len(o.select([])) == 0


def test_selecting_takes_every_field_along() -> None:
    fields = {
        name: np.arange(6.0).reshape(3, 2) / 10
        for name in ("cost", "prompt_tokens", "latency", "confidence", "confidence_cost")
    }
    texts = np.array([["a", None], ["b", "c"], [None, "d"]], dtype=object)
    o = table(responses=texts, samples=samples([0, 1, 0, 2, 1]), **fields).select([2, 0])
    for name, values in fields.items():
        np.testing.assert_array_equal(getattr(o, name), values[[2, 0]])
    assert o.responses is not None
    assert o.responses.tolist() == [[None, "d"], ["a", None]]
    assert o.samples is not None
    assert o.samples.prompt.tolist() == [0, 1, 1]
    assert o.samples.result.tolist() == ["answer 3", "answer 0", "answer 2"]


@given(
    st.lists(st.integers(0, 4), max_size=30),
    st.lists(st.integers(0, 4), max_size=8),
)
def test_samples_follow_their_prompt(prompt: list[int], index: list[int]) -> None:
    all_of = samples(prompt)
    chosen = all_of.select(np.array(index, dtype=np.int64), 5)
    expected = [
        (place, name)
        for place, old in enumerate(index)
        for name, at in zip(all_of.result, prompt, strict=True)
        if at == old
    ]
    assert list(zip(chosen.prompt, chosen.result, strict=True)) == expected


def test_samples_need_arrays_of_one_length() -> None:
    with pytest.raises(ConfigurationError, match="model has 0"):
        Samples(
            ("m",),
            ("",),
            np.zeros(1, dtype=np.int64),
            np.zeros(0, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
            np.array(["x"], dtype=object),
            np.zeros(1),
        )


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
        table(score=np.zeros((2, 1)))
    with pytest.raises(ConfigurationError, match="latency has shape"):
        table(latency=np.zeros((2, 1)))
    with pytest.raises(ConfigurationError, match="as many ids"):
        table(prompt_ids=())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("score", 1.5, r"0\.\.1"),
        ("confidence", -0.1, r"0\.\.1"),
        ("cost", -1e-9, "0 or more"),
        ("latency", np.inf, "finite"),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, value: float, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        table(**{name: np.full((3, 2), value)})


def test_the_data_folder_can_be_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMROUTE_DATA", str(tmp_path))
    assert default_data() == tmp_path
    monkeypatch.setenv("LLMROUTE_DATA", str(tmp_path / "nowhere"))
    assert default_data() is None


def test_a_description_says_what_is_there_and_what_is_missing() -> None:
    text = table(cost=np.full((3, 2), 0.001), latency=np.ones((3, 2))).describe()
    assert "outcomes: 3 prompts, 2 models, 2 categories" in text
    assert "m1" in text
    assert "0.750" in text
    assert "0.001" in text
    assert "1 of 6 answers are missing; 2 prompts answered by every model" in text
    assert "x 2, y 1" in text
    assert "Also recorded: latency." in text
    assert "2 prompts that all models answered are few" in text


def test_a_description_warns_of_what_cannot_be_replayed() -> None:
    apart = table(score=np.array([[0.0, np.nan], [np.nan, 1.0], [1.0, np.nan]]))
    assert "no prompt was answered by every model" in apart.describe()
    assert "calls are counted" in apart.describe()
    alone = table(models=("m0",), score=np.zeros((3, 1)))
    assert "one model only" in alone.describe()
    lost = table(cost=np.array([[1.0, 1.0], [1.0, np.nan], [1.0, 1.0]]))
    assert "1 prompt with an answer whose cost is not known" in lost.describe()


def test_a_description_of_a_good_table_has_no_warning() -> None:
    size = 1500
    large = table(
        prompts=("p",) * size,
        prompt_ids=tuple(map(str, range(size))),
        categories=("x",) * size,
        score=np.tile([[0.0, 1.0], [1.0, 1.0]], (size // 2, 1)),
        cost=np.ones((size, 2)),
        samples=samples([0, 1]),
    )
    text = large.describe()
    assert "Warning" not in text
    assert "Every model answered every prompt." in text
    assert "2 samples of m0" in text
