"""Answers read off worked solutions, against those the data's authors read off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from llmroute.answers.answer_type import expected
from llmroute.answers.equivalence import same_answer
from llmroute.answers.extract import answer_of
from llmroute.errors import MissingExtra
from llmroute.evaluation.markdown import markdown_table
from llmroute.outcomes.table import PROMPTS

#: The file of a folder of outcomes that holds several generations of a prompt.
SAMPLES = "samples.parquet"

#: Characters at which the recorded generations were cut; a cut one has lost its answer.
_KEPT = 600


def extraction_table(folder: Path, split: str) -> str:
    """How often the answer that is read is the recorded one, by task, as a Markdown table.

    Programs are left out: their answer is what they print.

    Args:
        folder: Outcomes with `samples.parquet`, which has the generations.
        split: `"train"` or `"test"`.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    counts: dict[str, Counter[str]] = {}
    for task, prompt, generation, result in _rows(folder, split):
        asked = expected(prompt)
        found, recorded = answer_of(generation, asked), answer_of(result, asked)
        count = counts.setdefault(task, Counter())
        count["all"] += 1
        count["same"] += bool(found and recorded and same_answer(found, recorded))
        # Where the authors' reader found no mark of an answer they recorded all of the text.
        if len(result) <= len(generation) / 2:
            count["read"] += 1
            count["same of read"] += bool(found and recorded and same_answer(found, recorded))
    rows = [
        [task, str(c["all"]), _part(c["same"], c["all"]), _part(c["same of read"], c["read"])]
        for task, c in sorted(counts.items())
    ]
    return markdown_table(
        ("task", "generations", "same as recorded", "where one was recorded"), rows
    )


def _rows(folder: Path, split: str) -> Iterator[tuple[str, str, str, str]]:
    try:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("Reading recorded generations (pyarrow)", "eval") from None
    prompts = pq.read_table(folder / PROMPTS, columns=["prompt_id", "prompt", "split"])
    texts = {
        row["prompt_id"]: row["prompt"]
        for row in prompts.filter(pc.field("split") == split).to_pylist()
    }
    columns = ["prompt_id", "category", "style", "sample_idx", "generation", "result"]
    samples = pq.read_table(folder / SAMPLES, columns=columns)
    whole = pc.utf8_length(pc.field("generation")) < _KEPT - 1
    few = pc.field("sample_idx") < 4
    for row in samples.filter(pc.starts_with(pc.field("style"), "cot") & few & whole).to_pylist():
        if row["prompt_id"] in texts:
            yield row["category"], texts[row["prompt_id"]], row["generation"], str(row["result"])


def _part(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"
