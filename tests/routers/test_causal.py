"""The causal classifier, over real HTTP to a scripted provider on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.pool import ModelPool
from llmroute.routers import causal, load, train
from llmroute.routers.causal import yes_log_odds
from llmroute.scoring.router_folder import read
from llmroute.testing import ChatRequest, Fault, Reply, ScriptedModel, ScriptedProvider
from tests.routers.material import outcomes, prompts

POOL = ModelPool(["apprentice", "master", "guesser"])
FRESH = prompts(10, 5000)


def judged(request: ChatRequest) -> Reply:
    is_proof = any(word in request.last_user for word in ("Prove", "Show that", "Derive"))
    return Reply("No" if is_proof else "Yes", confidence=0.8)


@pytest.fixture(scope="module")
def served() -> Iterator[ScriptedProvider]:
    models = [
        ScriptedModel("judge", reply=judged),
        ScriptedModel("mute", reply=lambda _: Reply("Hm", confidence=1.0)),
    ]
    with ScriptedProvider(models) as running:
        yield running


@pytest.fixture(scope="module")
def folder(served: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("routers") / "causal"
    options: dict[str, Any] = {"judge": "openai/judge", "judge_url": served.base_url}
    train("causal", [outcomes()], out, judge_prompts=80, **options)
    return out


def test_it_asks_for_one_token_with_its_probability(folder: Path, served: ScriptedProvider) -> None:
    assert served.count("judge") >= 80
    body = served.requests[0].body
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 5)
    assert body["temperature"] == 0


def test_each_model_has_its_own_curve(folder: Path) -> None:
    found = load(folder).estimate(FRESH, POOL)
    apprentice, master, guesser = found.quality.T
    assert (apprentice[0::2] > 0.9).all()
    assert (apprentice[1::2] < 0.1).all()
    assert (master > 0.95).all()
    assert abs(guesser - 0.5).max() < 0.2
    assert not found.unfamiliar.any()
    assert found.cost[0] == pytest.approx([2e-4, 8e-3, 4e-4])


def test_loaded_again_it_gives_the_same_numbers(folder: Path) -> None:
    first, again = load(folder).estimate(FRESH, POOL), load(folder).estimate(FRESH, POOL)
    np.testing.assert_array_equal(first.quality, again.quality)
    assert load(folder).estimate([], POOL).quality.shape == (0, 3)


def test_no_key_is_stored(folder: Path) -> None:
    card = read(folder).card
    assert card.head["judge"] == "openai/judge"
    assert "key" not in (folder / "card.json").read_text()


def test_a_judge_that_fails_leaves_the_priors(folder: Path, served: ScriptedProvider) -> None:
    scorer = load(folder)
    served.fail("judge", Fault.server_error(), times=None)
    try:
        with pytest.warns(UserWarning, match="judge could not be asked about 1 of 1"):
            found = scorer.estimate(FRESH[:1], POOL)
    finally:
        served.clear()
    np.testing.assert_array_equal(found.quality[0], found.prior_quality)
    assert found.unfamiliar.tolist() == [True]


def test_a_chat_model_of_ones_own_is_given_again_when_loading(
    served: ScriptedProvider, tmp_path: Path
) -> None:
    openai = pytest.importorskip("langchain_openai")
    chat = openai.ChatOpenAI(base_url=served.base_url, api_key="any", model="judge")
    fitted = train("causal", [outcomes()], tmp_path / "own", judge=chat, judge_prompts=60)
    with pytest.raises(ArtifactError, match="a chat model of your own"):
        load(tmp_path / "own")
    again = causal.restore(read(tmp_path / "own"), chat)
    np.testing.assert_array_equal(
        fitted.estimate(FRESH, POOL).quality, again.estimate(FRESH, POOL).quality
    )


def test_what_cannot_judge_is_a_clear_message(served: ScriptedProvider, tmp_path: Path) -> None:
    out, url = tmp_path / "r", served.base_url
    with pytest.raises(ConfigurationError, match="needs a judge"):
        train("causal", [outcomes()], out)
    with pytest.raises(ConfigurationError, match="log-probability of Yes or No"):
        train("causal", [outcomes()], out, judge="openai/mute", judge_url=url)
    with pytest.raises(ConfigurationError, match="could not be asked"):
        train("causal", [outcomes()], out, judge="openai/nobody", judge_url=url)
    assert not out.exists()


def entry(**chances: float) -> dict[str, Any]:
    listed = [{"token": t, "logprob": math.log(p)} for t, p in chances.items()]
    return {"content": [{**listed[0], "top_logprobs": listed}]}


def test_log_odds_are_read_off_the_first_token() -> None:
    assert yes_log_odds(entry(Yes=0.75, No=0.25)) == pytest.approx(math.log(3), abs=1e-4)
    assert yes_log_odds(entry(no=0.6, yes=0.2, NO=0.2)) == pytest.approx(math.log(1 / 4), abs=1e-4)


def test_what_is_not_listed_is_shared() -> None:
    assert yes_log_odds(entry(Yes=0.9)) == pytest.approx(math.log(0.95 / 0.05), abs=1e-3)
    assert yes_log_odds(entry(Yes=1.0)) == pytest.approx(6.0)


@pytest.mark.parametrize(
    "nothing", [None, {}, {"content": None}, entry(Maybe=1.0), entry(Hm=0.9, no=0.05)]
)
def test_without_either_word_nothing_is_known(nothing: Any) -> None:
    assert math.isnan(yes_log_odds(nothing))
