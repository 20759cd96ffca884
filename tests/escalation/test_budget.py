"""A share of strong calls is kept, and the most doubtful answers get them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.state.running_quantile import RunningQuantile


@given(st.floats(0, 1), st.integers(0, 100), st.booleans())
def test_the_share_is_kept_whether_doubts_are_many_valued_or_few(
    share: float, seed: int, coarse: bool
) -> None:
    doubts = np.random.default_rng(seed).random(1500)
    if coarse:
        doubts = np.round(doubts * 4) / 4
    budget = RunningQuantile(share, window=300)
    for doubt in doubts.tolist():
        budget.escalate(doubt)
    assert budget.spent == pytest.approx(share, abs=0.05)


def test_the_most_doubtful_are_escalated_also_after_a_drift() -> None:
    budget = RunningQuantile(0.3, window=200)
    generator = np.random.default_rng(0)
    for shift in (0.0, 5.0):
        drawn = [(d, budget.escalate(d)) for d in (shift + generator.random(1000)).tolist()]
        late = [(d - shift, taken) for d, taken in drawn[500:]]
        assert all(taken for d, taken in late if d > 0.85)
        assert not any(taken for d, taken in late if d < 0.55)


def test_the_ends_of_the_share() -> None:
    assert not any(RunningQuantile(0.0).escalate(d) for d in (0.1, 0.9, 0.9))
    everything = RunningQuantile(1.0)
    assert all(everything.escalate(d) for d in (0.1, 0.9, 0.0))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"share of 0\.\.1"):
        RunningQuantile(1.2)
    with pytest.raises(ConfigurationError, match="NaN"):
        RunningQuantile(0.5).escalate(float("nan"))
