"""A pool made from recorded outcomes."""

from dataclasses import replace

import numpy as np
import pytest

from llmroute.errors import ConfigurationError
from llmroute.evaluation import pool_from_outcomes
from llmroute.scoring import load_scorer
from tests.evaluation.made_up import made_up


def test_it_has_their_mean_costs_and_order() -> None:
    o = made_up(seed=3)
    assert o.cost is not None
    pool = pool_from_outcomes(o)
    scorer = load_scorer("static")
    estimates = scorer.estimate(o.prompts, pool)
    np.testing.assert_allclose(estimates.cost.mean(0), o.cost.mean(0), rtol=1e-6)
    general = [m.ability for m in pool]
    assert general == sorted(general)  # type: ignore[type-var]
    assert estimates.quality.mean(0) == pytest.approx(o.score.mean(0), abs=0.1)


def test_where_no_cost_is_recorded_no_price_is_known() -> None:
    o = made_up(models=2, costs=False)
    assert all(m.input_price is None for m in pool_from_outcomes(o))


def test_a_model_needs_answers() -> None:
    o = made_up(models=2, prompts=5)
    o.score[:, 1] = np.nan
    with pytest.raises(ConfigurationError, match="m1"):
        pool_from_outcomes(o)


def test_where_latencies_are_recorded_speeds_are_known() -> None:
    o = made_up(models=2)
    assert o.completion_tokens is not None
    timed = replace(o, latency=o.completion_tokens / np.array([100.0, 25.0]))
    assert [m.tokens_per_s for m in pool_from_outcomes(timed)] == pytest.approx([100, 25])
    assert all(m.tokens_per_s is None for m in pool_from_outcomes(o))
