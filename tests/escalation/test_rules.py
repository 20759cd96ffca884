"""Each rule over real HTTP: what it asks, when it escalates, what the record says."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel

from llmroute import (
    CrossModel,
    Decision,
    Disagreement,
    Escalation,
    Margin,
    Model,
    ModelPool,
    Refine,
    RouterChain,
    SelfVerify,
    StrongShare,
)
from llmroute.answers.votes import NO_ANSWER, lead_probability, leaders
from llmroute.errors import AllModelsFailed, ConfigurationError, ProviderError
from llmroute.escalation.context import Generation, representative, stronger
from llmroute.escalation.prompts import refining, verifying
from llmroute.escalation.rules import Rule, rule_of
from llmroute.records import ModelEstimate
from llmroute.testing import ChatRequest, Fault, Reply, ScriptedProvider

from ..conftest import WordScorer
from .conftest import Stage, asked, pool_of

Router = Callable[..., RouterChain]

pytestmark = pytest.mark.usefixtures("stage")


def record(answer):
    return answer.response_metadata["llmroute"]


def purposes(answer) -> list[tuple[str, str]]:
    return [(call["model"], call["purpose"]) for call in record(answer)["calls"]]


class TestWithoutARule:
    def test_the_chosen_models_answer_is_taken_as_it_comes(self, router: Router) -> None:
        answer = router(None).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 41."
        assert record(answer)["check"] is None
        assert record(answer)["checks"] == []


class TestTwoTiers:
    def test_a_draft_that_passes_is_returned(self, router: Router) -> None:
        answer = router(lambda message: False).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 41."
        assert purposes(answer) == [("small", "draft")]
        assert not record(answer)["escalated"]
        assert record(answer)["answered_by"] == "small"

    def test_a_draft_that_fails_is_replaced_by_the_strongest_models_answer(
        self, router: Router
    ) -> None:
        answer = router(lambda message: "41" in message.content).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        assert purposes(answer) == [("small", "draft"), ("big", "answer")]
        assert record(answer)["escalated"]
        assert record(answer)["answered_by"] == "big"

    def test_every_call_is_in_the_cost_and_usage_is_the_accepted_answers(
        self, router: Router
    ) -> None:
        answer = router(lambda message: True).invoke("How much is 6 * 7?")
        calls = record(answer)["calls"]
        assert record(answer)["cost_usd"] == pytest.approx(sum(c["cost_usd"] for c in calls))
        assert answer.usage_metadata["output_tokens"] == calls[-1]["completion_tokens"]
        assert record(answer)["total_completion_tokens"] == sum(
            c["completion_tokens"] for c in calls
        )

    def test_the_strongest_models_own_answer_needs_no_check(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        answer = router(lambda message: True).invoke("a hard question")
        assert record(answer)["check"] is None
        assert asked(theatre) == ["big"]

    def test_a_model_the_caller_named_is_not_checked(self, router: Router) -> None:
        answer = router(lambda message: True).invoke("How much is 6 * 7?", model="small")
        assert answer.content == "The answer is 41."

    def test_decide_says_that_a_check_is_due(self, router: Router) -> None:
        decision = router(Margin(below=0.2)).decide("How much is 6 * 7?")
        assert decision.check == {"name": "Margin", "below": 0.2, "of": "margin"}

    async def test_on_an_event_loop_too(self, router: Router) -> None:
        answer = await router(lambda message: True).ainvoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        assert record(answer)["escalated"]


class TestWhenAModelFails:
    def test_a_draft_that_cannot_be_had_falls_back(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("small", Fault.server_error())
        answer = router(lambda message: True).invoke("How much is 6 * 7?")
        assert answer.content in ("The answer is 42.", "The answer is 40.")
        assert purposes(answer)[0] == ("small", "draft")
        assert purposes(answer)[1][1] == "fallback"
        assert not record(answer)["escalated"]

    def test_the_rejected_draft_is_returned_and_marked_when_nobody_stronger_answers(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("big", Fault.server_error())
        theatre.fail("medium", Fault.server_error())
        answer = router(lambda message: True).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 41."
        assert record(answer)["unchecked"]
        assert not record(answer)["escalated"]
        assert [c["status"] for c in record(answer)["calls"]] == [
            "ok",
            "unavailable",
            "unavailable",
        ]

    def test_or_the_error_is_raised_where_that_is_asked_for(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("big", Fault.server_error())
        theatre.fail("medium", Fault.server_error())
        strict = Escalation(lambda message: True, keep=False)
        with pytest.raises(AllModelsFailed):
            router(strict).invoke("How much is 6 * 7?")

    def test_an_error_that_another_model_would_not_cure_is_raised(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("small", Fault.bad_request())
        with pytest.raises(ProviderError):
            router(lambda message: True).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"]


class TestWhoReplacesARejectedDraft:
    DECISION = Decision(
        chosen="a",
        policy={"name": "test"},
        reason="because",
        estimates={
            name: ModelEstimate(quality=quality, cost=1.0, tokens=1.0)
            for name, quality in zip("abcdef", (0.5, 0.6, 0.8, 0.5, 0.7, 0.75), strict=True)
        },
        excluded={},
        unfamiliar=False,
        strongest="f",
        ranking=("a", "b", "c", "d", "e", "f"),
        prompt_tokens=1,
        decision_us=1.0,
        router="test",
        version="0",
    )

    def test_the_strongest_and_then_the_better_ones_best_first(self) -> None:
        assert stronger(self.DECISION) == ["f", "c", "e", "b"]

    def test_those_that_cool_down_come_last(self) -> None:
        resting = self.DECISION.model_copy(update={"excluded": {"f": "failed", "c": "failed"}})
        assert stronger(resting) == ["e", "b", "f", "c"]

    def test_they_are_asked_in_that_order(self, router: Router, theatre: ScriptedProvider) -> None:
        theatre.fail("big", Fault.server_error())
        answer = router(lambda message: True).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small", "big", "medium"]
        assert [purpose for _, purpose in purposes(answer)] == ["draft", "answer", "fallback"]
        assert record(answer)["answered_by"] == "medium"
        assert record(answer)["escalated"]


class TestMargin:
    def test_a_sure_draft_passes(self, router: Router, stage: Stage) -> None:
        stage.says("small", Reply("42", confidence=0.95))
        answer = router(Margin(below=0.5)).invoke("How much is 6 * 7?")
        assert answer.content == "42"
        (check,) = record(answer)["checks"]
        assert check["score"] > 0.5
        assert check["passed"]
        assert check["reason"] == f"Certainty (margin) {check['score']:.3f} reaches 0.5."

    def test_an_unsure_draft_escalates(self, router: Router, stage: Stage) -> None:
        stage.says("small", Reply("41", confidence=0.4))
        answer = router(Margin(below=0.5)).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        (check,) = record(answer)["checks"]
        assert check["score"] < 0.5
        assert check["reason"] == f"Certainty (margin) {check['score']:.3f} is below 0.5."

    @pytest.mark.parametrize("rule", [Margin(below=0.9), StrongShare(share=1)], ids=str)
    def test_measures_of_certainty(self, router: Router, stage: Stage, rule: Rule) -> None:
        stage.says("small", Reply("The answer is 41.", confidence=0.4))
        asked_for = router(lambda message: False).invoke(
            "How much is 6 * 7?", logprobs=True, top_logprobs=2
        )
        tokens = asked_for.response_metadata["logprobs"]["content"]
        each = np.array([token["logprob"] for token in tokens])
        found = {}
        for of in ("margin", "mean", "min"):
            measured = router(rule.model_copy(update={"of": of})).invoke("How much is 6 * 7?")
            found[of] = record(measured)["checks"][0]["score"]
            assert record(measured)["checks"][0]["rule"] == type(rule).__name__
            assert record(measured)["escalated"]
        assert len({round(score, 3) for score in found.values()}) == 3
        assert found["min"] == pytest.approx(np.exp(each.min()), abs=1e-4)
        assert found["mean"] == pytest.approx(np.exp(each.mean()), abs=1e-4)
        (number,) = [token for token in tokens if "41" in token["token"]]
        first, second = (np.exp(top["logprob"]) for top in number["top_logprobs"])
        assert found["margin"] == pytest.approx(first - second, abs=1e-4)

    def test_a_provider_without_log_probabilities_is_not_judged_and_the_record_says_so(
        self, theatre: ScriptedProvider
    ) -> None:
        pool = pool_of(theatre, "litellm", capabilities={"logprobs": False})
        router = RouterChain(pool=pool, scorer=WordScorer(), escalation=Margin(below=0.99))
        answer = router.invoke("How much is 6 * 7?")
        (check,) = record(answer)["checks"]
        assert check["passed"]
        assert check["score"] is None
        assert "no log-probabilities" in check["reason"]
        assert "logprobs" not in theatre.requests[0].body

    def test_a_model_that_turns_out_to_have_none_is_asked_again_without(
        self, theatre: ScriptedProvider
    ) -> None:
        """LiteLLM knows that Anthropic has none, and refuses before anything is sent."""
        claude = Model(
            "small", model="anthropic/claude-3-haiku-20240307", api_base=theatre.base_url,
            api_key="none", input_price=0.1, output_price=0.4, capabilities={"logprobs": None},
        )  # fmt: skip
        pool = ModelPool([claude, *list(pool_of(theatre, "litellm"))[1:]])
        router = RouterChain(pool=pool, scorer=WordScorer(), escalation=Margin(below=0.5))
        with pytest.raises(ProviderError) as caught:  # the scripted provider speaks OpenAI's only
            router.invoke("How much is 6 * 7?")
        assert [call.status for call in caught.value.calls] == [
            "unsupported_parameter",
            "not_found",
        ]


class TestStrongShare:
    def test_the_least_certain_share_goes_to_the_strong_model(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        made = router(StrongShare(share=0.25))
        for turn in range(20):
            stage.says("small", Reply("41", confidence=0.3 if turn % 4 == 3 else 0.95))
            made.invoke("How much is 6 * 7?")
        assert asked(theatre).count("big") == 5

    def test_nothing_goes_there_with_a_share_of_0_and_all_with_1(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        router(StrongShare(share=0)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"]
        router(StrongShare(share=1)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small", "small", "big"]

    def test_a_copy_begins_anew(self) -> None:
        rule = StrongShare(share=0.5)
        assert pickle.loads(pickle.dumps(rule)).to_record() == rule.to_record()


def styled(request: ChatRequest) -> str:
    """42, in the words that the style of the question has."""
    return "By steps.\nAnswer: 42" if "step by step" in request.last_user else "It is 42."


class TestDisagreement:
    def test_agreement_is_accepted_as_soon_as_it_is_certain(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        answer = router(Disagreement(samples=5, agree=0.6)).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 41."
        assert asked(theatre) == ["small"] * 3

    def test_disagreement_escalates_as_soon_as_it_is_certain(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says("small", "It is 1.", "It is 2.", "It is 3.", "It is 4.", "It is 5.")
        answer = router(Disagreement(samples=5, agree=0.8)).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        assert asked(theatre) == ["small"] * 3 + ["big"]

    def test_the_majoritys_answer_is_returned_not_the_drafts(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", "It is 40.", "It is 42.", "I get 42.")
        answer = router(Disagreement(samples=3)).invoke("How much is 6 * 7?")
        assert answer.content == "It is 42."
        assert not record(answer)["escalated"]

    def test_samples_are_drawn_at_a_temperature_the_draft_is_not(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        router(Disagreement(samples=3, temperature=0.9)).invoke("How much is 6 * 7?")
        temperatures = [request.body.get("temperature") for request in theatre.requests]
        assert temperatures == [None, 0.9]

    def test_styles_are_asked_in_turn(self, router: Router, theatre: ScriptedProvider) -> None:
        rule = Disagreement(samples=3, agree=1, styles=("", "steps", "program"))
        router(rule).invoke("How much is 6 * 7?")
        last_words = [r.body["messages"][-1]["content"] for r in theatre.requests]
        assert last_words[0] == "How much is 6 * 7?"
        assert "step by step" in last_words[1]
        assert "program" in last_words[2]

    def test_the_answer_to_the_users_own_words_is_the_one_that_is_returned(
        self, router: Router, stage: Stage
    ) -> None:
        rule = Disagreement(samples=3, agree=0.5, styles=("", "steps"), together=True)
        stage.says("small", "It is 41.", styled, styled)
        assert router(rule).invoke("How much is 6 * 7?").content == "It is 42."

    def test_all_at_once_where_time_counts(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        answer = router(Disagreement(samples=4, together=True)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"] * 4
        assert record(answer)["checks"][0]["score"] == 1

    def test_one_call_for_several_where_the_provider_gives_them(
        self, theatre: ScriptedProvider
    ) -> None:
        pool = pool_of(theatre, "litellm", capabilities={"several": True})
        rule = Disagreement(samples=4, together=True)
        router = RouterChain(pool=pool, scorer=WordScorer(), escalation=rule)
        answer = router.invoke("How much is 6 * 7?")
        assert [request.body.get("n") for request in theatre.requests] == [None, 3]
        assert record(answer)["checks"][0]["reason"].startswith("4 of 4")

    def test_a_sample_that_fails_is_not_asked_again_but_in_the_record(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says(
            "small",
            "It is 41.",
            "It is 41.",
            "It is 41.",
        )
        rule = Disagreement(samples=3, agree=0.6)
        made = router(rule)
        theatre.fail("small", Fault.slow(0), Fault.rate_limit())
        answer = made.invoke("How much is 6 * 7?")
        assert [c["status"] for c in record(answer)["calls"]] == ["ok", "rate_limited", "ok"]
        assert answer.content == "It is 41."

    async def test_on_an_event_loop_all_at_once(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        await router(Disagreement(samples=4, together=True)).ainvoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"] * 4

    def test_one_answer_never_agrees_with_itself(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        answer = router(Disagreement(samples=2, agree=0.5)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small", "small"]
        assert not record(answer)["escalated"]

    def test_unknown_styles_are_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="'steps'"):
            Disagreement(styles=("haiku",))


class TestCrossModel:
    def test_two_cheap_models_that_agree_are_believed(self, router: Router, stage: Stage) -> None:
        stage.says("medium", "41")
        answer = router(CrossModel()).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 41."
        assert purposes(answer) == [("small", "draft"), ("medium", "draft")]

    def test_two_that_differ_are_not(self, router: Router) -> None:
        answer = router(CrossModel(model="medium")).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."

    @pytest.mark.parametrize("rule", [CrossModel(), CrossModel(model="medium")], ids=str)
    def test_without_a_second_model_that_can_take_the_request_the_draft_is_rejected(
        self, router: Router, rule: Rule
    ) -> None:
        without: Any = {"configurable": {"llmroute_models": ["small", "big"]}}
        answer = router(rule).invoke("How much is 6 * 7?", without)
        (check,) = record(answer)["checks"]
        assert (check["rule"], check["model"], check["passed"]) == ("CrossModel", "small", False)
        assert check["reason"].startswith("There is no second cheap model to compare with")
        assert purposes(answer) == [("small", "draft"), ("big", "answer")]

    def test_one_that_fails_or_is_not_the_second_one_does_not_save_the_draft(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("medium", Fault.server_error())
        (check,) = record(router(CrossModel()).invoke("How much is 6 * 7?"))["checks"]
        assert (check["passed"], check["reason"]) == (
            False,
            "medium gave no answer to compare with.",
        )
        for strongest in ("big", "small"):
            answer = router(CrossModel(model=strongest)).invoke("How much is 6 * 7?")
            assert purposes(answer) == [("small", "draft"), ("big", "answer")]
        with pytest.raises(ConfigurationError, match="CrossModel names 'nobody'"):
            router(CrossModel(model="nobody"))

    def test_says_whether_they_agree(self, router: Router, stage: Stage) -> None:
        (differ,) = record(router(CrossModel()).invoke("How much is 6 * 7?"))["checks"]
        assert (differ["passed"], differ["reason"]) == (False, "small and medium differ.")
        stage.says("medium", "41")
        (agree,) = record(router(CrossModel()).invoke("How much is 6 * 7?"))["checks"]
        assert (agree["passed"], agree["reason"]) == (True, "small and medium agree.")

    def test_a_pool_of_two_has_no_second_cheap_model(self, theatre: ScriptedProvider) -> None:
        pool = ModelPool(list(pool_of(theatre, "litellm"))[:2])
        with pytest.raises(ConfigurationError, match="Add a third"):
            RouterChain(pool=pool, escalation=CrossModel())


class TestSelfVerify:
    def test_a_model_that_stands_by_its_answer_is_believed(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says("small", "It is 42.", Reply("Yes", confidence=0.9))
        answer = router(SelfVerify()).invoke("How much is 6 * 7?")
        assert answer.content == "It is 42."
        assert purposes(answer) == [("small", "draft"), ("small", "verify")]
        (check,) = record(answer)["checks"]
        assert (check["passed"], check["score"]) == (True, 1.0)
        reason = "small calls its answer right with 1.000, which reaches 0.5."
        assert check["reason"] == reason
        question = theatre.requests[1].body
        assert question["messages"][-2]["content"] == "It is 42."
        assert question["logprobs"]

    def test_one_that_doubts_it_is_not(self, router: Router, stage: Stage) -> None:
        stage.says("small", "It is 41.", Reply("No", confidence=0.9))
        answer = router(SelfVerify(below=0.5)).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        (check,) = record(answer)["checks"]
        assert (check["passed"], check["score"]) == (False, 0.0)
        reason = "small calls its answer right with 0.000, which is below 0.5."
        assert check["reason"] == reason

    def test_what_is_neither_yes_nor_no_is_no_word_for_the_answer(
        self, router: Router, stage: Stage
    ) -> None:
        stage.says("small", "It is 41.", "Well…")
        answer = record(router(SelfVerify()).invoke("How much is 6 * 7?"))
        assert answer["escalated"]
        (check,) = answer["checks"]
        assert (check["passed"], check["score"]) == (False, None)
        assert check["reason"] == "small did not say whether its answer is right."

    def test_a_verification_that_is_refused_costs_nobody_the_answer(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        theatre.fail("small", Fault.slow(0), Fault.bad_request())
        answer = router(SelfVerify()).invoke("How much is 6 * 7?")
        assert answer.content == "The answer is 42."
        assert [c["status"] for c in record(answer)["calls"]] == ["ok", "invalid_request", "ok"]


class TestRefine:
    def test_a_rewritten_answer_that_passes_is_returned(
        self, router: Router, stage: Stage, theatre: ScriptedProvider
    ) -> None:
        stage.says("small", "It is 41.", "It is 42.")
        answer = router(Refine(lambda message: "41" in message.content)).invoke(
            "How much is 6 * 7?"
        )
        assert answer.content == "It is 42."
        assert purposes(answer) == [("small", "draft"), ("small", "refine")]
        assert not record(answer)["escalated"]
        asked_again = [message["content"] for message in theatre.requests[1].body["messages"]]
        assert asked_again[:2] == ["How much is 6 * 7?", "It is 41."]
        assert asked_again[2].startswith("Look for mistakes in your answer above")

    def test_one_that_fails_again_escalates(self, router: Router) -> None:
        answer = router(Refine(lambda message: "41" in message.content)).invoke(
            "How much is 6 * 7?"
        )
        assert purposes(answer) == [("small", "draft"), ("small", "refine"), ("big", "answer")]
        assert record(answer)["escalated"]

    def test_the_record_names_the_check(self) -> None:
        margin = {"name": "Margin", "below": 0.3, "of": "margin"}
        assert Refine(Margin(below=0.3)).to_record() == {"name": "Refine", "check": margin}


class TestComposition:
    def test_the_record_names_the_rules(self) -> None:
        class Guesses:
            def __call__(self, message: object) -> bool:
                return True

        def is_short(message: object) -> bool:
            return True

        either = {"name": "Either", "rules": [{"name": "is_short"}, {"name": "Guesses"}]}
        assert (rule_of(is_short) | Guesses()).to_record() == either
        verify = {"name": "SelfVerify", "below": 0.5}
        both = {"name": "Both", "rules": [verify, {"name": "is_short"}]}
        assert (SelfVerify() & is_short).to_record() == both
        assert (Margin(below=0.1) | SelfVerify()).arguments == Margin(below=0.1).arguments
        assert (SelfVerify() | is_short).arguments == {}

    def test_either_escalates_when_one_wants_to(self, router: Router) -> None:
        rule = Disagreement(samples=2) | (lambda message: True)
        assert record(router(rule).invoke("How much is 6 * 7?"))["escalated"]

    def test_either_does_not_buy_further_evidence_when_it_is_settled(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", Reply("41", confidence=0.2))
        router(Margin(below=0.9) | Disagreement(samples=5)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small", "big"]

    def test_both_accepts_when_one_does(
        self, router: Router, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", Reply("42", confidence=0.99))
        answer = router(Margin(below=0.5) & Disagreement(samples=5)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"]
        assert not record(answer)["escalated"]

    def test_both_escalates_only_when_all_want_to(self, router: Router, stage: Stage) -> None:
        stage.says("small", Reply("41", confidence=0.2))
        rule = Margin(below=0.9) & (lambda message: True)
        answer = router(rule).invoke("How much is 6 * 7?")
        assert record(answer)["escalated"]
        assert [check["rule"] for check in record(answer)["checks"]] == ["Margin", "<lambda>"]

    def test_anything_else_is_refused_with_what_would_do(self) -> None:
        with pytest.raises(ConfigurationError, match="Margin, Disagreement"):
            RouterChain(pool=["a", "b"], escalation="always")


class Point(BaseModel):
    """A point."""

    x: int
    y: int


class TestStructuredOutput:
    def test_an_accepted_draft_is_parsed(self, router: Router, stage: Stage) -> None:
        stage.says("small", _point(1, 2))
        structured = router(Disagreement(samples=2, agree=1)).with_structured_output(
            Point, method="function_calling"
        )
        assert structured.invoke("Where?") == Point(x=1, y=2)

    def test_fields_that_differ_escalate(self, router: Router, stage: Stage) -> None:
        stage.says("small", _point(1, 2), _point(1, 3))
        stage.says("big", _point(5, 5))
        structured = router(Disagreement(samples=2, agree=1)).with_structured_output(
            Point, method="function_calling", include_raw=True
        )
        found = structured.invoke("Where?")
        assert found["parsed"] == Point(x=5, y=5)
        assert record(found["raw"])["escalated"]

    def test_an_accepted_draft_streams(self, router: Router, stage: Stage) -> None:
        stage.says("small", _point(1, 2))
        structured = router(lambda point: False).with_structured_output(
            Point, method="function_calling"
        )
        assert list(structured.stream("Where?"))[-1] == Point(x=1, y=2)

    def test_a_draft_that_does_not_parse_goes_to_another_model(
        self, router: Router, stage: Stage
    ) -> None:
        from llmroute.testing import ToolCall

        stage.says("small", Reply(tool_calls=[ToolCall("Point", {"x": "no number"})]))
        stage.says("medium", _point(3, 3))
        stage.says("big", _point(3, 3))
        structured = router(lambda point: False).with_structured_output(
            Point, method="function_calling"
        )
        assert structured.invoke("Where?") == Point(x=3, y=3)


def _point(x: int, y: int) -> Reply:
    from llmroute.testing import ToolCall

    return Reply(tool_calls=[ToolCall("Point", {"x": x, "y": y})])


class TestTools:
    def test_calls_are_compared_by_name_and_arguments(self, router: Router, stage: Stage) -> None:
        def weather(city: str) -> str:
            """The weather of a city."""
            return city

        from llmroute.testing import ToolCall

        call = Reply(tool_calls=[ToolCall("weather", {"city": "Rome"})])
        other = Reply(tool_calls=[ToolCall("weather", {"city": "Oslo"})])
        stage.says("big", call)
        rule = Disagreement(samples=2, agree=1)
        bound = router(rule).bind_tools([weather])
        stage.says("small", call)
        assert not record(bound.invoke("Weather in Rome?"))["escalated"]
        stage.says("small", call, other)
        answer = bound.invoke("Weather in Rome?")
        assert record(answer)["escalated"]
        assert answer.tool_calls[0]["args"] == {"city": "Rome"}


@given(st.lists(st.integers(-1, 4), max_size=12))
def test_leaders_are_the_two_largest_groups(groups: list[int]) -> None:
    first, second = leaders(groups)
    assert first >= second >= 0
    assert first + second <= sum(group >= 0 for group in groups)


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_lead_is_a_probability_and_grows_with_votes(leading: int, second: int) -> None:
    sure = lead_probability(leading, second)
    assert 0 < sure <= 1
    assert lead_probability(leading + 1, second) >= sure
    assert lead_probability(leading, second) == pytest.approx(
        1 - lead_probability(second, leading), abs=1e-12
    )


def test_adaptive_consistency_stops_early_on_a_clear_lead(
    router: Router, theatre: ScriptedProvider
) -> None:
    router(Disagreement(samples=40, sure=0.95)).invoke("How much is 6 * 7?")
    assert len(asked(theatre)) == 4  # P(p > 1/2 | 4 votes to 0) = 1 - 1/32


def test_adaptive_consistency_never_believes_one_answer_alone(
    router: Router, theatre: ScriptedProvider
) -> None:
    router(Disagreement(samples=9, sure=0.6)).invoke("How much is 6 * 7?")
    assert asked(theatre) == ["small", "small"]


def test_a_function_says_whether_a_draft_is_good_enough(router: Router) -> None:
    def wrong(message: Any) -> bool:
        return "41" in message.text

    def right(message: Any) -> bool:
        return "41" not in message.text

    (rejected,) = record(router(wrong).invoke("How much is 6 * 7?"))["checks"]
    assert (rejected["rule"], rejected["passed"]) == ("wrong", False)
    assert rejected["reason"] == "wrong says that it is not good enough."
    (accepted,) = record(router(right).invoke("How much is 6 * 7?"))["checks"]
    assert (accepted["passed"], accepted["reason"]) == (
        True,
        "right says that it is good enough.",
    )


def test_of_the_largest_group_the_answer_to_the_users_own_words_is_returned() -> None:
    def observed(text: str, style: str = "") -> Generation:
        return Generation(AIMessage(text), "small", call=None, value=None, style=style)

    draft, steps, plain = observed("41"), observed("42", "steps"), observed("42")
    assert representative([draft, steps, plain], [0, 1, 1]) is plain
    program = observed("42", "program")
    assert representative([draft, steps, program], [0, 1, 1]) is steps
    assert representative([draft, plain], [0, 1]) is draft  # of equals the first
    assert representative([draft, steps], [NO_ANSWER, NO_ANSWER]) is draft
    assert representative([draft, steps, plain], [NO_ANSWER, 1, NO_ANSWER]) is steps


def test_a_question_about_an_answer_tells_its_tool_loop_as_text() -> None:
    call = {"name": "multiply", "args": {"a": 6}, "id": "1"}
    loop = [
        HumanMessage("How much?"),
        AIMessage("Let me see.", tool_calls=[call]),
        ToolMessage("42", tool_call_id="1", name="multiply"),
        ToolMessage("43", tool_call_id="1"),
    ]
    evidence = verifying(loop, AIMessage("", tool_calls=[call, call]))
    assert [(message.type, message.text) for message in evidence[:-1]] == [
        ("human", "How much?"),
        ("ai", "Let me see.\nmultiply({'a': 6})"),
        ("human", "Result of multiply: 42"),
        ("human", "Result of the tool: 43"),
        ("ai", "multiply({'a': 6})\nmultiply({'a': 6})"),
    ]
    assert evidence[-1].text.endswith("Reply with one word: Yes or No.")
    rewritten = refining(loop[:1], AIMessage("42"))
    assert [message.text for message in rewritten[:2]] == ["How much?", "42"]
    assert rewritten[2].text.startswith("Look for mistakes in your answer above")


class TestLatencyBudget:
    """The word scorer expects 100 output tokens of every model."""

    def speedy(self, theatre: ScriptedProvider, latency: float, rule: object) -> RouterChain:
        pool = ModelPool(
            [
                member.model_copy(update={"first_token_s": 1.0, "tokens_per_s": 100.0})
                for member in pool_of(theatre, "litellm")
            ]
        )
        return RouterChain(
            pool=pool, scorer=WordScorer(), escalation=Escalation(rule, latency=latency)
        )

    def test_without_room_for_both_the_strongest_is_asked_at_once(
        self, theatre: ScriptedProvider
    ) -> None:
        answer = self.speedy(theatre, 3, lambda message: False).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["big"]
        assert answer.content == "The answer is 42."

    def test_a_call_may_have_a_shorter_one(self, theatre: ScriptedProvider) -> None:
        hurried = {"configurable": {"llmroute_latency": 3}}
        router = self.speedy(theatre, 60, lambda message: False)
        router.invoke("How much is 6 * 7?", hurried)
        router.invoke("How much is 6 * 7?", {"configurable": {"llmroute_latency": 300}})
        assert asked(theatre) == ["big", "small"]

    def test_with_room_for_both_the_weak_one_is(self, theatre: ScriptedProvider) -> None:
        self.speedy(theatre, 5, lambda message: False).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"]

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            (Disagreement(samples=3), "There was no time for more answers."),
            (CrossModel(), "There was no time for a second model."),
            (SelfVerify(), "There was no time for a verification."),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_draft_whose_evidence_would_not_fit_counts_as_rejected(
        self, theatre: ScriptedProvider, stage: Stage, rule: Rule, reason: str
    ) -> None:
        stage.says("small", lambda request: time.sleep(0.2) or "The answer is 41.")
        answer = self.speedy(theatre, 4.1, rule).invoke("How much is 6 * 7?")
        (check,) = record(answer)["checks"]
        assert (check["rule"], check["passed"]) == (type(rule).__name__, False)
        assert check["reason"] == reason
        assert purposes(answer) == [("small", "draft"), ("big", "answer")]

    def test_a_draft_is_not_rewritten_where_that_would_not_fit(
        self, theatre: ScriptedProvider, stage: Stage
    ) -> None:
        stage.says("small", lambda request: time.sleep(0.2) or "The answer is 41.")
        rule = Refine(lambda message: "41" in message.text)
        assert purposes(self.speedy(theatre, 4.1, rule).invoke("How much is 6 * 7?")) == [
            ("small", "draft"),
            ("big", "answer"),
        ]

    def test_models_of_unknown_speed_are_not_held_to_it(
        self, router: Router, theatre: ScriptedProvider
    ) -> None:
        router(Escalation(lambda message: False, latency=0.001)).invoke("How much is 6 * 7?")
        assert asked(theatre) == ["small"]
