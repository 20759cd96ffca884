"""`escalation="auto"` over real HTTP: what it asks, what it buys, when it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

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


class Apart(Able):
    """small is right with 0.7, big with 0.9: where big is dear, evidence pays."""

    quality = (0.7, 0.9)


def record(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.response_metadata["llmroute"]
    return found


def calls(answer: Any) -> list[tuple[str, str]]:
    """Who was asked, and why, in order."""
    return [(call["model"], call["purpose"]) for call in record(answer)["calls"]]


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
    def test_a_sure_weak_answer_is_enough(self, router: Router, stage: Stage) -> None:
        stage.says("small", Reply("42", confidence=0.999))
        stage.says("medium", Reply("42", confidence=0.999))
        answer = router(WillingnessToPay(usd=0.003), logprobs=True).invoke(QUESTION)
        assert calls(answer) == [("medium", "draft"), ("small", "draft")]
        assert answer.content == "42"
        assert [check["score"] for check in record(answer)["checks"]] == [0.73166, 0.914054]
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
        cheap, middling, dear = (
            router(CheapestAbove(quality=share)).decide(QUESTION) for share in (0.0, 0.9, 1.0)
        )
        assert (cheap.chosen, cheap.check) == ("small", None)
        assert (middling.chosen, middling.check) == ("small", {"name": "auto"})
        assert "an expected quality of 0.875 at 0.00065 USD" in middling.reason
        assert (dear.chosen, dear.check) == ("big", None)

    def test_a_threshold_is_the_gain_from_which_the_strong_model_is_worth_its_cost(
        self, router: Router
    ) -> None:
        plans = [
            router(Threshold(threshold=threshold, weak="small", strong="big")).decide(QUESTION)
            for threshold in (0.1, 0.2, 0.5, 0.9)
        ]
        auto = {"name": "auto"}
        assert [(plan.chosen, plan.check) for plan in plans] == [
            ("big", None),
            ("small", auto),
            ("small", auto),
            ("small", None),
        ]
        assert "an expected quality of 0.889 at 0.00075 USD" in plans[1].reason
        assert "an expected quality of 0.660 at 0.0002 USD" in plans[2].reason

    def test_a_limit_on_the_cost_holds_for_all_calls_together(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        few, more, enough = (
            calls(router(BestWithin(cost=usd)).invoke(QUESTION)) for usd in (0.0003, 0.0005, 0.0009)
        )
        assert few == [("medium", "answer")]
        # medium, asked first, would leave nothing for another model.
        evidence = [(name, purpose) for name, purpose in more if purpose != "sample"]
        assert evidence == [("small", "draft"), ("medium", "draft")]
        assert more.count(("small", "sample")) == more.count(("medium", "sample")) == 2
        assert enough == [("big", "answer")]

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
        # What a verification costs is not known either; samples are calls of the weak model.
        samples = [("small", "sample")] * 2
        assert calls(answer) == [("small", "draft"), *samples, ("big", "answer")]


class TestEvidenceOfOneAnswer:
    """small answers, and what is bought of its answer tells nothing."""

    @pytest.fixture
    def spent(self, theatre: ScriptedProvider) -> Callable[..., list[tuple[str, str]]]:
        """Asks a router that may buy `buys` where an answer is worth `usd`; its calls."""

        def ask(usd: float, *buys: str, logprobs: bool = False) -> list[tuple[str, str]]:
            members = pool_of(theatre, "litellm", capabilities={"logprobs": logprobs})
            chain = RouterChain(
                pool=ModelPool([m for m in members if m.name != "medium"]),
                scorer=Apart(),
                policy=WillingnessToPay(usd=usd),
                escalation=Escalation("auto", buys=buys),
                max_retries=0,
            )
            answer = chain.invoke(QUESTION)
            self.scores = [check["score"] for check in record(answer)["checks"]]
            return calls(answer)

        return ask

    @pytest.fixture(autouse=True)
    def lines(self, stage: Stage) -> None:
        stage.says("small", "41", *["Hmm."] * 4, "Yes")
        stage.says("big", "42")

    @pytest.mark.parametrize("buys", [("verify",), ("verify", "sample")])
    def test_a_verification_without_a_yes_or_no_is_not_asked_for_again_nor_a_sample(
        self, spent: Callable[..., Any], buys: tuple[str, ...]
    ) -> None:
        assert spent(0.003, *buys) == [("small", "draft"), ("small", "verify")]
        assert spent(0.01, *buys) == [("small", "draft"), ("small", "verify"), ("big", "answer")]

    @pytest.mark.parametrize(
        ("word", "logprobs", "scores"),
        [
            ("Yes", False, [0.700074, 0.882635]),
            ("No", False, [0.700074, 0.178455]),
            ("Yes", True, [0.608281, 0.828986]),
            ("No", True, [0.608281, 0.13912]),
        ],
    )
    def test_a_verification_is_read(
        self,
        spent: Callable[..., Any],
        stage: Stage,
        theatre: ScriptedProvider,
        word: str,
        logprobs: bool,
        scores: list[float],
    ) -> None:
        stage.says("small", "41", Reply(word, confidence=0.95))
        escalated = [] if word == "Yes" else [("big", "answer")]
        assert spent(0.003, "verify", logprobs=logprobs) == [
            ("small", "draft"),
            ("small", "verify"),
            *escalated,
        ]
        assert self.scores == pytest.approx(scores)
        # It costs the prompt, the answer and a word; its probability is asked for where it is had.
        body = theatre.requests[1].body
        assert (body["max_tokens"], body["temperature"]) == (5, 0)
        assert body.get("top_logprobs") == (5 if logprobs else None)

    def test_samples_that_fail_are_not_asked_for_again(
        self, spent: Callable[..., Any], theatre: ScriptedProvider
    ) -> None:
        theatre.fail("small", Fault.slow(0), *[Fault.server_error()] * 6)
        assert spent(0.003, "sample") == [("small", "draft"), *[("small", "sample")] * 2]

    def test_samples_are_two_more_and_warmer(
        self, spent: Callable[..., Any], theatre: ScriptedProvider
    ) -> None:
        spent(0.003, "sample")
        bodies = [request.body for request in theatre.requests if request.model == "small"]
        assert [body.get("temperature") for body in bodies] == [None, 0.7, 0.7]


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

    def test_inside_a_tool_loop_no_draft_is_planned(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        chain = router(WillingnessToPay(usd=0.005))
        assert chain.decide(QUESTION).check == {"name": "auto"}
        call = AIMessage("", tool_calls=[{"name": "multiply", "args": {}, "id": "1"}])
        call.response_metadata = {"llmroute": {"answered_by": "small"}}
        answer = chain.invoke([HumanMessage(QUESTION), call, ToolMessage("41", tool_call_id="1")])
        assert record(answer)["check"] is None
        assert calls(answer) == [("small", "answer")]

    def test_a_named_model_is_asked_and_not_checked(self, router: Router) -> None:
        chain = router(CheapestAbove())
        assert chain.decide(QUESTION, model="small").check is None


class TestWhatIsRemembered:
    def test_a_confidence_is_read_among_the_models_last_ones(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", Reply("42", confidence=0.9))
        stage.says("medium", Reply("42", confidence=0.9))
        chain = router(WillingnessToPay(usd=0.003), logprobs=True)
        answers = [chain.invoke(QUESTION) for _ in range(11)]
        # Of a model that is always as sure, being so tells nothing: that takes ten to see.
        scores = [record(answer)["checks"][0]["score"] for answer in answers]
        assert scores == pytest.approx([0.677764] * 9 + [0.740525] * 2)
        assert calls(answers[0]) == [("medium", "draft"), ("small", "draft")]
        assert calls(answers[10]) == [("medium", "draft")]


class TestItsSettings:
    def test_the_users_own_measure_says_which_answers_agree(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", "42")
        stage.says("medium", "42")
        differs = Escalation("auto", agreement=lambda one, other: False)
        answer = router(WillingnessToPay(usd=0.004), differs, logprobs=False).invoke(QUESTION)
        assert calls(answer) == [("small", "draft"), ("medium", "draft"), ("big", "answer")]

    def test_a_limit_counts_what_calls_did_cost(self, router: Router, stage: Stage) -> None:
        # At 0.4 USD a million tokens this answer alone is dearer than the limit.
        stage.says("small", "It is 41. " * 500)
        chain = router(BestWithin(cost=0.0005), logprobs=False)
        assert chain.decide(QUESTION).check == {"name": "auto"}
        answer = chain.invoke(QUESTION)
        assert record(answer)["cost_usd"] > 0.0005
        assert calls(answer) == [("small", "draft")]

    def test_a_call_that_cost_nothing_takes_nothing_of_the_limit(
        self, router: Router, stage: Stage
    ) -> None:
        free = {"input_price": 0.0, "output_price": 0.0}
        chain = router(BestWithin(cost=0.0005), logprobs=False)
        members = [m.model_copy(update=free if m.name == "small" else {}) for m in chain.pool]
        chain = chain.model_copy(update={"pool": ModelPool(members)})
        stage.says("small", "41", "40", "43")
        answer = chain.invoke(QUESTION)
        assert record(answer)["calls"][0]["cost_usd"] == 0
        samples = [("small", "sample")] * 2
        assert calls(answer) == [("small", "draft"), *samples, ("medium", "answer")]


class TestTheRecord:
    def test_says_what_was_believed_and_what_followed(self, router: Router) -> None:
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        checks = record(answer)["checks"]
        assert [(check["rule"], check["model"], check["passed"]) for check in checks] == [
            ("auto", "small", False),
            ("auto", "medium", False),
        ]
        assert [check["score"] for check in checks] == pytest.approx([0.550017, 0.507093])
        assert [check["reason"] for check in checks] == [
            "The best answer is good with 0.550: medium is asked, for 0.0002 USD.",
            "The best answer is good with 0.507: big is asked, for 0.00081 USD.",
        ]
        assert record(answer)["check"] == {"name": "auto"}

    def test_every_call_is_in_the_cost(self, router: Router) -> None:
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        each = [call["cost_usd"] for call in record(answer)["calls"]]
        assert calls(answer) == [("small", "draft"), ("medium", "draft"), ("big", "answer")]
        assert record(answer)["cost_usd"] == pytest.approx(sum(each))


class TestWhenAModelFails:
    def test_the_first_one_has_stand_ins(self, router: Router, theatre: ScriptedProvider) -> None:
        chain = router(WillingnessToPay(usd=0.005))
        theatre.fail(chain.decide(QUESTION).chosen, Fault.server_error())
        answer = chain.invoke(QUESTION)
        assert calls(answer) == [("small", "draft"), ("medium", "fallback")]
        assert record(answer)["answered_by"] == "medium"

    def test_the_best_answer_in_hand_is_returned_when_the_strong_one_fails(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", "41", "No")
        stage.says("medium", "40", "No")
        theatre.fail("big", Fault.server_error(), times=None)
        answer = router(WillingnessToPay(usd=0.005)).invoke(QUESTION)
        assert calls(answer) == [("small", "draft"), ("medium", "draft"), ("big", "answer")]
        assert answer.content == "40"  # medium is the abler one
        assert (record(answer)["unchecked"], record(answer)["escalated"]) == (True, True)

    def test_or_it_raises(self, router: Router, theatre: ScriptedProvider, stage: Stage) -> None:
        stage.says("small", "41", "No")
        stage.says("medium", "40", "No")
        theatre.fail("big", Fault.server_error(), times=None)
        strict = router(WillingnessToPay(usd=0.005), Escalation("auto", keep=False))
        with pytest.raises(AllModelsFailed) as raised:
            strict.invoke(QUESTION)
        assert [(call.model, call.status) for call in raised.value.calls] == [
            ("small", "ok"),
            ("medium", "ok"),
            ("big", "unavailable"),
        ]
        assert raised.value.last.model == "big"
        assert "The server had an error" in raised.value.last.message


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
        assert calls(answer) == [
            ("small", "draft"),
            ("medium", "draft"),
            ("small", "verify"),
            ("big", "answer"),
        ]
        assert record(answer)["calls"][1]["status"] == "authentication"
        assert answer.content == "The answer is 42."

    def test_the_strong_model_replaces_one_that_failed_in_between(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", "41", "No")
        theatre.fail("medium", Fault.server_error(), times=None)
        answer = router(WillingnessToPay(usd=0.004), logprobs=False).invoke(QUESTION)
        assert record(answer)["calls"][1]["status"] == "unavailable"
        assert record(answer)["answered_by"] == "big"
        assert not record(answer)["unchecked"]

    @pytest.mark.parametrize(("usd", "unchecked"), [(0.003, False), (0.004, True)])
    def test_an_answer_is_marked_where_a_model_that_failed_is_still_wanted(
        self,
        router: Router,
        theatre: ScriptedProvider,
        stage: Stage,
        usd: float,
        unchecked: bool,
    ) -> None:
        stage.says("small", "42", "Yes")
        theatre.fail("medium", Fault.server_error(), times=None)
        answer = router(WillingnessToPay(usd=usd), logprobs=False).invoke(QUESTION)
        assert calls(answer) == [("small", "draft"), ("medium", "draft"), ("small", "verify")]
        assert (answer.content, record(answer)["escalated"]) == ("42", False)
        assert record(answer)["unchecked"] is unchecked

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
        wanted = router(WillingnessToPay(usd=0.003), logprobs=True).invoke(QUESTION, logprobs=True)
        assert record(wanted)["check"]
        assert wanted.response_metadata["logprobs"]["content"]
