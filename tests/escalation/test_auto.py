"""`escalation="auto"` over real HTTP: what it asks, what it buys, when it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmroute import (
    BestWithin,
    CheapestAbove,
    Escalation,
    ModelPool,
    RouterChain,
    Threshold,
    WillingnessToPay,
)
from llmroute.errors import AllModelsFailed
from llmroute.numerics import Bools
from llmroute.policies import Choice, Policy
from llmroute.records import Estimates
from llmroute.scoring.text import RoutingText
from llmroute.testing import Fault, Reply, ScriptedProvider

from ..conftest import WordScorer
from .conftest import Stage, asked, pool_of

QUESTION = "How much is 6 * 7?"

pytestmark = pytest.mark.usefixtures("stage")


class Able(WordScorer):
    """small is right with 0.55, medium with 0.7, big with 0.9, whatever the prompt."""

    quality = (0.55, 0.7, 0.9)

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        evidence = super().estimate(prompts, pool)
        quality = np.array(self.quality[: len(pool)])
        return replace(
            evidence, quality=np.tile(quality, (len(evidence), 1)), prior_quality=quality
        )


def record(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.response_metadata["llmroute"]
    return found


@pytest.fixture
def router(theatre: ScriptedProvider) -> Callable[..., RouterChain]:
    def make(policy: Policy, escalation: Any = "auto", **capabilities: bool) -> RouterChain:
        pool = pool_of(theatre, "litellm", capabilities=capabilities)
        return RouterChain(
            pool=pool, scorer=Able(), policy=policy, escalation=escalation, max_retries=0
        )

    return make


Router = Callable[..., RouterChain]


class TestWhatIsAsked:
    def test_a_sure_weak_answer_is_enough(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says("small", Reply("42", confidence=0.999))
        stage.says("medium", Reply("42", confidence=0.999))
        answer = router(WillingnessToPay(usd=0.003), logprobs=True).invoke(QUESTION)
        assert "big" not in asked(theatre)
        assert answer.content == "42"
        assert record(answer)["saved_usd"] > 0

    def test_an_unsure_one_is_not(self, router: Router, stage: Stage) -> None:
        stage.says("small", Reply("41", confidence=0.3), "No")
        stage.says("medium", Reply("40", confidence=0.3), "No")
        answer = router(WillingnessToPay(usd=0.005), logprobs=True).invoke(QUESTION)
        assert answer.content == "The answer is 42."
        assert record(answer)["escalated"]
        assert record(answer)["answered_by"] == "big"

    def test_two_cheap_models_that_agree_save_the_strong_one(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says("small", "42", "Yes")
        stage.says("medium", "It is 42.", "Yes")
        router(WillingnessToPay(usd=0.004), logprobs=False).invoke(QUESTION)
        assert set(asked(theatre)) == {"small", "medium"}

    def test_where_a_good_answer_is_worth_little_one_call_is_made(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        answer = router(WillingnessToPay(usd=1e-7)).invoke(QUESTION)
        assert asked(theatre) == ["small"]
        assert record(answer)["check"] is None

    def test_the_more_it_is_worth_the_more_is_spent(self, router: Router) -> None:
        spent = [
            record(router(WillingnessToPay(usd=usd)).invoke(QUESTION))["cost_usd"]
            for usd in (1e-7, 1e-2)
        ]
        assert spent[0] < spent[1]

    def test_a_share_of_the_best_quality_is_worth_more_the_higher_it_is(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        cheap = router(CheapestAbove(quality=0.0)).decide(QUESTION)
        dear = router(CheapestAbove(quality=1.0)).decide(QUESTION)
        assert cheap.check is None
        assert cheap.chosen == "small"
        assert dear.chosen == "big" or dear.check is not None

    def test_a_limit_on_the_cost_holds_for_all_calls_together(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        chain = router(BestWithin(cost=0.0009))
        expected = chain.decide(QUESTION).estimates
        answer = chain.invoke(QUESTION)
        calls = [call["model"] for call in record(answer)["calls"]]
        assert sum(expected[name].cost or 0.0 for name in calls) <= 0.0009

    def test_a_threshold_counts_calls_where_no_price_is_known(
        self, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        pool = ModelPool(
            [
                m.model_copy(update={"input_price": None, "output_price": None})
                for m in pool_of(theatre, "litellm")
                if m.name != "medium"
            ]
        )
        chain = RouterChain(
            pool=pool, scorer=Able(), policy=Threshold(threshold=0.2), escalation="auto"
        )
        stage.says("small", "41", "No")
        answer = chain.invoke(QUESTION)
        assert record(answer)["cost_usd"] is None
        assert asked(theatre)[0] == "small"


class TestWhatIsNotPlanned:
    def test_a_policy_of_the_users_own_chooses_by_itself(self, router: Router) -> None:
        class Last(Policy):
            def choose(self, estimates: Estimates, allowed: Bools) -> Choice:
                return np.full(len(estimates), 1)

            def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
                return "It is the second."

        decision = router(Last()).decide(QUESTION)
        assert (decision.chosen, decision.check) == ("medium", None)
        assert decision.reason == "It is the second."

    def test_without_prices_the_policy_chooses(self, theatre: ScriptedProvider) -> None:
        pool = ModelPool(
            [
                m.model_copy(update={"input_price": None, "output_price": None})
                for m in pool_of(theatre, "litellm")
            ]
        )
        chain = RouterChain(pool=pool, scorer=Able(), escalation="auto")
        assert chain.decide(QUESTION).check is None

    def test_a_named_model_is_asked_and_not_checked(self, router: Router) -> None:
        chain = router(CheapestAbove())
        assert chain.decide(QUESTION, model="small").check is None


class TestTheRecord:
    def test_says_what_was_believed_and_what_followed(self, router: Router) -> None:
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        checks = record(answer)["checks"]
        assert all(check["rule"] == "auto" and 0 <= check["score"] <= 1 for check in checks)
        assert all("worth" in c["reason"] or "USD" in c["reason"] for c in checks)
        assert "41" not in str(checks)
        assert record(answer)["check"] == {"name": "auto"}

    def test_every_call_is_in_the_cost(self, router: Router) -> None:
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        calls = record(answer)["calls"]
        assert len(calls) > 1
        assert record(answer)["cost_usd"] == pytest.approx(sum(c["cost_usd"] for c in calls))


class TestWhenAModelFails:
    def test_the_first_one_has_stand_ins(self, router: Router, theatre: ScriptedProvider) -> None:
        chain = router(WillingnessToPay(usd=0.005))
        theatre.fail(chain.decide(QUESTION).chosen, Fault.server_error())
        assert record(chain.invoke(QUESTION))["calls"][1]["purpose"] == "fallback"

    def test_the_best_answer_in_hand_is_returned_when_the_strong_one_fails(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", "41", "No")
        stage.says("medium", "40", "No")
        theatre.fail("big", Fault.server_error(), times=None)
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        assert answer.content in ("41", "40")

    def test_or_it_raises(self, router: Router, theatre: ScriptedProvider, stage: Stage) -> None:
        stage.says("small", "41", "No")
        stage.says("medium", "40", "No")
        theatre.fail("big", Fault.server_error(), times=None)
        strict = router(WillingnessToPay(usd=0.005), Escalation("auto", keep=False))
        with pytest.raises(AllModelsFailed):
            strict.invoke(QUESTION)

    def test_samples_that_cannot_be_had_are_not_asked_for_again(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        chain = router(WillingnessToPay(usd=1.0))
        theatre.fail("small", Fault.slow(0), *[Fault.server_error()] * 20)
        assert chain.invoke(QUESTION).content == "The answer is 42."
        assert len(asked(theatre)) < 12


async def test_on_an_event_loop_too(router: Router, stage: Stage) -> None:
    stage.says("small", Reply("41", confidence=0.3), "No")
    stage.says("medium", Reply("40", confidence=0.3), "No")
    answer = await router(WillingnessToPay(usd=0.005), logprobs=True).ainvoke(QUESTION)
    assert answer.content == "The answer is 42."


def test_the_strong_models_answer_streams_when_nothing_could_change_it(
    router: Router, stage: Stage
) -> None:
    stage.says("small", "41", "No")
    stage.says("medium", "40", "No")
    chunks = list(router(WillingnessToPay(usd=0.005)).stream(QUESTION))
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert "".join(chunk.text for chunk in chunks) == "The answer is 42."


class TestWhatCannotBeHelpedWith:
    def test_log_probabilities_are_asked_of_those_only_that_are_known_to_have_them(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        assert not any("logprobs" in request.body for request in theatre.requests)

    def test_a_second_model_that_may_not_be_asked_costs_nobody_the_answer(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", "41", "No")
        theatre.fail("medium", Fault.unauthorized(), times=None)
        answer = router(WillingnessToPay(usd=0.004), logprobs=False).invoke(QUESTION)
        assert answer.content

    def test_the_strong_model_replaces_one_that_failed_in_between(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", "41", "No")
        theatre.fail("medium", Fault.server_error(), times=None)
        answer = router(WillingnessToPay(usd=0.004), logprobs=False).invoke(QUESTION)
        assert record(answer)["answered_by"] in ("big", "small")
        assert not record(answer)["unchecked"]

    def test_a_second_opinion_that_agrees_is_no_escalation(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", "42", "Yes")
        stage.says("medium", "It is 42.", "Yes")
        answer = router(WillingnessToPay(usd=0.004), logprobs=False).invoke(QUESTION)
        assert not record(answer)["escalated"]

    def test_without_time_for_a_draft_the_strongest_is_asked_at_once(
        self, theatre: ScriptedProvider
    ) -> None:
        pool = ModelPool(
            [
                m.model_copy(update={"first_token_s": 1.0, "tokens_per_s": 100.0})
                for m in pool_of(theatre, "litellm")
            ]
        )
        chain = RouterChain(
            pool=pool,
            scorer=Able(),
            policy=WillingnessToPay(usd=0.005),
            escalation=Escalation("auto", latency=3.0),
        )
        answer = chain.invoke(QUESTION)
        assert asked(theatre) == ["big"]
        assert "no time" in record(answer)["checks"][0]["reason"]

    def test_a_draft_carries_no_log_probabilities_nobody_asked_for(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", Reply("42", confidence=0.999))
        stage.says("medium", Reply("42", confidence=0.999))
        answer = router(WillingnessToPay(usd=0.003), logprobs=True).invoke(QUESTION)
        assert record(answer)["check"]
        assert "logprobs" not in answer.response_metadata
