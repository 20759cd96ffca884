import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.outcomes.assemble import side_of
from tests.outcomes.readers.published import WIDE

STRONG, WEAK = "gpt-4-1106-preview", "mistralai/mixtral-8x7b-chat"


@pytest.mark.parametrize("version", WIDE)
def test_a_table_like_the_published_ones(tmp_path: Path, version: str) -> None:
    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(WIDE[version])
    o = Outcomes.read(path)
    assert o.source == "routerbench_0shot"
    assert o.models == (STRONG, WEAK)
    assert o.prompt_ids == ("mmlu-anatomy.val.0", "mmlu-anatomy.val.1", "mtbench.1")
    assert o.prompts == ("What is a bone?", "Is it?\nA) yes", "First turn\n\nSecond turn")
    assert o.categories == ("mmlu-anatomy", "mmlu-anatomy", "mtbench")
    np.testing.assert_array_equal(o.score, [[1.0, 0.0], [1.0, 1.0], [0.75, np.nan]])
    np.testing.assert_array_equal(o.cost, [[0.001, 0.0001], [0.002, 0.0002], [0.003, np.nan]])
    assert o.responses is None
    responses = Outcomes.read(path, responses=True).responses
    assert responses is not None
    assert responses.tolist() == [["A", "E"], ["B", "F"], ["C\n\nD", None]]


class TestMadeUp:
    """Tables that the installed pandas writes."""

    pd = pytest.importorskip("pandas")

    def save(self, folder: Path, **columns: Any) -> Path:
        path = folder / "table.pkl"
        self.pd.DataFrame(columns).to_pickle(path)
        return path

    def wide(self, folder: Path, **changed: Any) -> Path:
        columns = {
            "sample_id": ["s1", "s2"],
            "prompt": ["['one']", "['two']"],
            "eval_name": ["e", "f"],
            "a": [1.0, 0.0],
            "a|total_cost": [0.5, 0.25],
            "b": [0.5, 0.5],
            "b|total_cost": [0.1, 0.2],
            **changed,
        }
        kept = {name: values for name, values in columns.items() if values is not None}
        return self.save(folder, **kept)

    def long(self, folder: Path, **changed: Any) -> Path:
        columns = {
            "sample_id": ["s1", "s2", "s1", "s2"],
            "model_name": ["b", "b", "a", "a"],
            "eval_name": ["e", "f", "e", "f"],
            "prompt": ["['one']", "['two']"] * 2,
            "model_response": ["['1']", "['2']", "['3']", "['4']"],
            "performance": np.array([True, 0.5, 1.0, False], dtype=object),
            "cost": np.array([0.1, 0.2, 0.3, 0.4], dtype=object),
            **changed,
        }
        kept = {name: values for name, values in columns.items() if values is not None}
        return self.save(folder, **kept)

    def test_the_raw_table_is_long(self, tmp_path: Path) -> None:
        o = Outcomes.read(self.long(tmp_path), responses=True)
        assert o.prompts == ("one", "two")
        assert o.models == ("a", "b")
        np.testing.assert_array_equal(o.score, [[1.0, 1.0], [0.0, 0.5]])
        np.testing.assert_array_equal(o.cost, [[0.3, 0.1], [0.4, 0.2]])
        assert o.responses is not None
        assert o.responses.tolist() == [["3", "1"], ["4", "2"]]

    def test_a_long_table_without_costs(self, tmp_path: Path) -> None:
        assert Outcomes.read(self.long(tmp_path, cost=None)).cost is None

    def test_a_question_is_on_one_side(self, tmp_path: Path) -> None:
        texts = [f"Question {i}" for i in range(40)]
        path = self.wide(
            tmp_path,
            sample_id=texts,
            prompt=[repr([text]) for text in texts],
            eval_name=["e"] * 40,
            **{name: [0.5] * 40 for name in ("a", "b", "a|total_cost", "b|total_cost")},
        )
        for split in ("train", "test"):
            expected = tuple(text for text in texts if side_of(text) == split)
            assert Outcomes.read(path, split).prompts == expected

    def test_a_sample_asked_with_two_texts_is_one_prompt(self, tmp_path: Path) -> None:
        """In the 5-shot table 14 samples fill two rows each, with other models in either."""
        path = self.wide(
            tmp_path,
            sample_id=["s1", "s1"],
            prompt=["['one']", "['other']"],
            eval_name=["e", "e"],
            a=[1.0, np.nan],
            b=[np.nan, 0.5],
        )
        with pytest.warns(UserWarning, match="1 samples were asked with two texts"):
            o = Outcomes.read(path)
        assert o.prompts == ("one",)
        np.testing.assert_array_equal(o.score, [[1.0, 0.5]])
        np.testing.assert_array_equal(o.cost, [[0.5, 0.2]])

    def test_of_repeated_answers_the_first_counts(self, tmp_path: Path) -> None:
        path = self.long(tmp_path, model_name=["b", "b", "b", "a"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(Outcomes.read(path).score, [[np.nan, 1.0], [0.0, 0.5]])

    @pytest.mark.parametrize(
        "text", ["['a', 3]", "[]", "[" * 300 + "]" * 300, "['open]", "[x for x in ()]", "plain"]
    )
    def test_a_prompt_that_is_no_list_of_texts_stays_as_it_is(
        self, tmp_path: Path, text: str
    ) -> None:
        assert Outcomes.read(self.wide(tmp_path, prompt=[text, "['two']"])).prompts[0] == text

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"a": [1.0, 7.0]}, "row 2: 'a' is 7; 0..1"),
            ({"a|total_cost": [1.0, -7.0]}, r"row 2: 'a\|total_cost' is -7"),
            ({"a": np.array(["good", 1.0], dtype=object)}, "row 1: 'a' is 'good', which is not"),
            ({"sample_id": ["s1", None]}, "row 2: sample_id is empty"),
            ({"eval_name": None}, "not one of RouterBench's tables: it has no column eval_name"),
            ({"a|total_cost": None, "b|total_cost": None}, r"no column M and M\|total_cost"),
            ({"b|total_cost": [np.nan, np.nan]}, "no cost is known of 'b'"),
        ],
    )
    def test_tables_at_fault(self, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigurationError, match=said):
            Outcomes.read(self.wide(tmp_path, **changed))

    def test_responses_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"no column 'a\|model_response'"):
            Outcomes.read(self.wide(tmp_path), responses=True)
