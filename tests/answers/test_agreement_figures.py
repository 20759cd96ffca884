"""Reading and comparing answers, measured: on outcomes made here, and on recorded ones."""

from pathlib import Path

import numpy as np
import pytest

from examples.reproduce.agreement_figures import agreement_table, main, measured
from examples.reproduce.paraphrase_figures import paraphrase_pairs, paraphrase_table
from llmroute.outcomes.outcomes import Outcomes, default_data

PAIR = ("a", "b")
MADE = Outcomes(
    prompts=("How many are left?", "Who wrote it?", "Why is the sea salty?"),
    prompt_ids=("1", "2", "3"),
    categories=("sums", "names", "why"),
    models=("a", "b", "c"),
    score=np.array([[1.0, 1, 0], [1, 1, 0], [1, 0, 0]]),
    responses=np.array(
        [
            ["4", "The answer is 4.", "5"],
            ["Defoe", "Daniel Defoe", "Swift"],
            [
                "Rivers carry salt from the rocks of the land into it.",
                "Because whales and other fish have wept into it since the first days.",
                "",
            ],
        ],
        dtype=object,
    ),
)


def test_what_is_counted() -> None:
    tallies = measured(MADE, PAIR)
    assert set(tallies) == {"all", "sums", "names", "why"}
    sums, all_of_them = tallies["sums"], tallies["all"]
    assert sums.kinds == {"number": 3}
    assert (dict(sums.together), dict(sums.right)) == ({True: 1}, {True: 1})
    assert sums.supporters == [1, 1, 0]
    assert all_of_them.first_right == {True: [1.0, 1.0], False: [1.0]}
    assert all_of_them.kinds.total() == all_of_them.responses - 1


def test_the_tables_have_a_row_for_each_kind_of_data() -> None:
    table = agreement_table(measured(MADE, PAIR), PAIR)
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| all", "| names", "| sums", "| why",
    ]  # fmt: skip
    pairs = [(pair.category, pair.length, pair.both_right) for pair in paraphrase_pairs(MADE)]
    assert pairs == [
        ("names", "short", True),
        ("names", "short", False),
        ("names", "short", False),
        ("why", "long", False),
    ]
    assert "names, short | 3 | 33 % | the rule in use | 1.000" in paraphrase_table(MADE)


def test_generations_are_compared_with_what_was_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    prompts = {"prompt_id": ["1", "2"], "prompt": ["How many?"] * 2, "split": ["train", "test"]}
    samples = {
        "prompt_id": ["1", "1", "1", "2"],
        "category": ["sums"] * 4,
        "style": ["cot1", "cot2", "pot1", "cot1"],
        "sample_idx": [0, 0, 0, 0],
        "generation": ["2 + 2 = 4, so\nans = 4", "It is 5.", "print(4)", "6"],
        "result": ["4.0", "7", "4", "6"],
    }
    pq.write_table(pa.table(prompts), tmp_path / "prompts.parquet")
    pq.write_table(pa.table(samples), tmp_path / "samples.parquet")
    main([str(tmp_path), "--split", "train"])
    assert "| sums | 2 | 50.0 % | 50.0 % |" in capsys.readouterr().out


def test_on_recorded_responses_generations_that_agree_are_right_together() -> None:
    folder = (default_data() or Path()) / "cascades"
    if not (folder / "prompts.parquet").is_file():
        pytest.skip("recorded outcomes are absent: set LLMROUTE_DATA to a folder with cascades")
    data = Outcomes.read(folder, "train", responses=True)
    tallies = measured(data.select(np.arange(0, len(data), 12)), ("gpt-4o-mini", "llama3.1-70b"))
    for name, tally in tallies.items():
        assert tally.kinds.total() >= 0.99 * tally.responses, name
        # TruthfulQA's right answers are many; to the other questions there is one.
        least = 0.9 if name == "truthfulqa" else 0.98
        assert tally.together[True] >= least * tally.together.total(), name
    for name in ("gsm8k", "mmlu", "medmcqa"):
        assert tallies[name].right[True] >= 0.99 * tallies[name].right.total(), name
