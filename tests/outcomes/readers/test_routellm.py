import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes

WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"


def write_csv(path: Path, header: Sequence[str], *rows: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_jsonl(path: Path, *rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder laid out as RouteLLM's repository."""
    evals = tmp_path / "routellm" / "evals"
    head = ["prompt", WEAK, STRONG]
    responses = evals / "mmlu" / "responses"
    write_csv(responses / "mmlu_anatomy.csv", head, ["A\nB?", True, True], ["C?", False, True])
    write_csv(responses / "mmlu_virology.csv", head, ["leaked", True, True], ["D?", False, False])
    write_jsonl(evals / "mmlu" / "contaminated_prompts.jsonl", {"eval_prompt": "leaked"})
    write_csv(
        evals / "gsm8k" / "gsm8k_responses.csv",
        [*head, f"{WEAK}_response", f"{STRONG}_response"],
        ["How many?", False, True, "four", "five"],
    )
    write_jsonl(evals / "gsm8k" / "contaminated_prompts.jsonl", {"eval_prompt": "other"})
    write_jsonl(
        evals / "mt_bench" / "question.jsonl",
        {"question_id": 81, "category": "writing", "turns": ["Write.", "Write again."]},
        {"question_id": 82, "category": "coding", "turns": ["Code.", "leaked too"]},
    )
    write_jsonl(
        evals / "mt_bench" / "judgements.jsonl",
        {"question_id": 81, "model": STRONG, "turn": 1, "score": 10},
        {"question_id": 81, "model": STRONG, "turn": 2, "score": 9},
        {"question_id": 81, "model": WEAK, "turn": 1, "score": 1},
        {"question_id": 81, "model": WEAK, "turn": 2, "score": -1},
        {"question_id": 81, "model": "another", "turn": 1, "score": 5},
        {"question_id": 82, "model": WEAK, "turn": 1, "score": 5},
    )
    write_jsonl(evals / "mt_bench" / "contaminated_prompts.jsonl", {"eval_prompt": "leaked too"})
    return tmp_path


def test_three_benchmarks_become_one_table(checkout: Path) -> None:
    o = Outcomes.read(checkout, responses=True)
    assert o.source == "routellm"
    assert o.models == (STRONG, WEAK)
    found = dict(zip(o.prompts, zip(o.categories, o.prompt_ids, strict=True), strict=True))
    assert found == {
        "A\nB?": ("mmlu_anatomy", "mmlu_anatomy-0"),
        "C?": ("mmlu_anatomy", "mmlu_anatomy-1"),
        "D?": ("mmlu_virology", "mmlu_virology-1"),
        "How many?": ("gsm8k", "gsm8k-0"),
        "Write.": ("mt_bench_writing", "mt_bench-81"),
    }
    np.testing.assert_allclose(o.score, [[1, 1], [1, 0], [0, 0], [1, 0], [8.5 / 9, 0]])
    assert o.cost is None
    assert o.responses is not None
    assert o.responses[3].tolist() == ["five", "four"]
    assert o.responses[4].tolist() == [None, None]


def test_its_folder_of_evals_will_do(checkout: Path) -> None:
    assert len(Outcomes.read(checkout / "routellm" / "evals")) == 5


def test_gsm8k_and_mt_bench_are_for_testing_only(checkout: Path) -> None:
    train, test = Outcomes.read(checkout, "train"), Outcomes.read(checkout, "test")
    assert {c.split("_")[0] for c in train.categories} == {"mmlu"}
    assert {"How many?", "Write."} <= set(test.prompts)
    assert len(train) + len(test) == 5


def test_one_benchmark_alone_is_read(checkout: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    (alone / "routellm" / "evals").mkdir(parents=True)
    (checkout / "routellm" / "evals" / "gsm8k").rename(alone / "routellm" / "evals" / "gsm8k")
    assert Outcomes.read(alone).categories == ("gsm8k",)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("mmlu/contaminated_prompts.jsonl", None, r"no file .*_prompts\.jsonl\. Take a"),
        ("mt_bench/question.jsonl", None, r"no file .*question\.jsonl\. Take a whole checkout"),
        ("mt_bench/question.jsonl", '{"question_id": 1}', "line 1: question_id, category and"),
        ("mt_bench/judgements.jsonl", '{"question_id": 81}', "line 1: question_id, model and"),
        ("mt_bench/judgements.jsonl", "{", "line 1: no JSON: Expecting"),
        ("mt_bench/judgements.jsonl", "[1]", "line 1: no JSON object"),
        (
            "mt_bench/judgements.jsonl",
            json.dumps({"question_id": 81, "model": WEAK, "score": 11}),
            r"line 1: score is 11, not in 1\.\.10",
        ),
        (
            "gsm8k/gsm8k_responses.csv",
            f"prompt,{WEAK}\nq,maybe\n",
            "line 2: .* is 'maybe', which is",
        ),
        (
            "gsm8k/gsm8k_responses.csv",
            f"prompt,{WEAK}\nq\n",
            "line 2: 1 cells, where the header",
        ),
        (
            "gsm8k/gsm8k_responses.csv",
            f"text,{WEAK}\nq,True\n",
            "no column prompt",
        ),
        ("gsm8k/gsm8k_responses.csv", 'prompt,m\n"q,True\n', "line 2: unexpected end of data"),
    ],
)
def test_files_at_fault(checkout: Path, file: str, content: str | None, said: str) -> None:
    path = checkout / "routellm" / "evals" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        Outcomes.read(checkout)


def test_another_folder_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds prompts\.parquet and outcomes\.parquet"):
        Outcomes.read(tmp_path)
