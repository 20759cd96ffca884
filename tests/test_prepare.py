"""A member made ready for one call: what is passed on to it, and what is not. No call is made."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from llmroute import Model, ModelPool
from llmroute.engine.calls import OwnConfig, RequestCalls, with_value
from llmroute.engine.drafts import NO_STREAM, AcceptedDraft, config_kwargs, without_streaming
from llmroute.engine.flow import Answered, Ask, CallResult
from llmroute.engine.prepare import Inherited, is_warm, prepare, warm_up
from llmroute.errors import RateLimited
from llmroute.request.request import TOOLS_ARGUMENT, BoundSchema, BoundTools, Variation
from llmroute.request.request import read_request as read
from tests.test_flow import decision

ASKED = [HumanMessage("hi")]
CACHE, LIMITER = InMemoryCache(), InMemoryRateLimiter(requests_per_second=1)
ROUTERS = Inherited(
    timeout=30,
    api_key=SecretStr("routers"),
    cache=CACHE,
    rate_limiter=LIMITER,
    output_version="v1",
)
HIDDEN = Ask("small", "draft", hidden=True)


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Sum(BaseModel):
    """A sum."""

    total: int


def own(**settings: Any) -> Model:
    chat = ChatOpenAI(model="small", api_key="own", base_url="http://127.0.0.1:9", **settings)
    return Model("small", chat_model=chat)


class TestWhatTheRouterPassesOn:
    def test_goes_to_members_that_set_nothing_themselves(self) -> None:
        model = prepare(own(), read(ASKED, {}), {}, ROUTERS).model
        assert (model.cache, model.rate_limiter, model.output_version) == (CACHE, LIMITER, "v1")
        theirs = InMemoryCache()
        kept = prepare(own(cache=theirs), read(ASKED, {}), {}, ROUTERS).model
        assert kept.cache is theirs
        assert kept.rate_limiter is LIMITER

    def test_is_nothing_where_nothing_is_set(self) -> None:
        member = own()
        assert prepare(member, read(ASKED, {}), {}, Inherited(30)).model is member.chat_model

    @pytest.mark.parametrize(
        ("settings", "passed"),
        [
            ({}, {"timeout": 30, "api_key": SecretStr("routers")}),
            ({"timeout": 5, "api_key": "own"}, {"timeout": 5}),
            ({"params": {"timeout": 7}}, {"api_key": SecretStr("routers")}),
        ],
    )
    def test_is_time_and_key_for_members_by_name(
        self, settings: dict[str, Any], passed: dict[str, Any]
    ) -> None:
        prepared = prepare(Model("openai/small", **settings), read(ASKED, {}), {}, ROUTERS)
        assert prepared.arguments == passed

    def test_a_chat_model_of_ones_own_keeps_its_time_and_key(self) -> None:
        asked = read(ASKED, {"temperature": 0.5})
        assert prepare(own(), asked, {}, ROUTERS).arguments == {"temperature": 0.5}

    def test_the_calls_own_arguments_come_before_the_routers(self) -> None:
        prepared = prepare(Model("openai/small"), read(ASKED, {"timeout": 1}), {}, Inherited(30))
        assert prepared.arguments == {"timeout": 1}


class TestACallThatNobodySees:
    def test_does_not_stream(self) -> None:
        hidden = prepare(own(streaming=True), read(ASKED, {}), {}, ROUTERS, hidden=True).model
        assert (hidden.disable_streaming, hidden.streaming) == (True, False)
        seen = prepare(own(streaming=True), read(ASKED, {}), {}, ROUTERS).model
        assert (seen.disable_streaming, seen.streaming) == (False, True)

    def test_that_is_a_sample_is_never_from_a_cache(self) -> None:
        for hidden, purpose, cache in (
            (True, "sample", False),
            (True, "draft", CACHE),
            (False, "answer", CACHE),
        ):
            asked = read(ASKED, {})
            found = prepare(own(), asked, {}, ROUTERS, hidden=hidden, purpose=purpose).model
            assert found.cache is cache

    def test_has_no_handler_that_carries_tokens(self) -> None:
        class Carrier(BaseCallbackHandler, _StreamingCallbackHandler):  # type: ignore[misc]
            def tap_output_aiter(self, run_id: Any, output: Any) -> Any: ...
            def tap_output_iter(self, run_id: Any, output: Any) -> Any: ...

        carrier, counter, run = Carrier(), BaseCallbackHandler(), uuid4()
        given: Any = {"callbacks": [carrier, counter], "tags": ["mine"], "run_id": run}
        quiet = without_streaming(given)
        assert quiet == {"callbacks": [counter], "tags": ["mine", NO_STREAM]}
        assert given["callbacks"] == [carrier, counter]

        plain = without_streaming({"callbacks": [counter], "run_id": run})
        assert (plain["callbacks"], plain["run_id"]) == ([counter], run)
        assert without_streaming({})["tags"] == [NO_STREAM]

        manager = CallbackManager([carrier, counter], inheritable_handlers=[carrier, counter])
        quiet = without_streaming({"callbacks": manager, "run_id": run})
        kept: Any = quiet["callbacks"]
        assert (kept.handlers, kept.inheritable_handlers) == ([counter], [counter])
        assert "run_id" not in quiet
        assert manager.handlers == [carrier, counter]


class TestWhatIsBound:
    def test_tools_with_their_options(self) -> None:
        tools = BoundTools.of([multiply], tool_choice="any")
        asked = read(ASKED, {TOOLS_ARGUMENT: tools, "temperature": 0.5})
        prepared = prepare(own(), asked, {"tags": ["mine"]}, Inherited(30))
        assert isinstance(prepared.model, ChatOpenAI)
        assert prepared.config["tags"] == ["mine"]
        assert prepared.arguments["temperature"] == 0.5
        assert prepared.arguments["tool_choice"] == "required"
        assert prepared.arguments["tools"][0]["function"]["name"] == "multiply"

    @pytest.mark.parametrize("raw", [False, True])
    def test_a_schema_whose_call_gets_the_arguments_too(self, raw: bool) -> None:
        bound = BoundSchema.of(Sum, include_raw=raw)
        asked = read(ASKED, {"temperature": 0.5}, bound)
        prepared = prepare(own(), asked, {}, Inherited(30))
        if raw:
            first = prepared.model.first.steps__["raw"]
            assert (first.kwargs["temperature"], prepared.arguments) == (0.5, {})
        else:
            assert prepared.arguments == {"temperature": 0.5}


def test_only_members_by_name_need_to_be_warmed_up() -> None:
    assert is_warm(own())
    member = Model("openai/small")
    warm_up(member)
    assert is_warm(member)


def request_calls(schema: BoundSchema | None = None, **changes: Any) -> RequestCalls:
    settings: dict[str, Any] = {
        "pool": ModelPool([own(), Model("big", input_price=1, output_price=1)]),
        "request": read(ASKED, {"stream": True}, schema),
        "decision": decision("small", "big"),
        "given": {},
        "config": OwnConfig(None, None, None),
        "inherited": Inherited(30),
        "empty_stream_fails": False,
        "note": lambda ask, result: None,
        "handling": None,
        **changes,
    }
    return RequestCalls(**settings)


class TestTheCallsOfARequest:
    def test_say_in_traces_what_they_are_for(self) -> None:
        mine, yours, both = (BaseCallbackHandler() for _ in range(3))
        config = OwnConfig(["mine"], {"team": "a"}, [mine, both])
        given: Any = {"tags": ["yours"], "metadata": {"user": 1}, "callbacks": [yours, both]}
        made = decision("small", "big")
        merged = config.merged(given, Ask("big", "fallback", attempt=2), made)
        assert sorted(merged["tags"]) == ["mine", "route:big", "yours"]
        assert merged["metadata"] == {
            "team": "a",
            "user": 1,
            "llmroute_model": "big",
            "llmroute_purpose": "fallback",
            "llmroute_attempt": 2,
            "llmroute_chosen": "small",
            "llmroute_policy": "test",
            "llmroute_router": "test",
        }
        assert merged["callbacks"] == [mine, yours, both]

        manager = CallbackManager([yours, both])
        managed: Any = config.merged({"callbacks": manager}, HIDDEN, made)["callbacks"]
        assert managed.handlers == [yours, both, mine]
        alone = OwnConfig(None, None, None).merged({}, HIDDEN, made)
        assert (alone["tags"], "callbacks" in alone) == (["route:small"], False)

    def test_the_callers_run_id_is_the_first_calls(self) -> None:
        run = uuid4()
        calls = request_calls(given={"run_id": run})
        first, second = calls.begin(Ask("small", "answer")), calls.begin(Ask("big", "fallback"))
        assert first.prepared.config["run_id"] == run
        assert "run_id" not in second.prepared.config

    def test_that_are_hidden_differ_from_the_request_and_the_others_do_not(self) -> None:
        calls, warmer = request_calls(), Variation({"temperature": 0.7})
        draft = calls.begin(Ask("small", "sample", hidden=True, variation=warmer)).prepared
        assert draft.arguments == {"temperature": 0.7}
        assert NO_STREAM in draft.config["tags"]
        assert draft.model.disable_streaming is True
        answer = calls.begin(Ask("small", "answer", variation=warmer)).prepared
        assert answer.arguments == {"stream": True}
        assert NO_STREAM not in answer.config["tags"]

    def test_are_noted_however_they_end(self) -> None:
        noted: list[tuple[str, Any]] = []
        calls = request_calls(note=lambda ask, result: noted.append((ask.model, result)))
        attempt = calls.begin(Ask("small", "answer"))
        came = attempt.returned(AIMessage("hello"))
        assert came.value.text == "hello"
        failure = RuntimeError("slow down")
        failure.status_code = 429  # type: ignore[attr-defined]
        failed = attempt.raised(failure)
        assert isinstance(failed.error, RateLimited)
        assert failed.error.model == "small"
        assert noted == [("small", came), ("small", failed)]
        with pytest.raises(ZeroDivisionError):  # a bug is no answer
            attempt.raised(ZeroDivisionError())

    @pytest.mark.parametrize("raw", [None, False, True])
    def test_an_accepted_draft_is_called_in_the_models_place(self, raw: bool | None) -> None:
        message = AIMessage("42")
        value: Any = message if raw is None else {"raw": message, "parsed": 42}
        options = {} if raw is None else {"include_raw": raw}
        schema = None if raw is None else BoundSchema.of({"title": "Sum"}, **options)
        calls = request_calls(schema, given={"tags": ["mine"]})
        draft = calls.accepted_draft(Answered(HIDDEN, CallResult(0.1, value)))
        assert draft.model == AcceptedDraft(message, 42 if raw is False else value)
        assert draft.messages == ASKED
        assert draft.config["tags"] == ["mine", "route:small"]
        assert draft.arguments == {}

    def test_end_in_what_the_callers_method_made_of_the_answer(self) -> None:
        before = Answered(HIDDEN, CallResult(0.1, "draft"), escalated=True)
        after = with_value(before, "answer")
        assert (after.result.value, after.result.latency_s, after.escalated) == (
            "answer",
            0.1,
            True,
        )


def test_a_config_is_given_to_generate_in_parts() -> None:
    given: Any = {"tags": ["a"], "run_name": "mine", "configurable": {"x": 1}}
    assert config_kwargs(given) == {
        "callbacks": None,
        "tags": ["a"],
        "metadata": None,
        "run_name": "mine",
        "run_id": None,
    }
