"""Votes as evidence: one answer a model, and which models gave the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llmroute.answers.votes import NO_ANSWER, Vote


@dataclass(frozen=True)
class ModelEvidence:
    """All votes of one model as one.

    Attributes:
        model: Column of the model.
        answer: The answer it gave most often, the first of equals.
        confidences: By kind, `"token"`, `"verified"` or `"share"`, the confidence in it, 0..1.
    """

    model: int
    answer: int
    confidences: Mapping[str, float]

    @classmethod
    def of(cls, votes: Sequence[Vote]) -> list[ModelEvidence]:
        """One entry for each model, in the order of their first votes."""
        by_model: dict[int, list[Vote]] = {}
        for vote in votes:
            by_model.setdefault(vote.model, []).append(vote)
        return [cls._of_model(model, given) for model, given in by_model.items()]

    @classmethod
    def _of_model(cls, model: int, votes: Sequence[Vote]) -> ModelEvidence:
        answers = [vote.answer for vote in votes if vote.answer != NO_ANSWER]
        answer = max(answers, key=answers.count) if answers else NO_ANSWER
        chosen = [vote for vote in votes if vote.answer == answer]
        confidences = {}
        for kind, values in (
            ("token", [vote.confidence for vote in chosen]),
            ("verified", [vote.verified for vote in chosen]),
        ):
            known = [value for value in values if not math.isnan(value)]
            if known:
                confidences[kind] = sum(known) / len(known)
        if len(votes) > 1:
            # As after one more sample of each kind: two of two say less than ten of ten.
            confidences["share"] = (len(chosen) + 1) / (len(votes) + 2)
        return cls(model, answer, confidences)


def voters(answered: Iterable[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    """Each different answer with the models that gave it; `NO_ANSWER` is one a model."""
    models: dict[tuple[int, int], list[int]] = {}
    for model, answer in answered:
        key = answer, (model if answer == NO_ANSWER else -1)
        models.setdefault(key, []).append(model)
    return [(answer, each) for (answer, _), each in models.items()]
