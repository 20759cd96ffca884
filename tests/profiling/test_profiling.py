"""Profiling over real HTTP: asked, graded, fitted, stored, resumed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llmroute.errors import ConfigurationError, LLMRouteError
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.profiling import (
    Anchor,
    Profiles,
    ask_anchors,
    expected_cost,
    fit_abilities,
    fit_profile,
    load_anchors,
    read_profiles,
    with_profiles,
    write_profiles,
)
from llmroute.profiling.profile_file import Graded
from llmroute.scoring import load_scorer
from llmroute.scoring.ability_fit import fisher_information
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.testing import Fault, Question, ScriptedModel, ScriptedProvider
from tests.conftest import KEY

ANCHORS = load_anchors()


@pytest.fixture(scope="module")
def scorer() -> LatentAbilityScorer:
    return load_scorer("static")


@pytest.fixture(scope="module")
def difficulty(scorer: LatentAbilityScorer) -> np.ndarray:
    return scorer.latent([anchor.prompt for anchor in ANCHORS]).difficulty


@pytest.fixture
def school() -> Iterator[ScriptedProvider]:
    """Knows the anchors: a bright model that gets nearly all right, and a dim one that does not."""
    questions = [Question(a.prompt, a.answer, difficulty=0.5) for a in ANCHORS]
    models = [ScriptedModel("bright", ability=1.0), ScriptedModel("dim", ability=0.3)]
    with ScriptedProvider(models, questions=questions) as provider:
        yield provider


def member(provider: ScriptedProvider, name: str, **settings: object) -> Model:
    return Model(
        name,
        model=f"openai/{name}",
        api_base=provider.base_url,
        api_key=KEY,
        **{"input_price": 1.0, "output_price": 4.0, **settings},
    )


def test_anchors_are_about_sixty_of_several_kinds_and_subjects() -> None:
    assert 60 <= len(ANCHORS) <= 75
    assert len({anchor.id for anchor in ANCHORS}) == len(ANCHORS)
    assert len({anchor.prompt for anchor in ANCHORS}) == len(ANCHORS)
    assert {anchor.kind for anchor in ANCHORS} == {"number", "choice", "text", "json", "code"}
    assert len({anchor.subject for anchor in ANCHORS}) >= 15
    choices = Counter(anchor.answer for anchor in ANCHORS if anchor.kind == "choice")
    assert max(choices.values()) <= 0.5 * choices.total()


def test_anchors_tell_weak_models_and_strong_ones_apart(
    scorer: LatentAbilityScorer, difficulty: np.ndarray
) -> None:
    assert np.ptp(difficulty) > 1.5
    demand = scorer.latent([anchor.prompt for anchor in ANCHORS]).demand
    for ability in (-2.0, -1.0, 0.0, 1.0, 2.0):
        information = fisher_information(demand, difficulty, ability).sum()
        assert 1 / np.sqrt(1 + information) < 0.4


def test_a_model_is_asked_over_http_and_graded(
    school: ScriptedProvider, scorer: LatentAbilityScorer
) -> None:
    graded = ask_anchors(member(school, "bright"), ANCHORS[:12], scorer=scorer)
    assert set(graded) == {anchor.id for anchor in ANCHORS[:12]}
    assert np.mean([one.score for one in graded.values()]) > 0.8
    one = graded[ANCHORS[0].id]
    assert one.cost_usd == pytest.approx((one.prompt_tokens + 4 * one.completion_tokens) / 1e6)
    assert 0 < one.first_token_s <= one.latency_s
    assert one.said is None
    assert school.count("bright") == 12


def test_failing_calls_are_tried_again(
    school: ScriptedProvider, scorer: LatentAbilityScorer
) -> None:
    school.fail("bright", Fault.server_error())
    graded = ask_anchors(member(school, "bright"), ANCHORS[:1], scorer=scorer, keep_answers=True)
    assert school.count("bright") == 2
    assert graded[ANCHORS[0].id].said


def test_a_refusal_stops_the_asking_and_keeps_what_is_there(
    school: ScriptedProvider, scorer: LatentAbilityScorer
) -> None:
    kept: dict[str, Graded] = {}

    def keep(anchor: Anchor, answer: Graded) -> None:
        kept[anchor.id] = answer
        if len(kept) == 3:
            school.fail("dim", Fault.unauthorized(), times=None)

    with pytest.raises(LLMRouteError):
        ask_anchors(member(school, "dim"), ANCHORS[:10], scorer=scorer, on_answer=keep, workers=1)
    assert len(kept) == 3
    assert school.count("dim") < 10


def test_the_better_model_gets_the_better_profile(
    school: ScriptedProvider, scorer: LatentAbilityScorer
) -> None:
    fitted = {}
    for name in ("bright", "dim"):
        model = member(school, name)
        fitted[name] = fit_profile(scorer, model, ask_anchors(model, ANCHORS, scorer=scorer))
    bright, dim = fitted["bright"], fitted["dim"]
    assert bright.right > 0.9 > 0.5 > dim.right
    assert bright.ability[0] - dim.ability[0] > 2 * bright.deviation[0]
    assert bright.answers == len(ANCHORS)
    assert bright.cost_usd > 0
    assert bright.verbosity > 0


def test_a_planted_ability_is_recovered_within_its_stated_uncertainty(
    scorer: LatentAbilityScorer,
) -> None:
    latent = scorer.latent([anchor.prompt for anchor in ANCHORS])
    table = np.array(list(scorer.card.abilities.values()))
    demand = latent.demand.copy()
    demand[:, 1:] *= latent.source.sum(axis=1, keepdims=True)
    generator = np.random.default_rng(0)
    off = []
    for truth in table:
        success = 1 / (1 + np.exp(latent.difficulty - demand @ truth))
        right = (generator.random(len(ANCHORS)) < success).astype(float)
        graded = {a.id: Graded(score=r, latency_s=1.0) for a, r in zip(ANCHORS, right, strict=True)}
        found = fit_profile(scorer, Model("nobody"), graded)
        off.append((found.ability[0] - truth[0]) / found.deviation[0])
    assert np.mean(np.abs(off) < 1.96) > 0.88


def test_without_answers_a_profile_is_what_was_thought_before(scorer: LatentAbilityScorer) -> None:
    strong = fit_profile(scorer, Model("new", tier="strong"), {})
    assert strong.answers == 0
    assert strong.right is None
    assert strong.ability[0] == pytest.approx(scorer.card.tiers["strong"], abs=1e-4)
    assert strong.deviation[0] > 0.9


def test_speed_and_verbosity_are_read_off_the_answers(scorer: LatentAbilityScorer) -> None:
    expected = scorer.latent([anchor.prompt for anchor in ANCHORS]).tokens
    graded = {
        a.id: Graded(
            score=1, completion_tokens=round(2 * t), first_token_s=0.5, latency_s=0.5 + 2 * t / 50
        )
        for a, t in zip(ANCHORS, expected, strict=True)
    }
    found = fit_profile(scorer, Model("new"), graded)
    assert found.verbosity == pytest.approx(2, rel=0.01)
    assert found.first_token_s == 0.5
    assert found.tokens_per_s == pytest.approx(50, rel=0.02)


def test_a_profile_file_goes_there_and_back_and_into_a_pool(
    scorer: LatentAbilityScorer, tmp_path: Path
) -> None:
    graded = {ANCHORS[0].id: Graded(score=1, latency_s=1, first_token_s=0.2)}
    profile = fit_profile(scorer, Model("mine"), graded)
    path = tmp_path / "profiles.json"
    write_profiles(path, Profiles(models={"mine": profile}))
    assert read_profiles(path).models["mine"] == profile
    pool = ModelPool([Model("mine"), Model("other", ability=0.5)])
    found = with_profiles(pool, path)
    assert found["mine"].ability == profile.ability
    assert found["mine"].first_token_s == 0.2
    assert found["other"].ability == 0.5
    stated = with_profiles(ModelPool([Model("mine", ability=2.0)]), path)
    assert stated["mine"].ability == 2.0
    assert scorer.ability_source(found) == ("stated", "stated")


def test_a_profile_of_another_scorer_or_format_is_refused(
    scorer: LatentAbilityScorer, tmp_path: Path
) -> None:
    path = tmp_path / "profiles.json"
    profile = fit_profile(scorer, Model("mine"), {})
    other = profile.model_copy(update={"scorer_sha256": {"model.onnx": "0"}})
    write_profiles(path, Profiles(models={"mine": other}))
    with pytest.raises(ConfigurationError, match="another scorer"):
        with_profiles(ModelPool(["mine"]), path)
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(ConfigurationError, match="format 99"):
        read_profiles(path)
    with pytest.raises(ConfigurationError, match="no profile file"):
        read_profiles(tmp_path / "none.json")
    path.write_text(json.dumps({"format": 1, "models": {"m": {}}}))
    with pytest.raises(ConfigurationError, match="damaged"):
        read_profiles(path)


def test_abilities_are_fitted_from_recorded_outcomes(scorer: LatentAbilityScorer) -> None:
    score = np.full((len(ANCHORS), 2), np.nan)
    score[:, 0] = 1.0
    score[:20, 1] = 0.0
    outcomes = Outcomes(
        prompts=tuple(a.prompt for a in ANCHORS),
        prompt_ids=tuple(a.id for a in ANCHORS),
        categories=tuple(a.subject for a in ANCHORS),
        models=("good", "bad"),
        score=score,
    )
    pool = ModelPool([Model("good"), Model("bad"), Model("unasked", ability=0.1)])
    found = fit_abilities(pool, outcomes, scorer)
    general = scorer.abilities(found)[:, 0]
    assert general[1] < -0.5 < 0.5 < general[0]
    assert found["unasked"].ability == 0.1
    with pytest.raises(ConfigurationError, match="no answer"):
        fit_abilities(ModelPool(["stranger"]), outcomes, scorer)


def test_the_expected_cost_is_unknown_without_a_price(scorer: LatentAbilityScorer) -> None:
    assert expected_cost(scorer, Model("mystery"), ANCHORS) is None
    assert expected_cost(scorer, Model("free", input_price=0, output_price=0), ANCHORS) == 0
    assert expected_cost(scorer, Model("m", input_price=1, output_price=1), []) == 0
    some = expected_cost(scorer, Model("m", input_price=1, output_price=4), ANCHORS)
    assert 1e-3 < some < 0.2
