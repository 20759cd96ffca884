"""How well answers are read and compared, measured on recorded responses.

    python -m llmroute.escalation.measuring ../shared/data/cascades --split train
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from llmroute.escalation.agreement import majority, groups
from llmroute.escalation.answers import answer_of
from llmroute.escalation.expecting import expected
from llmroute.escalation.votes import NO_ANSWER
from llmroute.evaluation.outcomes import Outcomes


@dataclass
class Tally:
    """Counts over the prompts of one category.

    Attributes:
        prompts: Prompts.
        responses: Generations.
        read: Those of them from which an answer was read.
        kinds: Answers by kind.
        together: Pairs of generations in one group, by whether both have one score.
        apart: Pairs in two groups, by whether both have one score.
        right_apart: Pairs in two groups that are both right.
        right: Pairs that are both right.
        agreed: Prompts on which the two models of `pair` agree.
        right_agreed: Those on which the first of them is right.
        right_otherwise: Prompts on which they differ and the first is right.
        voted: Prompts on which the majority's first member is right.
    """

    prompts: int = 0
    responses: int = 0
    read: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    together: Counter[bool] = field(default_factory=Counter)
    apart: Counter[bool] = field(default_factory=Counter)
    right: int = 0
    right_apart: int = 0
    agreed: int = 0
    right_agreed: float = 0.0
    right_otherwise: float = 0.0
    voted: float = 0.0


def measured(data: Outcomes, pair: tuple[str, str] | None = None) -> dict[str, Tally]:
    """Counts by category, and over all under `""`.

    Args:
        data: Outcomes with responses.
        pair: Two models whose agreement is counted.
    """
    tallies: dict[str, Tally] = {"": Tally()}
    columns = [data.models.index(name) for name in pair or ()]
    for row, prompt in enumerate(data.prompts):
        said = [str(text or "") for text in data.responses[row]]  # type: ignore[index]
        asked = expected(prompt)
        grouped = groups(said, asked)
        kinds = [answer.kind for one in said if (answer := answer_of(one, asked))]
        for name in ("", data.categories[row]):
            tally = tallies.setdefault(name, Tally())
            _count(tally, grouped, kinds, data.score[row].tolist(), columns)
    return tallies


def _count(
    tally: Tally,
    grouped: Sequence[int],
    kinds: Sequence[str],
    scores: Sequence[float],
    pair: Sequence[int],
) -> None:
    tally.prompts += 1
    tally.responses += len(grouped)
    tally.read += sum(group != NO_ANSWER for group in grouped)
    tally.kinds.update(kinds)
    for a, b in combinations(range(len(grouped)), 2):
        together = grouped[a] == grouped[b] != NO_ANSWER
        (tally.together if together else tally.apart)[scores[a] == scores[b]] += 1
        both = scores[a] == scores[b] == 1
        tally.right += both
        tally.right_apart += both and not together
    winner, _ = majority(grouped)
    if winner != NO_ANSWER:
        tally.voted += scores[grouped.index(winner)]
    if pair:
        one, other = pair
        if grouped[one] == grouped[other] != NO_ANSWER:
            tally.agreed += 1
            tally.right_agreed += scores[one]
        else:
            tally.right_otherwise += scores[one]


def table(tallies: dict[str, Tally], pair: tuple[str, str] | None) -> str:
    """The counts as a Markdown table.

    Args:
        tallies: What `measured` returns.
        pair: The two models that were compared.
    """
    lines = [
        "| data | answers read | kinds | same group: same score | two groups: same score "
        "| both right, one group | pair agrees | right then | right else | vote |",
        "| --- | " + " | ".join(["---"] * 9) + " |",
    ]
    for name, t in sorted(tallies.items()):
        most = ", ".join(f"{kind} {_part(n, t.responses)}" for kind, n in t.kinds.most_common(3))
        cells = [
            name or "all",
            _part(t.read, t.responses),
            most,
            _part(t.together[True], t.together.total()),
            _part(t.apart[True], t.apart.total()),
            _part(t.right - t.right_apart, t.right),
            _part(t.agreed, t.prompts) if pair else "",
            _part(t.right_agreed, t.agreed) if pair else "",
            _part(t.right_otherwise, t.prompts - t.agreed) if pair else "",
            _part(t.voted, t.prompts),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _part(count: float, of: float) -> str:
    return f"{100 * count / of:.1f} %" if of else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command.

    Args:
        arguments: Command line; the process's own where None.
    """
    parser = argparse.ArgumentParser(prog="python -m llmroute.escalation.measuring")
    parser.add_argument("data", help="folder of recorded outcomes with responses")
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--pair", nargs=2, default=("gpt-4o-mini", "llama3.1-70b"))
    given = parser.parse_args(arguments)
    data = Outcomes.read(given.data, given.split, responses=True)
    pair = tuple(given.pair)
    sys.stdout.write(table(measured(data, pair), pair) + "\n")


if __name__ == "__main__":
    main()
