"""Ways to tell whether two free texts say the same, measured on recorded responses.

No data say of two answers whether they mean the same. What is recorded is whether each is right:
two right answers to one question mostly mean the same, a right one and a wrong one do not. So the
pairs are differently worded answers to one question of which at least one is right, and a measure
is good that puts the pairs that are both right above the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from llmroute.answers.answer_type import Expected, expected
from llmroute.answers.embedding import similarity
from llmroute.answers.extract import answer_of
from llmroute.answers.normalize import SHORT, folded, listed
from llmroute.answers.similarity import LONG, alike, numbers_differ, one_denies, overlap
from llmroute.evaluation.markdown import markdown_table
from llmroute.metrics import auroc
from llmroute.outcomes.outcomes import Outcomes


@dataclass(frozen=True)
class ParaphrasePair:
    """Two differently worded answers to one question, at least one of them right.

    Attributes:
        category: The question's category.
        length: `"short"`, `"long"`, `"mixed"`, or that one has more words than a cosine is for.
        one: The first.
        other: The second.
        both_right: Whether the other is right too.
    """

    category: str
    length: str
    one: str
    other: str
    both_right: bool


#: Name of a measure, the measure, and where it is cut.
_MEASURES: tuple[tuple[str, Callable[[str, str], float], tuple[float, ...]], ...] = (
    ("the rule in use", lambda a, b: float(alike(a, b)), (1.0,)),
    ("no denial on one side only", lambda a, b: float(not one_denies(a, b)), (1.0,)),
    ("no other numbers", lambda a, b: float(not numbers_differ(a, b)), (1.0,)),
    ("words in common", overlap, (0.25, 0.35, 0.45)),
    ("cosine, minilm", similarity, (0.8, 0.85, 0.9)),
    ("cosine, static", lambda a, b: similarity(a, b, "static"), (0.8, 0.85, 0.9)),
)


def paraphrase_pairs(data: Outcomes) -> Iterator[ParaphrasePair]:
    """The pairs of free texts in recorded responses, each wording once.

    A worked solution without its last line, which states the answer, is such a text too.

    Args:
        data: Outcomes with responses.
    """
    for row, prompt in enumerate(data.prompts):
        asked = expected(prompt)
        said: dict[str, tuple[str, float]] = {}
        for text, score in zip(data.responses[row], data.score[row], strict=True):  # type: ignore[index]
            found = _free_text(str(text or ""), asked)
            if found:
                said.setdefault(listed(found), (found, float(score)))
        for (one, a), (other, b) in combinations(said.values(), 2):
            if max(a, b) == 1:
                yield ParaphrasePair(data.categories[row], _length(one, other), one, other, a == b)


def _free_text(text: str, asked: Expected) -> str:
    answer = answer_of(text, asked)
    if answer and answer.kind in ("text", "prose"):
        return answer.text
    worked, _, _ = text.strip().rpartition("\n")
    return worked if len(folded(worked).split()) > LONG else ""


def _length(one: str, other: str) -> str:
    words = sorted(len(folded(text).split()) for text in (one, other))
    if words[1] > LONG:
        return f"more than {LONG} words"
    return "short" if words[1] <= SHORT else "long" if words[0] > SHORT else "mixed"


def paraphrase_table(data: Outcomes) -> str:
    """How well measures tell pairs that are both right, as a Markdown table.

    Args:
        data: Outcomes with responses.
    """
    kinds: dict[tuple[str, str], list[ParaphrasePair]] = {}
    for pair in paraphrase_pairs(data):
        kinds.setdefault((pair.category, pair.length), []).append(pair)
    header = ("data", "pairs", "both right", "measure", "AUROC", "from: both right, part of those")
    rows = []
    for (category, length), pairs in sorted(kinds.items()):
        right = np.array([pair.both_right for pair in pairs])
        if not 0 < right.sum() < len(right):
            continue
        for name, measure, cuts in _MEASURES:
            values = np.array([measure(pair.one, pair.other) for pair in pairs])
            rows.append(
                [
                    f"{category}, {length}",
                    str(len(pairs)),
                    f"{100 * right.mean():.0f} %",
                    name,
                    f"{auroc(values, right.astype(float)):.3f}",
                    "; ".join(_at(cut, values, right) for cut in cuts),
                ]
            )
    return markdown_table(header, rows)


def _at(cut: float, values: np.ndarray, right: np.ndarray) -> str:
    kept = values >= cut
    if not kept.any():
        return f"{cut:g}: none"
    recall = (right & kept).sum() / right.sum()
    return f"{cut:g}: {100 * right[kept].mean():.0f} %, {100 * recall:.0f} %"
