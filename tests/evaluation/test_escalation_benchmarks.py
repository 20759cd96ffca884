"""Escalation on recorded answers: every call is paid for, and the ends of a sweep are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.reproduce import escalation_votes as votes
from examples.reproduce.escalation_figures import figures, plain_cascade
from examples.reproduce.escalation_picture import picture
from examples.reproduce.escalation_study import KnownEstimates, Study
from llmroute import Model, ModelPool
from llmroute.evaluation import Outcomes
from llmroute.evaluation.baselines import single
from llmroute.metrics.bootstrap import Resamples
from llmroute.records import Estimates
from tests.evaluation.made_up import made_up

MODELS, PROMPTS = 3, 60


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    """Models that are surer when they are right; half of the confidences are paid for."""
    plain = made_up(MODELS, PROMPTS)
    generator = np.random.default_rng(1)
    assert plain.cost is not None
    paid = np.arange(PROMPTS)[:, None] % 2 == 0
    right = np.array([f"The answer is {i * (i + 1)}." for i in range(PROMPTS)])[:, None]
    wrong = np.array(
        [[f"The answer is {-1 - m - i}." for m in range(MODELS)] for i in range(PROMPTS)]
    )
    return replace(
        plain,
        confidence=np.clip(generator.normal(0.5 + 0.3 * plain.score, 0.1), 0.01, 0.99),
        confidence_cost=np.where(paid, plain.cost, 0.0),
        responses=np.where(plain.score > 0, right, wrong).astype(object),
    )


@pytest.fixture(scope="module")
def study(outcomes: Outcomes) -> Study:
    """A study whose scorer knows each model's mean."""
    assert outcomes.cost is not None
    pool = ModelPool(
        [
            Model(name, input_price=usd, output_price=usd, capabilities={"logprobs": True})
            for name, usd in zip(outcomes.models, (1, 10, 100), strict=True)
        ]
    )
    shape = outcomes.score.shape
    known = Estimates(
        models=outcomes.models,
        quality=np.broadcast_to(outcomes.score.mean(axis=0), shape),
        cost=np.broadcast_to(outcomes.cost.mean(axis=0), shape),
        tokens=np.full(shape, 50.0),
        latency=np.ones(shape),
        prompt_tokens=np.full(PROMPTS, 20.0),
        unfamiliar=np.zeros(PROMPTS, np.bool_),
        prior_quality=outcomes.score.mean(axis=0),
        scorer="means",
    )
    scorer = KnownEstimates(outcomes.prompts, known)
    fold = np.zeros(PROMPTS, np.int64)
    return Study(outcomes, outcomes, scorer, pool, "", fold, ())


def test_at_no_value_the_cheapest_is_asked_once_and_at_a_great_one_more_is_spent(
    study: Study, outcomes: Outcomes
) -> None:
    run = study.sweep("ours", outcomes, np.array([1e-9, 1e-2, 1e3]), None)
    assert outcomes.cost is not None
    assert run.score[0].tolist() == outcomes.score[:, 0].tolist()
    assert run.cost[0].tolist() == outcomes.cost[:, 0].tolist()
    assert run.cost[0].mean() < run.cost[1].mean() < run.cost[2].mean()
    assert run.score[2].mean() > run.score[0].mean()


def test_every_spend_is_a_sum_of_recorded_calls(study: Study, outcomes: Outcomes) -> None:
    run = study.sweep("ours", outcomes, np.array([3e-2]), None)
    assert outcomes.cost is not None
    assert outcomes.confidence_cost is not None
    for row in range(PROMPTS):
        calls = [*outcomes.cost[row], *outcomes.confidence_cost[row]]
        sums = {0.0}
        for call in calls:
            sums |= {total + call for total in sums}
        assert min(abs(total - run.cost[0, row]) for total in sums) < 1e-12


def test_known_estimates_are_found_by_prompt_and_by_model(study: Study, outcomes: Outcomes) -> None:
    pair = outcomes.only(["m2", "m0"]).select([5, 3])
    found = study.estimates(pair)
    assert found.models == ("m2", "m0")
    assert found.quality.shape == (2, 2)
    assert found.quality[0].tolist() == outcomes.score.mean(axis=0)[[2, 0]].tolist()
    assert found.prior_quality.tolist() == found.quality[0].tolist()


