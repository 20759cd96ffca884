"""What the judge believes: probabilities that move the way evidence should move them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute.answers.votes import NO_ANSWER, Vote
from llmroute.errors import ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_fit import Recorded, fit_belief_model
from llmroute.escalation.confidence_model import ConfidenceModel
from llmroute.escalation.priors import FORMS, ModelPriors

MODELS = 4
priors = st.lists(st.floats(0.0, 1.0), min_size=MODELS, max_size=MODELS).map(np.array)
middling = st.lists(st.floats(0.3, 0.9), min_size=MODELS, max_size=MODELS).map(np.array)
able = st.lists(st.floats(0.6, 0.95), min_size=MODELS, max_size=MODELS).map(np.array)
forms = st.sampled_from([None, *FORMS])
shares = st.floats(0.0, 1.0) | st.just(float("nan"))
a_vote = st.builds(
    Vote,
    model=st.integers(0, MODELS - 1),
    answer=st.integers(NO_ANSWER, 3),
    confidence=shares,
    verified=shares,
)
some_votes = st.lists(a_vote, max_size=7)
JUDGE = BeliefModel.unfitted(MODELS)


@given(priors, some_votes, forms)
def test_all_that_is_believed_is_a_probability(
    prior: np.ndarray, votes: list[Vote], form: str | None
) -> None:
    belief = JUDGE.belief(prior, votes, form)
    assert ((belief.good >= 0) & (belief.good <= 1 + 1e-9)).all()
    assert ((belief.able >= 0) & (belief.able <= 1)).all()
    assert len(belief.good) == len(belief.answers) == len(belief.voters)
    if votes:
        assert belief.speaker in belief.voters[belief.best]


@given(middling)
def test_before_anything_is_heard_the_scorers_word_stands(prior: np.ndarray) -> None:
    assert JUDGE.belief(prior, []).able == pytest.approx(prior, abs=2e-3)


@given(middling, forms)
def test_one_answer_is_as_good_as_its_model(prior: np.ndarray, form: str | None) -> None:
    belief = JUDGE.belief(prior, [Vote(1, 0)], form)
    assert belief.held == pytest.approx(prior[1], abs=2e-3)


@given(able, forms)
def test_agreement_of_able_models_raises_the_belief_and_disagreement_lowers_it(
    prior: np.ndarray, form: str | None
) -> None:
    alone = JUDGE.belief(prior, [Vote(0, 0)], form).good[0]
    agreeing = JUDGE.belief(prior, [Vote(0, 0), Vote(1, 0)], form)
    differing = JUDGE.belief(prior, [Vote(0, 0), Vote(1, 1)], form)
    assert agreeing.good[0] >= alone - 1e-9
    assert differing.good[0] <= alone + 1e-9


@given(middling, st.floats(0.02, 0.97), st.sampled_from(["confidence", "verified"]))
def test_a_surer_answer_is_better_and_so_are_the_others(
    prior: np.ndarray, confidence: float, kind: str
) -> None:
    less, more = (
        JUDGE.belief(prior, [Vote(0, 0, **{kind: value})])
        for value in (confidence, confidence + 0.02)
    )
    assert more.held >= less.held - 1e-9
    assert (more.able >= less.able - 1e-9).all()


@given(middling, some_votes, st.permutations(range(7)))
def test_the_order_of_the_votes_of_different_models_does_not_matter(
    prior: np.ndarray, votes: list[Vote], order: list[int]
) -> None:
    votes = list({vote.model: vote for vote in votes}.values())
    shuffled = [votes[k] for k in order if k < len(votes)]
    one, other = JUDGE.belief(prior, votes), JUDGE.belief(prior, shuffled)
    assert one.held == pytest.approx(other.held)
    assert one.able == pytest.approx(other.able)


@given(middling, forms)
def test_generations_without_an_answer_agree_with_nothing(
    prior: np.ndarray, form: str | None
) -> None:
    belief = JUDGE.belief(prior, [Vote(0, NO_ANSWER), Vote(1, NO_ANSWER)], form)
    assert belief.voters == ((0,), (1,))


@given(middling, st.integers(2, 8))
def test_samples_that_agree_are_worth_more_the_more_there_are(
    prior: np.ndarray, count: int
) -> None:
    few, many = (JUDGE.belief(prior, [Vote(0, 0)] * n).held for n in (count, count + 1))
    assert many >= few - 1e-9


@given(middling, some_votes, st.booleans())
@settings(deadline=None)
def test_what_may_come_of_a_step_is_worth_what_is_believed_now(
    prior: np.ndarray, votes: list[Vote], confident: bool
) -> None:
    belief = JUDGE.belief(prior, [vote for vote in votes if vote.model != 3])
    prospects = [belief.after_asking(3, confident=confident)]
    prospects += [belief.after_checking(model) for model in belief.asked]
    for one in prospects:
        assert one.chance.sum() == pytest.approx(1, abs=2e-3)
        assert one.able.sum(axis=0) == pytest.approx(belief.able, abs=2e-3)
        assert one.held.sum() >= belief.held - 2e-3  # what is learned does no harm
        assert (one.held <= one.chance + 1e-9).all()


def test_what_is_imagined_of_an_answer_is_what_is_believed_once_it_is_heard() -> None:
    prior = np.array([0.5, 0.6, 0.7, 0.8])
    votes = [Vote(0, 0), Vote(1, 1)]
    imagined = JUDGE.belief(prior, votes, "choice").after_asking(2, confident=False)
    for outcome, answer in enumerate((0, 1, 2)):
        observed = JUDGE.belief(prior, [*votes, Vote(2, answer)], "choice")
        assert imagined.held[outcome] / imagined.chance[outcome] == pytest.approx(observed.held)


def test_able_models_that_agree_on_a_choice_can_still_both_fall_for_the_tempting_one() -> None:
    prior = np.array([0.7, 0.7, 0.5, 0.5])
    votes = [Vote(0, 0), Vote(1, 0)]
    wary = BeliefModel([ModelPriors(shared_error_rate={"choice": 0.95})] * MODELS).belief(
        prior, votes, "choice"
    )
    free = BeliefModel([ModelPriors(shared_error_rate={"choice": 0.05})] * MODELS).belief(
        prior, votes, "choice"
    )
    assert wary.held < free.held


@given(st.floats(0, 1), st.floats(0, 1))
def test_scores_rise_with_confidence(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for confidence_model in (ConfidenceModel(), ConfidenceModel(knots=(0.1, 0.5, 0.5, 0.9))):
        assert confidence_model.standard_score(low) <= confidence_model.standard_score(high)


def test_a_prior_of_another_pool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="knows 4 models"):
        JUDGE.belief(np.array([0.5]), [])


def planted(prompts: int = 1500, seed: int = 0) -> Recorded:
    """Answers of three models to choices: all are unsure when wrong, the last two fall for one."""
    generator = np.random.default_rng(seed)
    d = generator.normal(size=(prompts, 1))
    success = 1 / (1 + np.exp(-(np.array([0.3, 0.8, 1.5]) + np.array([0.5, 2.0, 2.0]) * d)))
    good = generator.random(success.shape) < success
    shared_error_rate = generator.random(success.shape) < np.array([0.2, 0.8, 0.8])
    other = generator.integers(2, 4, success.shape)
    groups = np.where(good, 0, np.where(shared_error_rate, 1, other))
    token = np.clip(generator.normal(0.5 + 0.2 * good, 0.1), 0, 1)
    return Recorded(
        quality=np.tile(success.mean(axis=0), (prompts, 1)),
        score=good.astype(float),
        groups=groups,
        forms=np.full(prompts, "choice"),
        token=token,
    )


def test_what_was_planted_is_found() -> None:
    members = fit_belief_model(planted()).members
    assert members[0].discrimination < members[1].discrimination
    assert members[0].shared_error_rate["choice"] < 0.5 < members[1].shared_error_rate["choice"]
    assert all(member.token.gap > 1 for member in members)
    assert members[0].verified == ConfidenceModel()


def test_a_fitted_judge_is_calibrated_on_other_prompts() -> None:
    belief_model, other = fit_belief_model(planted()), planted(seed=1)
    held, good = [], []
    for row in range(len(other.score)):
        votes = [Vote(m, int(other.groups[row, m]), float(other.token[row, m])) for m in (0, 1)]
        belief = belief_model.belief(other.quality[row], votes, "choice")
        held.append(belief.held)
        good.append(other.score[row, belief.speaker])
    assert np.mean(held) == pytest.approx(np.mean(good), abs=0.03)
    sure = np.array(held) > 0.8
    assert np.mean(np.array(good)[sure]) == pytest.approx(np.mean(np.array(held)[sure]), abs=0.05)


def test_holes_are_no_bad_answers() -> None:
    whole = planted()
    score = whole.score.copy()
    score[::2, 0] = np.nan
    holed = Recorded(whole.quality, score, whole.groups, whole.forms, token=whole.token)
    found, full = (fit_belief_model(one).members[1] for one in (holed, whole))
    assert found.token.gap == pytest.approx(full.token.gap, abs=0.2)
    with pytest.raises(ConfigurationError, match="20 prompts or more"):
        fit_belief_model(
            Recorded(whole.quality, np.full(score.shape, np.nan), whole.groups, whole.forms)
        )
