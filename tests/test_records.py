"""The records: tables of estimates cut into rows, and what a record says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmroute.records import Estimates, known, model_estimates

TABLE = Estimates(
    models=("a", "b", "c"),
    quality=np.array([[0.1234567, 0.5, 0.9], [0.2, 0.6, 0.8]]),
    cost=np.array([[1.0, 2.0, np.nan], [10.0, 20.0, 30.0]]),
    tokens=np.array([[100.0, np.nan, 300.0], [1.0, 2.0, 3.0]]),
    latency=np.array([[np.nan, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    prompt_tokens=np.array([7.0, 8.0]),
    unfamiliar=np.array([False, True]),
    prior_quality=np.array([0.3, 0.9, 0.9]),
    scorer="test 1",
    output_cost=np.array([[0.5, 1.0, 2.0], [4.0, 5.0, 6.0]]),
    output_range=np.array([0.5, 3.0]),
)


def test_the_interval_of_a_cost_moves_the_part_that_output_makes() -> None:
    """All output tokens may be half as many, or three times as many."""
    assert TABLE.cost_low[1].tolist() == [8.0, 17.5, 27.0]
    assert TABLE.cost_high[1].tolist() == [18.0, 30.0, 42.0]
    assert np.isnan(TABLE.cost_high[0, 2])
    for part in ("output_cost", "output_range"):
        without = replace(TABLE, **{part: None})
        assert without.cost_low.shape == (2, 3)
        assert np.isnan(without.cost_low).all()


def test_of_models_of_equal_standing_the_later_one_is_the_strongest() -> None:
    assert TABLE.strongest == 2
    assert replace(TABLE, prior_quality=np.array([0.3, 0.9, 0.8])).strongest == 1


def test_a_row_is_the_table_of_one_prompt() -> None:
    row = TABLE.row(1)
    assert (len(row), row.models, row.scorer) == (1, TABLE.models, "test 1")
    for name in ("quality", "cost", "tokens", "latency", "output_cost"):
        assert getattr(row, name).tolist() == getattr(TABLE, name)[1:].tolist(), name
    assert (row.prompt_tokens.tolist(), row.unfamiliar.tolist()) == ([8.0], [True])
    assert row.prior_quality is TABLE.prior_quality
    assert row.output_range is TABLE.output_range
    assert replace(TABLE, output_cost=None).row(0).output_cost is None


def test_a_record_holds_each_models_numbers_and_none_for_what_is_unknown() -> None:
    first = {name: one.model_dump() for name, one in model_estimates(TABLE, 0).items()}
    assert first == {
        "a": {
            "quality": 0.123457,
            "cost": 1.0,
            "tokens": 100.0,
            "latency": None,
            "cost_low": 0.75,
            "cost_high": 2.0,
        },
        "b": {
            "quality": 0.5,
            "cost": 2.0,
            "tokens": None,
            "latency": 2.0,
            "cost_low": 1.5,
            "cost_high": 4.0,
        },
        "c": {
            "quality": 0.9,
            "cost": None,
            "tokens": 300.0,
            "latency": 3.0,
            "cost_low": None,
            "cost_high": None,
        },
    }
    for part in ("output_cost", "output_range"):
        second = model_estimates(replace(TABLE, **{part: None}), 1)["b"]
        assert (second.cost, second.cost_low, second.cost_high) == (20.0, None, None)


def test_a_number_that_is_not_known_is_none() -> None:
    assert (known(0.5), known(float("nan"))) == (0.5, None)
