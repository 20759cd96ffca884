"""What a rule can ask of a draft's request, and how its answers are read. No call is made."""

from __future__ import annotations

import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from llmroute import Decision, Model, ModelPool
from llmroute.engine.flow import Answered, Ask, CallResult, Retry, Talk, Together
from llmroute.errors import InvalidRequest, RateLimited
from llmroute.escalation.context import DraftContext, Finding, Generation
from llmroute.escalation.prompts import STYLES
from llmroute.records import ModelEstimate
from llmroute.request.request import BoundSchema, Variation, read_request

SUM = "How much is 6 * 7?"
LOGPROBS = {"logprobs": True, "top_logprobs": 2}


def context(
    question: str = SUM, capabilities: dict[str, bool] | None = None, **settings: Any
) -> DraftContext:
    pool = ModelPool(
        [Model(n, capabilities=capabilities or {}) for n in ("small", "medium", "other", "big")]
    )
    costs = {"small": 1.0, "medium": None, "other": 3.0, "big": 9.0}
    decision = Decision(
        chosen="small",
        policy={"name": "test"},
        reason="because",
        estimates={
            name: ModelEstimate(quality=0.5, cost=cost, tokens=1.0, latency=1.0)
            for name, cost in costs.items()
        },
        excluded={},
        unfamiliar=False,
        strongest="big",
        ranking=("small", "medium", "other", "big"),
        prompt_tokens=1,
        decision_us=1.0,
        router="test",
        version="0",
    )
    messages = settings.pop("messages", [HumanMessage(question)])
    schema, arguments = settings.pop("schema", None), settings.pop("passed", {})
    request = read_request(messages, arguments, schema)
    return DraftContext(request, Talk(decision, pool, Retry(times=0)), **settings)


def generation(text: str, *probabilities: tuple[str, float], parsed: Any = None) -> Generation:
    """An answer; with tokens and their probabilities, and what was parsed from it."""
    tokens = [
        {
            "token": token,
            "logprob": math.log(p),
            "top_logprobs": [{"token": "else", "logprob": math.log((1 - p) / 2)}],
        }
        for token, p in probabilities
    ]
    metadata = {"logprobs": {"content": tokens}, "id": 1} if tokens else {"id": 1}
    message = AIMessage(text, response_metadata=metadata)
    value: Any = message if parsed is None else {"raw": message, "parsed": parsed}
    answered = Answered(Ask("small", "draft", hidden=True), CallResult(0.1, value))
    return Generation(message, "small", answered, value)


def failing(error: Any) -> CallResult:
    return CallResult(0.1, error=error)


def ended(flow: Any, *results: Any) -> tuple[list[Any], Any]:
    """The steps of a flow that is sent these results, and what it returned."""
    steps, came = [], None
    try:
        for result in (None, *results):
            steps.append(flow.send(result))
    except StopIteration as end:
        came = end.value
    return steps, came


class TestReading:
    def test_the_form_is_the_questions_or_the_answers(self) -> None:
        assert context().form(generation("The answer is 42.")) == "number"
        assert context("Tell me something.").form(generation("")) is None

    def test_answers_are_compared_by_what_was_parsed_from_them(self) -> None:
        asked = context()
        alike = [generation("so", parsed={"total": 42}), generation("thus", parsed={"total": 42})]
        groups = asked.groups([*alike, generation("so", parsed={"total": 41})])
        assert groups[0] == groups[1] != groups[2]
        words = [generation("It is 42."), generation("42"), generation("It is 41.")]
        assert len(set(asked.groups(words[:2]))) == 1
        assert len(set(asked.groups(words))) == 2

    def test_the_users_own_measure_decides_where_there_is_one(self) -> None:
        seen = []

        def never(one: Any, other: Any) -> bool:
            seen.append((one.text, other.text))
            return False

        groups = context(agreement=never).groups([generation("42"), generation("42")])
        assert groups[0] != groups[1]
        assert seen == [("42", "42")]

    def test_confidence_is_the_deciding_tokens_or_that_of_all(self) -> None:
        answer = generation("It is 41.", ("The answer is", 0.9), (" 41", 0.5), (".", 0.8))
        answer.message.content = "The answer is 41."
        found = {of: context().confidence(answer, of) for of in ("probability", "margin", "min")}
        assert found == pytest.approx({"probability": 0.5, "margin": 0.25, "min": 0.5})
        mean = (0.9 * 0.5 * 0.8) ** (1 / 3)
        assert context().confidence(answer, "mean") == pytest.approx(mean)
        assert context().confidence(generation("41"), "margin") is None
        prose = generation("Once. " * 60, ("Once", 0.9), (" upon", 0.5), (".", 0.8))
        told = context("Write me a story about a fox.").confidence(prose, "probability")
        assert told == pytest.approx(mean)  # no single token decides a story

    def test_an_accepted_answer_keeps_log_probabilities_only_for_who_asked(self) -> None:
        plain, parsed = generation("42", ("42", 0.9)), generation("42", ("42", 0.9), parsed=42)
        assert context().accept(plain).result.value.response_metadata == {"id": 1}
        raw = context().accept(parsed).result.value
        assert (raw["raw"].response_metadata, raw["parsed"]) == ({"id": 1}, 42)
        wanted = context(passed={"logprobs": True}).accept(plain).result.value
        assert "logprobs" in wanted.response_metadata
        marked = context().accept(plain, unchecked=True)
        assert (marked.unchecked, marked.escalated) == (True, False)
        assert context().accept(plain, escalated=True).escalated


