"""A model's confidence is read by its place among those that it gave before."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.answers.votes import Vote
from llmroute.escalation.belief import Judge
from llmroute.state.confidence_ranks import Places
from llmroute.state.sorted_window import SortedWindow

KEY = ("token", 0, "choice")
CONFIDENCES = st.lists(st.floats(0, 1), min_size=10, max_size=60)


@given(CONFIDENCES)
def test_a_place_is_the_share_that_lies_below_equals_counted_half(heard: list[float]) -> None:
    places = Places()
    for confidence in heard:
        places.note(KEY, confidence)
    for confidence in heard:
        below = sum(h < confidence for h in heard) + 0.5 * sum(h == confidence for h in heard)
        place = places.place(KEY, confidence)
        assert place == pytest.approx(below / len(heard))
        assert 0 < place < 1


def test_of_a_few_nothing_is_said() -> None:
    places = Places()
    for _ in range(9):
        places.note(KEY, 0.5)
    assert places.place(KEY, 0.5) is None
    places.note(KEY, 0.5)
    assert places.place(KEY, 0.5) == 0.5
    assert places.place(("token", 1, "choice"), 0.5) is None
    assert places.place(("verified", 0, "choice"), 0.5) is None


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
    places = Places()
    for _ in range(20):
        places.note(KEY, 0.5)
    for other in (copy.deepcopy(places), pickle.loads(pickle.dumps(places))):
        assert other.place(KEY, 0.5) is None


class TestAJudgeOfModelsNobodyHasMeasured:
    """One model is always sure, the other never; each is more sure when it is right."""

    SURE, UNSURE = (0.9, 0.999999), (0.5, 0.9)

    def heard(self) -> Judge:
        judge = Judge.unfitted(2)
        for model, (low, high) in enumerate((self.SURE, self.UNSURE)):
            for confidence in (low, high) * 10:
                judge.note(Vote(model, 0, confidence=confidence), "choice")
        return judge

    def good(self, judge: Judge, model: int, confidence: float) -> float:
        import numpy as np

        vote = Vote(model, 0, confidence=confidence)
        return float(judge.belief(np.array([0.7, 0.7]), [vote], "choice").good[0])

    def test_believes_a_sure_model_no_more_than_another(self) -> None:
        judge = self.heard()
        for place in (0, 1):
            sure = self.good(judge, 0, self.SURE[place])
            unsure = self.good(judge, 1, self.UNSURE[place])
            assert sure == pytest.approx(unsure)
        assert self.good(judge, 0, 0.9) < 0.7 < self.good(judge, 1, 0.9)

    def test_makes_little_of_confidences_before_it_knows_others(self) -> None:
        fresh, heard = Judge.unfitted(2), self.heard()
        told = self.good(fresh, 0, 0.999999) - self.good(fresh, 0, 0.9)
        assert 0 < told < self.good(heard, 0, 0.999999) - self.good(heard, 0, 0.9)
