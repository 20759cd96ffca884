"""What was heard: one answer a model, and who gave which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmroute.answers.votes import NO_ANSWER, Vote


@dataclass(frozen=True)
class ModelEvidence:
    """All generations of one model as one.

    Attributes:
        model: Column of the model.
        answer: The answer it gave most often, the first of equals.
        scores: Each kind of confidence in it, 0..1.
    """

    model: int
    answer: int
    scores: tuple[tuple[str, float], ...]

    def score(self, kind: str) -> float | None:
        """The confidence of a kind, 0..1, or None.

        Args:
            kind: `"token"`, `"verified"` or `"share"`.
        """
        return dict(self.scores).get(kind)


def observed(votes: Sequence[Vote]) -> list[ModelEvidence]:
    """One entry for each model, in the order of their first generations.

    Args:
        votes: The generations.
    """
    by_model: dict[int, list[Vote]] = {}
    for vote in votes:
        by_model.setdefault(vote.model, []).append(vote)
    return [_as_one(model, given) for model, given in by_model.items()]


def _as_one(model: int, votes: Sequence[Vote]) -> ModelEvidence:
    answers = [vote.answer for vote in votes if vote.answer != NO_ANSWER]
    answer = max(answers, key=answers.count) if answers else NO_ANSWER
    chosen = [vote for vote in votes if vote.answer == answer]
    scores = []
    for kind, evidence in (
        ("token", [vote.confidence for vote in chosen]),
        ("verified", [vote.verified for vote in chosen]),
    ):
        known = [value for value in evidence if not math.isnan(value)]
        if known:
            scores.append((kind, sum(known) / len(known)))
    if len(votes) > 1:
        # As after one more sample of each kind: two of two say less than ten of ten.
        scores.append(("share", (len(chosen) + 1) / (len(votes) + 2)))
    return ModelEvidence(model, answer, tuple(scores))


def grouped(
    evidence: Sequence[ModelEvidence],
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The different answers and their voters; a generation without an answer stands alone.

    Args:
        evidence: What each model said.
    """
    groups: dict[object, list[ModelEvidence]] = {}
    for one in evidence:
        key = one.answer if one.answer != NO_ANSWER else ("none", one.model)
        groups.setdefault(key, []).append(one)
    return (
        tuple(members[0].answer for members in groups.values()),
        tuple(tuple(one.model for one in members) for members in groups.values()),
    )
