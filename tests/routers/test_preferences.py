"""Tables of comparisons in every form they come in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from llmroute.errors import ConfigurationError
from llmroute.routers.preferences import is_preferences, read_preferences

ROWS = [
    {"prompt": "Add 1 to 2.", "model_a": "small", "model_b": "large", "winner": "tie"},
    {"prompt": "Prove it.", "model_a": "small", "model_b": "large", "winner": "b"},
    {"prompt": "Prove it.", "model_a": "large", "model_b": "third", "winner": "model_a"},
    {"prompt": "Say, “hi”,\nplease", "model_a": "third", "model_b": "small", "winner": "a"},
]


def written(rows: list[dict[str, str]], path: Path) -> Path:
    if path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            delimiter = "," if path.suffix == ".csv" else "\t"
            table = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"])
def test_every_form_reads_the_same(ending: str, tmp_path: Path) -> None:
    path = written(ROWS, tmp_path / f"arena.{ending}")
    assert is_preferences(path)
    found = read_preferences(path)
    assert found.prompts == ("Add 1 to 2.", "Prove it.", "Say, “hi”,\nplease")
    assert found.models == ("small", "large", "third")
    assert found.prompt.tolist() == [0, 1, 1, 2]
    assert found.won.tolist() == [0.5, 0.0, 1.0, 1.0]
    assert found.win_shares()[1].tolist() == [0.0, 1.0, 0.0]
    assert found.source == "arena"


def test_columns_may_have_other_names_and_a_split(tmp_path: Path) -> None:
    sides = ("train", "test", "exclude", "train")
    rows = [
        {"Question": r["prompt"], "A": r["model_a"], "B": r["model_b"], "Preference": r["winner"]}
        | {"split": side}
        for r, side in zip(ROWS, sides, strict=True)
    ]
    path = written(rows, tmp_path / "mine.csv")
    assert len(read_preferences(path, "train")) == 2
    assert len(read_preferences(path, "test")) == 1
    assert len(read_preferences(path)) == 3


def test_without_a_split_every_prompt_is_on_one_side(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "prompt": f"Add 1 to {i}."} for i in range(60)] * 2
    path = written(rows, tmp_path / "mine.jsonl")
    train, test = read_preferences(path, "train"), read_preferences(path, "test")
    assert len(train) + len(test) == 120
    assert min(len(train.prompts), len(test.prompts)) > 15
    assert not set(train.prompts) & set(test.prompts)


def test_some_prompts_can_be_taken(tmp_path: Path) -> None:
    found = read_preferences(written(ROWS, tmp_path / "x.csv")).select([False, True, True])
    assert found.prompts == ("Prove it.", "Say, “hi”,\nplease")
    assert found.prompt.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"winner": "draw"}, "winner is a, b or tie"),
        ({"model_b": "small"}, "are one model"),
        ({"prompt": " "}, "must be filled"),
    ],
)
def test_rows_at_fault_are_named(change: dict[str, str], message: str, tmp_path: Path) -> None:
    path = written([*ROWS[:1], {**ROWS[0], **change}], tmp_path / "x.csv")
    with pytest.raises(ConfigurationError, match=message):
        read_preferences(path)


def test_what_is_no_table_of_comparisons_is_told_apart(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("prompt,model,score\nhi,small,1\n")
    assert not is_preferences(log)
    assert not is_preferences(tmp_path)
    assert not is_preferences(tmp_path / "none.csv")
    (tmp_path / "broken.jsonl").write_text("{")
    assert not is_preferences(tmp_path / "broken.jsonl")
    with pytest.raises(ConfigurationError, match="has no column model_a, model_b, winner"):
        read_preferences(log)
    with pytest.raises(ConfigurationError, match="no file"):
        read_preferences(tmp_path / "none.csv")