def test_the_plain_cascade_pays_for_the_confidences_it_reads(outcomes: Outcomes) -> None:
    run = plain_cascade(outcomes, outcomes.models)
    assert outcomes.cost is not None
    assert outcomes.confidence_cost is not None
    assert run.score[0].tolist() == outcomes.score[:, 0].tolist()
    assert run.cost[0] == pytest.approx(outcomes.cost[:, 0] + outcomes.confidence_cost[:, 0])
    everything = outcomes.cost.sum(axis=1) + outcomes.confidence_cost[:, :-1].sum(axis=1)
    assert run.cost[-1] == pytest.approx(everything)
    assert run.score[-1].tolist() == outcomes.score[:, -1].tolist()


def test_the_best_single_model_costs_what_it_costs(outcomes: Outcomes) -> None:
    best = MODELS - 1
    found = figures(
        single(outcomes, best), outcomes, Resamples(outcomes.prompt_ids, 50), best, 0.98
    )
    assert found.same.value == pytest.approx(1)
    assert (found.same.low, found.same.high) == pytest.approx((1, 1))
    assert np.isnan(found.within.value)  # it has no setting that is cheap enough


def test_the_picture_is_a_png(outcomes: Outcomes) -> None:
    pytest.importorskip("matplotlib")
    assert picture([single(outcomes, 0)], outcomes).startswith(b"\x89PNG")


def recorded(answers: list[tuple[str | None, float]], strong: float = 1.0) -> votes.Polls:
    """One prompt with these samples in one style."""
    return votes.Polls(("p",), ("cot",), ({"cot": answers},), np.array([strong]))


def test_sampling_stops_once_the_vote_is_decided() -> None:
    unanimous = votes.vote(recorded([("7", 1.0)] * 10), ["cot"], {"cot": 1.0}, most=8)
    assert (unanimous.samples == 4).all()  # P(lead stays) after 4 of 4 is 31/32
    assert unanimous.share == pytest.approx(5 / 6)
    divided = votes.vote(
        recorded([("7", 1.0), ("8", 0.0)] * 4), ["cot"], {"cot": 1.0}, most=8, sure=1.0
    )
    assert (divided.samples == 8).all()
    assert divided.share == pytest.approx(0.5)


def test_a_sample_of_a_better_style_counts_more() -> None:
    polls = votes.Polls(
        ("p",), ("a", "b"), ({"a": [("7", 1.0)] * 4, "b": [("8", 0.0)] * 4},), np.ones(1)
    )
    weights = votes.style_weights(polls)
    assert weights["a"] > weights["b"] > 0
    cast = votes.vote(polls, ["b", "a"], weights, most=4)
    assert (cast.score == 1).all()


def test_where_nothing_was_answered_the_strong_model_is_asked_first() -> None:
    silent = votes.vote(recorded([(None, 0.0)] * 8), ["cot"], {"cot": 1.0}, most=8)
    assert (silent.score == 0).all()
    assert (silent.share < 0.2).all()


def test_the_sweep_goes_from_the_vote_alone_to_the_strong_model_alone() -> None:
    polls = recorded([("7", 0.0), ("8", 1.0)] * 4, strong=0.9)
    cast = votes.vote(polls, ["cot"], {"cot": 1.0})
    run = votes.escalated("votes", polls, cast)
    assert run.score[0] == pytest.approx(cast.score.mean())
    assert (run.strong[0], run.strong[-1]) == (0, 1)
    assert run.score[-1] == pytest.approx(0.9)


def test_recorded_samples_are_read_with_their_styles(data: Path) -> None:
    outcomes = Outcomes.read(data / "agreement", "test", samples=True)
    polls = votes.polls(outcomes, "date", "gpt-3.5-turbo")
    assert polls.styles == ("cot1", "cot2", "pot1", "pot2")
    assert len(polls.ids) == len(polls.strong) == 152
    assert all(len(of_style) >= 60 for one in polls.answers for of_style in one.values())
