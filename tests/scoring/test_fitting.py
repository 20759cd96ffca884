"""Abilities from answers: the posterior's mode, its width, and what one more answer is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.scoring.ability_fit import fisher_information, fit_ability, fit_posterior


def test_an_ability_is_recovered_from_answers() -> None:
    generator = np.random.default_rng(0)
    demand = np.column_stack([np.full(4000, 1.3), generator.normal(size=4000)])
    difficulty = generator.normal(size=4000)
    truth = np.array([0.8, -0.5])
    success = 1 / (1 + np.exp(-(demand @ truth - difficulty)))
    score = (generator.random(4000) < success).astype(float)
    score[::7] = np.nan
    found = fit_ability(demand, difficulty, score, np.ones(2))
    assert np.abs(found - truth).max() < 0.12


def test_the_prior_holds_without_answers_and_with_extreme_ones() -> None:
    ones, zeros = np.ones((5, 1)), np.zeros(5)
    nothing = fit_ability(ones, zeros, np.full(5, np.nan), np.ones(1), np.array([0.4]))
    assert nothing.tolist() == [0.4]
    assert 0 < fit_ability(ones, zeros, np.ones(5), np.ones(1))[0] < 4
    with pytest.raises(ConfigurationError, match="above 0"):
        fit_ability(ones, zeros, zeros, np.zeros(1))


def test_without_answers_the_posterior_is_the_prior() -> None:
    precision = np.array([[2.0, 0.5], [0.5, 1.0]])
    fit = fit_posterior(
        np.ones((4, 2)), np.zeros(4), np.full(4, np.nan), precision, np.array([0.3, -0.2])
    )
    assert fit.answers == 0
    assert fit.ability.tolist() == [0.3, -0.2]
    assert np.allclose(fit.covariance, np.linalg.inv(precision))


def test_the_mode_and_its_width_are_where_closed_forms_put_them() -> None:
    # n alike prompts of demand 1 and difficulty 0, a share s right, hardly any prior: the mode is
    # logit(s), and its variance 1 / (n s (1 - s)).
    n, right = 400, 300
    score = np.repeat([1.0, 0.0], [right, n - right])
    fit = fit_posterior(np.ones((n, 1)), np.zeros(n), score, np.array([1e-9]))
    assert fit.ability[0] == pytest.approx(np.log(3), abs=1e-6)
    assert fit.deviation[0] == pytest.approx(1 / np.sqrt(n * 0.75 * 0.25), rel=1e-6)


def test_planted_abilities_lie_within_their_stated_uncertainty_as_often_as_they_should() -> None:
    generator = np.random.default_rng(1)
    difficulty = generator.normal(size=60)
    off = []
    for _ in range(400):
        truth = generator.normal()
        success = 1 / (1 + np.exp(-(truth - difficulty)))
        score = (generator.random(60) < success).astype(float)
        fit = fit_posterior(np.ones((60, 1)), difficulty, score, np.ones(1))
        off.append((fit.ability[0] - truth) / fit.deviation[0])
    assert 0.92 < np.mean(np.abs(off) < 1.96) < 0.98


@given(st.integers(1, 40), st.integers(0, 5))
def test_each_further_answer_narrows_the_posterior(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    demand = np.column_stack([np.ones(count + 1), generator.normal(size=count + 1)])
    difficulty = generator.normal(size=count + 1)
    score = np.full(count + 1, 0.5)
    fewer = score.copy()
    fewer[-1] = np.nan
    prior = np.array([1.0, 1.0])
    # At the same ability, which a mean far outweighed by nothing keeps: compare informations.
    many = fit_posterior(demand, difficulty, score, prior * 1e6)
    few = fit_posterior(demand, difficulty, fewer, prior * 1e6)
    assert many.deviation[0] < few.deviation[0]


def test_an_answer_tells_most_where_success_is_even() -> None:
    difficulty = np.linspace(-4, 4, 81)
    demand = np.column_stack([np.full(81, 2.0), np.ones(81)])
    information = fisher_information(demand, difficulty, ability=0.5)
    assert difficulty[information.argmax()] == pytest.approx(1.0)
    assert information.max() == pytest.approx(4 * 0.25)


def test_the_width_is_what_fisher_information_says() -> None:
    difficulty = np.linspace(-2, 2, 50)
    demand = np.ones((50, 1))
    fit = fit_posterior(demand, difficulty, np.full(50, 0.5), np.array([1.0]))
    information = fisher_information(demand, difficulty, float(fit.ability[0])).sum()
    assert fit.deviation[0] == pytest.approx(1 / np.sqrt(information + 1.0))
