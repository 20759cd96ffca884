"""How well answers are read and compared, measured on recorded responses.

python -m examples.reproduce.agreement_figures ../shared/data/cascades --split train
python -m examples.reproduce.agreement_figures ../shared/data/agreement --split train
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from examples.reproduce.extraction_figures import SAMPLES, extraction_table
from examples.reproduce.paraphrase_figures import paraphrase_table
from llmroute.answers.answer_type import expected
from llmroute.answers.equivalence import groups
from llmroute.answers.extract import answer_of
from llmroute.answers.votes import NO_ANSWER
from llmroute.evaluation.markdown import markdown_table
from llmroute.metrics import auroc
from llmroute.outcomes.outcomes import Outcomes

Pair = tuple[str, str]


@dataclass
class Tally:
    """Counts over the prompts of one category.

    Attributes:
        prompts: Prompts.
        kinds: Answers by kind.
        responses: Generations.
        together: Pairs of generations in one group, by whether both have one score.
        right: Pairs that are both right, by whether they are in one group.
        supporters: Of each generation, how many others agree with it.
        scores: Of each generation, its score.
        first_right: Score of the pair's first model on each prompt, by whether both agree.
        voted: Score of the majority's first member on each prompt.
    """

    prompts: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    responses: int = 0
    together: Counter[bool] = field(default_factory=Counter)
    right: Counter[bool] = field(default_factory=Counter)
    supporters: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    first_right: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    voted: list[float] = field(default_factory=list)


def measured(data: Outcomes, pair: Pair) -> dict[str, Tally]:
    """Counts by category, and over all under `"all"`.

    Args:
        data: Outcomes with responses.
        pair: Two models whose agreement is counted.
    """
    tallies = {"all": Tally()}
    columns = [data.models.index(name) for name in pair]
    for row, prompt in enumerate(data.prompts):
        said = ["" if text is None else str(text) for text in data.responses[row]]  # type: ignore[index]
        asked = expected(prompt)
        grouped = groups(said, asked)
        kinds = [answer.kind for one in said if (answer := answer_of(one, asked))]
        scores: list[float] = data.score[row].tolist()
        for name in ("all", data.categories[row]):
            tally = tallies.setdefault(name, Tally())
            tally.kinds.update(kinds)
            _count(tally, grouped, scores, columns)
    return tallies


def _count(
    tally: Tally, grouped: Sequence[int], scores: Sequence[float], pair: Sequence[int]
) -> None:
    tally.prompts += 1
    tally.responses += len(grouped)
    for a, b in combinations(range(len(grouped)), 2):
        together = _agree(grouped, a, b)
        if together:
            tally.together[scores[a] == scores[b]] += 1
        if scores[a] == scores[b] == 1:
            tally.right[together] += 1
    everyone = range(len(grouped))
    tally.supporters += [sum(_agree(grouped, a, b) for b in everyone if b != a) for a in everyone]
    tally.scores += scores
    one, other = pair
    tally.first_right[_agree(grouped, one, other)].append(scores[one])
    # The largest group; of equally large ones the first. An output without an answer has no vote.
    votes = Counter(group for group in grouped if group != NO_ANSWER).most_common(1)
    tally.voted.append(scores[grouped.index(votes[0][0])] if votes else 0.0)


def _agree(grouped: Sequence[int], one: int, other: int) -> bool:
    return grouped[one] == grouped[other] != NO_ANSWER


def agreement_table(tallies: dict[str, Tally], pair: Pair) -> str:
    """The counts as a Markdown table.

    Args:
        tallies: What `measured` returns.
        pair: The two models that were compared.
    """
    header = (
        "data",
        "answers read",
        "most frequent kinds",
        "pairs in one group with one score",
        "pairs both right in one group",
        "AUROC of the number that agree",
        f"{pair[0]} and {pair[1]} agree",
        f"{pair[0]} right where they agree",
        "where they differ",
        "majority right",
    )
    return markdown_table(
        header, [[name, *_cells(tally)] for name, tally in sorted(tallies.items())]
    )


def _cells(tally: Tally) -> list[str]:
    agreed, differed = tally.first_right[True], tally.first_right[False]
    kinds = [f"{kind} {_part(n, tally.responses)}" for kind, n in tally.kinds.most_common(3)]
    scores = np.array(tally.scores)
    return [
        _part(tally.kinds.total(), tally.responses),
        ", ".join(kinds),
        _part(tally.together[True], tally.together.total()),
        _part(tally.right[True], tally.right.total()),
        f"{auroc(np.array(tally.supporters, float), (scores >= 0.5).astype(float)):.3f}",
        _part(len(agreed), tally.prompts),
        _part(sum(agreed), len(agreed)),
        _part(sum(differed), len(differed)),
        _part(sum(tally.voted), tally.prompts),
    ]


def _part(count: float, of: float) -> str:
    return f"{100 * count / of:.1f} %" if of else "–"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command.

    Args:
        arguments: Command line; the process's own where None.
    """
    parser = argparse.ArgumentParser(prog="python -m examples.reproduce.agreement_figures")
    parser.add_argument("data", help="folder of recorded outcomes with responses")
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--pair", nargs=2, default=("gpt-4o-mini", "llama3.1-70b"))
    given = parser.parse_args(arguments)
    if (Path(given.data) / SAMPLES).is_file():
        sys.stdout.write(extraction_table(Path(given.data), given.split) + "\n")
        return
    data = Outcomes.read(given.data, given.split, responses=True)
    pair = (given.pair[0], given.pair[1])
    sys.stdout.write(agreement_table(measured(data, pair), pair) + "\n\n")
    sys.stdout.write(paraphrase_table(data) + "\n")


if __name__ == "__main__":
    main()