class TestAsking:
    @pytest.mark.parametrize(
        ("known", "only_known", "evidence"),
        [
            (True, True, LOGPROBS),
            (None, False, LOGPROBS),
            (None, True, {}),
            (False, False, {}),
        ],
    )
    def test_evidence_is_asked_of_models_that_may_give_it(
        self, known: bool | None, only_known: bool, evidence: dict[str, Any]
    ) -> None:
        asked = context(capabilities={"logprobs": known}, arguments=LOGPROBS, only_known=only_known)
        steps, came = ended(asked.ask("small", "draft"), CallResult(0.1, AIMessage("42")))
        assert steps == [Ask("small", "draft", hidden=True, variation=Variation(evidence))]
        assert (came.message.text, came.model, came.style) == ("42", "small", "")

    def test_what_the_caller_set_is_not_set_again(self) -> None:
        asked = context(arguments=LOGPROBS, passed={"top_logprobs": 5})
        steps, _ = ended(asked.ask("small", "draft"))
        assert steps[0].variation.arguments == {"logprobs": True}

    def test_a_model_that_refuses_evidence_is_asked_without(self) -> None:
        asked = context(arguments=LOGPROBS)
        refusal = failing(InvalidRequest("no logprobs"))
        steps, came = ended(asked.ask("small", "draft"), refusal, CallResult(0.1, AIMessage("42")))
        assert steps[1] == Ask("small", "draft", attempt=1, hidden=True)
        assert came.message.text == "42"
        assert [call.status for call in asked.talk.calls] == ["invalid_request", "ok"]
        steps, came = ended(asked.ask("small", "draft"), failing(RateLimited("busy")))
        assert (len(steps), type(came.result.error)) == (1, RateLimited)
        own = Variation({"max_tokens": 5})
        assert len(ended(asked.ask("small", "verify", own), refusal)[0]) == 1

    def test_samples_share_a_call_where_the_provider_gives_several(self) -> None:
        asked = context(capabilities={"several": True, "logprobs": False})
        steps, came = ended(
            asked.sample("small", ["", ""], 0.7),
            CallResult(0.1, [AIMessage("41"), AIMessage("42")]),
        )
        both = Variation({"n": 2, "temperature": 0.7})
        assert steps == [Ask("small", "sample", hidden=True, variation=both)]
        assert [sample.message.text for sample in came] == ["41", "42"]
        _, came = ended(asked.sample("small", ["", ""], 0.7), failing(RateLimited("busy")))
        assert came == []

    def test_or_are_asked_for_at_once(self) -> None:
        asked = context(capabilities={"several": False, "reasoning": True, "logprobs": False})
        steps, came = ended(
            asked.sample("small", ["", "steps"], 0.7),
            [failing(RateLimited("busy")), CallResult(0.1, AIMessage("42"))],
        )
        # A reasoning model takes no temperature.
        variations = Variation(), Variation(style=STYLES["steps"])
        calls = [Ask("small", "sample", hidden=True, variation=each) for each in variations]
        assert steps == [Together(tuple(calls))]
        assert [(sample.message.text, sample.style) for sample in came] == [("42", "steps")]

    def test_nothing_is_said_in_another_style_after_a_tool_or_with_several_of_a_schema(
        self,
    ) -> None:
        loop = [
            HumanMessage(SUM),
            AIMessage("", tool_calls=[]),
            ToolMessage("42", tool_call_id="1"),
        ]
        steps, _ = ended(context(messages=loop).sample("small", ["steps"], None))
        assert steps[0].variation == Variation()
        schema = BoundSchema.of({"title": "Sum"})
        several = context(capabilities={"several": True}, schema=schema)
        steps, _ = ended(several.sample("small", ["", ""], None))
        assert len(steps[0].asks) == 2

    def test_the_second_model_is_the_cheapest_beside_the_strongest(self) -> None:
        asked = context()
        assert asked.second_model("small") == "other"  # what medium costs is not known
        assert asked.second_model("other") == "small"
        pair = asked.talk.decision.model_copy(update={"ranking": ("small", "big")})
        asked.talk.decision = pair
        assert asked.second_model("small") is None

    def test_there_is_time_for_a_model_and_the_strongest_after_it_or_there_is_not(self) -> None:
        asked = context(latency=5.0)
        asked.talk.elapsed_s = 3.0
        assert not asked.is_late_for("small")  # one second each
        asked.talk.elapsed_s = 3.01
        assert asked.is_late_for("small")
        asked.talk.decision = asked.talk.decision.model_copy(update={"estimates": {}})
        assert not asked.is_late_for("small")
        assert not context().is_late_for("small")

    def test_what_was_found_is_in_the_record(self) -> None:
        asked = context()
        asked.check("Margin", "small", Finding(False, "It is unsure.", score=0.12345678))
        asked.check("Margin", "small", Finding(True, "It is unknown."))
        assert [check.model_dump() for check in asked.talk.checks] == [
            {
                "rule": "Margin",
                "model": "small",
                "passed": False,
                "score": 0.123457,
                "reason": "It is unsure.",
            },
            {
                "rule": "Margin",
                "model": "small",
                "passed": True,
                "score": None,
                "reason": "It is unknown.",
            },
        ]
