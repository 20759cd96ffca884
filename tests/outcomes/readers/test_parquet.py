from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a folder of two prompts that two models answered; a column of None is left out."""

    def write(prompts: dict | None = None, samples: dict | None = None, **rows: object) -> Path:
        tables = {
            "prompts": {
                "prompt_id": ["a", "b"],
                "prompt": ["first", "second"],
                "category": ["x", "y"],
                "split": ["train", "test"],
                **(prompts or {}),
            },
            "outcomes": {
                "prompt_id": ["a", "a", "b", "b"],
                "model": ["weak", "strong", "weak", "strong"],
                "score": [0.0, 1.0, 0.5, 1.0],
                **rows,
            },
            "samples": samples,
        }
        for name, columns in tables.items():
            if columns:
                kept = {key: values for key, values in columns.items() if values is not None}
                pq.write_table(pa.table(kept), tmp_path / f"{name}.parquet")
        return tmp_path

    return write


def test_the_measured_cost_goes_before_the_nominal_one(write: Write) -> None:
    o = Outcomes.read(write(est_cost_usd=[9.0] * 4, cost_usd=[1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(o.cost, [[2.0, 1.0], [4.0, 3.0]])


def test_latency_is_in_seconds(write: Write) -> None:
    o = Outcomes.read(write(latency_ms=[100.0, 200.0, None, 400.0]))
    np.testing.assert_array_equal(o.latency, [[0.2, 0.1], [0.4, np.nan]])
    o = Outcomes.read(write(latency_ms=[100.0] * 4, latency_s=[1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(o.latency, [[2.0, 1.0], [4.0, 3.0]])


def test_confidences_are_probabilities(write: Write) -> None:
    kinds = ["answer_token_logprob", "self_verification_logprob", "probability", None]
    o = Outcomes.read(write(raw_conf=[np.log(0.5), 1e-9, 0.25, 0.75], conf_kind=kinds))
    np.testing.assert_allclose(o.confidence, [[1.0, 0.5], [0.75, 0.25]])
    o = Outcomes.read(write(raw_conf=[0.1, 0.2, 0.3, None], conf_kind=None))
    np.testing.assert_array_equal(o.confidence, [[0.2, 0.1], [np.nan, 0.3]])
    o = Outcomes.read(write(raw_conf=[9.0] * 4, confidence=[0.1, 0.2, 0.3, 0.4]))
    np.testing.assert_array_equal(o.confidence, [[0.2, 0.1], [0.4, 0.3]])


def test_a_logarithm_that_is_not_called_one_is_refused(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"row 1: confidence is -0\.3; .*logarithm"):
        Outcomes.read(write(raw_conf=[-0.3, 0.5, 0.5, 0.5]))


def test_what_a_confidence_cost_is_the_difference(write: Write) -> None:
    costs = {"cost_usd": [0.1, 0.2, 0.3, 0.4], "cost_with_conf_usd": [0.1 + 1e-17, 0.5, None, 0.4]}
    o = Outcomes.read(write(**costs))
    np.testing.assert_allclose(o.confidence_cost, [[0.3, 0.0], [0.0, np.nan]])
    with pytest.raises(ConfigurationError, match=r"row 2: confidence_cost is -0\.1"):
        Outcomes.read(write(cost_usd=[0.1, 0.2, 0.3, 0.4], cost_with_conf_usd=[0.1] * 4))


def test_responses_and_samples_are_read_only_when_asked_for(write: Write) -> None:
    folder = write(
        response=["r1", "r2", None, "r4"],
        samples={
            "prompt_id": ["b", "a", "a", "gone"],
            "model": ["weak"] * 4,
            "style": ["cot", "pot", "cot", "cot"],
            "result": ["1", None, "2", "3"],
            "correct": [True, False, True, True],
        },
    )
    o = Outcomes.read(folder)
    assert o.responses is None
    assert o.samples is None
    o = Outcomes.read(folder, responses=True, samples=True)
    assert o.responses is not None
    assert o.responses.tolist() == [["r2", "r1"], ["r4", None]]
    assert o.samples is not None
    assert o.samples.styles == ("cot", "pot")
    assert o.samples.prompt.tolist() == [0, 0, 1]
    assert o.samples.result.tolist() == [None, "2", "1"]
    assert o.samples.score.tolist() == [0.0, 1.0, 1.0]
    test = Outcomes.read(folder, "test", samples=True).samples
    assert test is not None
    assert test.prompt.tolist() == [0]


def test_samples_need_a_file_and_a_score(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"no file .*samples\.parquet"):
        Outcomes.read(write(), samples=True)
    bare = {"prompt_id": ["a"], "model": ["weak"], "result": ["1"]}
    with pytest.raises(ConfigurationError, match="neither a column score nor correct"):
        Outcomes.read(write(samples=bare), samples=True)
    bare["score"] = [3.0]  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="row 1: score is 3"):
        Outcomes.read(write(samples=bare), samples=True)


def test_ids_may_be_numbers_and_names_a_dictionary(write: Write) -> None:
    names = pa.array(["weak", "strong", "weak", "strong"]).dictionary_encode()
    o = Outcomes.read(write({"prompt_id": [1, 2]}, prompt_id=[1, 1, 2, 2], model=names))
    assert o.prompt_ids == ("1", "2")
    np.testing.assert_array_equal(o.score, [[1.0, 0.0], [1.0, 0.5]])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt_id": ["a", "a", "b", "a"]}, "row 4: model 'strong' has answered .* of row 2"),
        ({"prompt_id": ["a", None, "b", "b"]}, "row 2: prompt_id is null"),
        ({"model": ["weak", None, "weak", "strong"]}, "row 2: model is null"),
        ({"prompt_tokens": [1, 2, -3, 4]}, "row 3: prompt_tokens is -3"),
        ({"cost_usd": ["a", "b", "c", "d"]}, "column cost_usd is of type string; numbers"),
        ({"cost_usd": [0.1, None, 0.1, None]}, "no cost is known of 'strong'"),
        ({"prompts": {"split": ["train", "dev"]}}, "row 2: split is 'dev'; 'train', 'test'"),
        ({"prompts": {"prompt_id": ["a", "a"]}}, "row 2: the prompt_id stands in row 1"),
        ({"prompts": {"prompt": ["first", None]}}, "row 2: prompt is null"),
        ({"prompts": {"split": ["exclude"] * 2}}, "no prompt with split 'train' or 'test', of 2"),
    ],
)
def test_rows_at_fault_are_named(write: Write, columns: dict, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Outcomes.read(write(**columns))


def test_answers_to_prompts_that_are_not_there_do_not_count(write: Write) -> None:
    o = Outcomes.read(write(prompt_id=["a", "a", "other", "other"]))
    assert np.isnan(o.score[1]).all()


def test_models_are_the_same_on_both_sides(write: Write) -> None:
    folder = write(model=["weak", "strong", "weak", "third"])
    assert Outcomes.read(folder, "train").models == Outcomes.read(folder, "test").models


def test_the_recorded_cascades(data: Path) -> None:
    o = Outcomes.read(data / "cascades", "test")
    for values in (o.latency, o.confidence, o.confidence_cost):
        assert values is not None
        assert not np.isnan(values).any()
    assert o.confidence_cost is not None
    # Multiple-choice answers carry their own token's probability; the others were verified.
    free = (o.confidence_cost == 0).all(axis=1)
    assert {c for c, f in zip(o.categories, free, strict=True) if f} == {"mmlu", "medmcqa"}


def test_the_recorded_samples(data: Path) -> None:
    s = Outcomes.read(data / "agreement", samples=True).samples
    assert s is not None
    assert len(s) == 241_081
    assert s.models == ("gpt-3.5-turbo", "gpt-4", "llama-2-13b")
    assert s.styles == ("cot1", "cot2", "pot1", "pot2")
