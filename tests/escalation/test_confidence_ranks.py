"""A model's confidence is read by its place among those that it gave before."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.answers.votes import Vote
from llmroute.escalation.belief import BeliefModel
from llmroute.state.confidence_ranks import ConfidenceRanks
from llmroute.state.sorted_window import SortedWindow

KEY = ("token", 0, "choice")
CONFIDENCES = st.lists(st.floats(0, 1), min_size=10, max_size=60)


@given(CONFIDENCES)
def test_a_rank_is_the_share_that_lies_below_equals_counted_half(observed: list[float]) -> None:
    ranks = ConfidenceRanks()
    for confidence in observed:
        ranks.note(KEY, confidence)
    for confidence in observed:
        below = sum(h < confidence for h in observed) + 0.5 * sum(h == confidence for h in observed)
        rank = ranks.rank(KEY, confidence)
        assert rank == pytest.approx(below / len(observed))
        assert 0 < rank < 1


def test_of_a_few_nothing_is_said() -> None:
    ranks = ConfidenceRanks()
    for _ in range(9):
        ranks.note(KEY, 0.5)
    assert ranks.rank(KEY, 0.5) is None
    ranks.note(KEY, 0.5)
    assert ranks.rank(KEY, 0.5) == 0.5
    assert ranks.rank(("token", 1, "choice"), 0.5) is None
    assert ranks.rank(("verified", 0, "choice"), 0.5) is None


@given(st.lists(st.floats(0, 1), max_size=50), st.integers(1, 20))
def test_a_window_keeps_the_last(values: list[float], size: int) -> None:
    window = SortedWindow(size)
    for value in values:
        window.add(value)
    kept = values[-size:]
    assert len(window) == len(kept)
    for value in values:
        assert window.below(value) == sum(k < value for k in kept)
        assert window.up_to(value) == sum(k <= value for k in kept)


def test_a_copy_begins_anew() -> None:
    ranks = ConfidenceRanks()
    for _ in range(20):
        ranks.note(KEY, 0.5)
    for other in (copy.deepcopy(ranks), pickle.loads(pickle.dumps(ranks))):
        assert other.rank(KEY, 0.5) is None


class TestAJudgeOfModelsNobodyHasMeasured:
    """One model is always sure, the other never; each is more sure when it is right."""

    SURE, UNSURE = (0.9, 0.999999), (0.5, 0.9)

    JUDGE = BeliefModel.unfitted(2)

    def observed(self) -> ConfidenceRanks:
        ranks = ConfidenceRanks()
        for model, (low, high) in enumerate((self.SURE, self.UNSURE)):
            for confidence in (low, high) * 10:
                self.JUDGE.note(Vote(model, 0, confidence=confidence), "choice", ranks)
        return ranks

    def good(self, ranks: ConfidenceRanks, model: int, confidence: float) -> float:
        import numpy as np

        vote = Vote(model, 0, confidence=confidence)
        prior = np.array([0.7, 0.7])
        return float(self.JUDGE.belief(prior, [vote], "choice", ranks).good[0])

    def test_believes_a_sure_model_no_more_than_another(self) -> None:
        ranks = self.observed()
        for end in (0, 1):
            sure = self.good(ranks, 0, self.SURE[end])
            unsure = self.good(ranks, 1, self.UNSURE[end])
            assert sure == pytest.approx(unsure)
        assert self.good(ranks, 0, 0.9) < 0.7 < self.good(ranks, 1, 0.9)

    def test_makes_little_of_confidences_before_it_knows_others(self) -> None:
        fresh, observed = ConfidenceRanks(), self.observed()
        evidence = self.good(fresh, 0, 0.999999) - self.good(fresh, 0, 0.9)
        assert 0 < evidence < self.good(observed, 0, 0.999999) - self.good(observed, 0, 0.9)
