"""The routing algorithm itself, without any I/O: what it asks for next, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute import Decision, Model, ModelPool
from llmroute.engine.flow import (
    Answered,
    Ask,
    CallResult,
    Talk,
    Together,
    Usage,
    Wait,
    answer,
    call_record,
    complete,
)
from llmroute.engine.retry import Retry
from llmroute.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    ContextWindowExceeded,
    EmptyAnswer,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
)
from llmroute.records import CallRecord, ModelEstimate

POOL = ModelPool(
    [
        Model("small", input_price=1, output_price=2, cached_input_price=0.5),
        Model("big", input_price=10, output_price=20, cached_input_price=1),
        Model("unpriced/model"),
    ]
)


def decision(*ranking: str) -> Decision:
    return Decision(
        chosen=ranking[0],
        policy={"name": "test"},
        reason="because",
        estimates={n: ModelEstimate(quality=0.5, cost=1.0, tokens=50.0) for n in POOL.names},
        excluded={},
        unfamiliar=False,
        strongest="big",
        ranking=ranking,
        prompt_tokens=100,
        decision_us=1.0,
        router="test",
        version="0",
    )


def completed(*calls: CallRecord) -> Decision:
    """The decision after these calls, the last of which answered."""
    *before, last = calls
    answered = Answered(Ask(last.model, "answer"), CallResult(0.1), before)
    return complete(decision("small"), answered, POOL, last)


def play(
    ranking: tuple[str, ...], script: list[Any], retry: Retry | None = None
) -> tuple[Any, Any]:
    """Run the flow against a script of replies; the steps it took, and how it ended."""
    steps: list[Any] = []
    flow = answer(decision(*ranking), POOL, retry or Retry(times=0))
    replies = iter(script)
    try:
        step = next(flow)
        while True:
            steps.append(step)
            if isinstance(step, Wait):
                step = flow.send(None)
                continue
            given_reply = next(replies)
            if isinstance(given_reply, ProviderError):
                step = flow.send(CallResult(0.1, error=given_reply))
            else:
                step = flow.send(CallResult(0.1, value=given_reply, usage=Usage(10, 5)))
    except StopIteration as end:
        return steps, end.value
    except Exception as error:
        return steps, error


def asked(steps: list[Any]) -> list[str]:
    return [s.model for s in steps if isinstance(s, Ask)]


def test_one_good_answer_is_the_end() -> None:
    steps, end = play(("small", "big"), ["fine"])
    assert steps == [Ask("small", "answer", 0)]
    assert isinstance(end, Answered)
    assert end.result.value == "fine"
    assert end.calls == []


def test_a_failure_goes_on_to_the_next_model() -> None:
    steps, end = play(("small", "big"), [ProviderTimeout("slow"), "fine"])
    assert steps == [Ask("small", "answer", 0), Ask("big", "fallback", 0)]
    assert [c.status for c in end.calls] == ["timeout"]


@pytest.mark.parametrize("error", [AuthenticationFailed("no"), ProviderError("strange")])
def test_an_error_nobody_else_would_cure_ends_it(error: ProviderError) -> None:
    steps, end = play(("small", "big"), [error])
    assert asked(steps) == ["small"]
    assert end is error
    assert len(end.calls) == 1


def test_a_too_long_prompt_goes_on() -> None:
    assert asked(play(("small", "big"), [ContextWindowExceeded("long"), "fine"])[0]) == [
        "small",
        "big",
    ]


class TestRetry:
    def test_waits_as_long_as_the_provider_says(self) -> None:
        retry = Retry(times=1, max_wait_s=5)
        steps, _ = play(("small",), [RateLimited("busy", retry_after=3.0), "fine"], retry)
        assert steps == [Ask("small", "answer", 0), Wait(3.0), Ask("small", "answer", 1)]

    def test_waits_half_a_second_and_twice_as_long_each_time_with_jitter(self) -> None:
        retry = Retry(times=9)
        for attempt, longest in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 8.0)):
            waits = [retry.wait(attempt, ProviderUnavailable("down")) for _ in range(200)]
            assert longest / 2 <= min(waits) < longest * 0.55
            assert longest * 0.95 < max(waits) <= longest
        assert Retry(times=0).wait(0, ProviderUnavailable("down")) is None
        assert Retry(max_wait_s=3).wait(0, RateLimited("busy", retry_after=3)) == 3
        assert Retry(max_wait_s=3).wait(0, RateLimited("busy", retry_after=3.1)) is None

    def test_does_not_wait_longer_than_allowed(self) -> None:
        retry = Retry(times=1, max_wait_s=5)
        steps, _ = play(("small", "big"), [RateLimited("busy", retry_after=6.0), "fine"], retry)
        assert asked(steps) == ["small", "big"]

    @given(
        attempt=st.integers(0, 20),
        times=st.integers(0, 20),
        base=st.floats(0.01, 10),
        limit=st.floats(0, 60),
    )
    def test_backoff_grows_within_its_limit(
        self, attempt: int, times: int, base: float, limit: float
    ) -> None:
        retry = Retry(times=times, base_s=base, max_wait_s=limit)
        wait = retry.wait(attempt, ProviderUnavailable("down"))
        if attempt >= times:
            assert wait is None
        else:
            assert wait is not None
            assert 0 <= wait <= min(base * 2**attempt, limit)

    def test_what_will_not_pass_is_not_tried_again(self) -> None:
        assert Retry(times=5).wait(0, EmptyAnswer("nothing")) is None
        assert Retry(times=5).wait(0, ProviderTimeout("slow")) is None


class TestSeveralCallsAtOnce:
    def test_those_that_failed_are_in_the_record_only(self) -> None:
        talk = Talk(decision("small", "big"), POOL, Retry())
        asks = [Ask("small", "sample", hidden=True), Ask("big", "sample", hidden=True)]
        flow = talk.together(asks)
        assert next(flow) == Together(tuple(asks))
        with pytest.raises(StopIteration) as end:
            flow.send([CallResult(0.3, error=RateLimited("busy")), CallResult(0.5, "fine")])
        (answered,) = end.value.value
        assert (answered.ask, answered.result.value) == (asks[1], "fine")
        assert [(c.model, c.status, c.purpose) for c in talk.calls] == [
            ("small", "rate_limited", "sample"),
            ("big", "ok", "sample"),
        ]
        assert answered.accepted is talk.calls[1]
        assert talk.elapsed_s == 0.5  # they were made at once

    def test_time_is_that_of_calls_and_waits(self) -> None:
        talk = Talk(decision("small", "big"), POOL, Retry(times=1))
        flow = talk.ask(Ask("small", "answer"))
        next(flow)
        assert flow.send(CallResult(0.25, error=RateLimited("busy", retry_after=2))) == Wait(2)
        assert flow.send(None) == Ask("small", "answer", attempt=1)
        with pytest.raises(StopIteration):
            flow.send(CallResult(0.5, "fine"))
        assert talk.elapsed_s == 2.75


class TestTheEnd:
    def test_of_a_ranking_of_one_is_its_own_error(self) -> None:
        _, end = play(("small",), [EmptyAnswer("nothing")])
        assert isinstance(end, EmptyAnswer)
        assert [c.status for c in end.calls] == ["empty"]

    def test_of_several_lists_them_all(self) -> None:
        _, end = play(("small", "big"), [EmptyAnswer("nothing"), RateLimited("busy")])
        assert isinstance(end, AllModelsFailed)
        assert [(c.model, c.status) for c in end.calls] == [
            ("small", "empty"),
            ("big", "rate_limited"),
        ]


@given(
    script=st.lists(
        st.sampled_from(
            ["fine", RateLimited("a", retry_after=0), ProviderTimeout("b"), EmptyAnswer("c")]
        ),
        min_size=20,
        max_size=20,
    ),
    times=st.integers(0, 3),
)
def test_the_flow_always_ends_and_asks_no_model_too_often(script: list[Any], times: int) -> None:
    ranking = ("small", "big", "unpriced/model")
    steps, end = play(ranking, script, Retry(times=times))
    assert isinstance(end, (Answered, AllModelsFailed))
    assert all(asked(steps).count(name) <= times + 1 for name in ranking)
    order = list(dict.fromkeys(asked(steps)))
    assert order == list(ranking[: len(order)])
    if isinstance(end, AllModelsFailed):
        assert len(end.calls) == len(asked(steps))


class TestCost:
    def cost(self, result: CallResult, model: str = "small") -> Any:
        return call_record(Ask(model, "answer", 0), result, decision("small"), POOL)

    def test_is_the_usage_at_the_pools_prices(self) -> None:
        call = self.cost(CallResult(0.1, usage=Usage(1000, 500)))
        assert call.cost_usd == pytest.approx(0.002)
        assert not call.cost_is_estimated

    def test_without_usage_is_the_scorers_guess_and_says_so(self) -> None:
        call = self.cost(CallResult(0.1))
        assert call.cost_usd == pytest.approx((100 * 1 + 50 * 2) / 1e6)
        assert call.cost_is_estimated
        assert call.prompt_tokens is None

    def test_of_a_refused_call_is_nothing(self) -> None:
        call = self.cost(CallResult(0.1, error=RateLimited("busy")))
        assert call.cost_usd == 0
        assert not call.cost_is_estimated

    def test_of_a_call_that_may_have_generated_is_at_least_its_prompt(self) -> None:
        call = self.cost(CallResult(0.1, error=ProviderTimeout("slow")))
        assert call.cost_usd == pytest.approx(100 / 1e6)
        assert call.cost_is_estimated

    def test_of_an_unpriced_model_is_unknown(self) -> None:
        assert self.cost(CallResult(0.1, usage=Usage(10, 10)), "unpriced/model").cost_usd is None

    def test_of_a_cached_answer_is_nothing(self) -> None:
        assert self.cost(CallResult(0.1, usage=Usage(10, 10, from_cache=True))).cost_usd == 0

    def test_of_the_whole_request_is_unknown_when_one_call_is(self) -> None:
        known = self.cost(CallResult(0.1, usage=Usage(10, 10)))
        unknown = self.cost(CallResult(0.1, usage=Usage(10, 10)), "unpriced/model")
        assert completed(unknown, known).cost_usd is None
        assert completed(known, known).cost_usd == pytest.approx(2 * known.cost_usd)

    def test_the_saving_is_against_the_strongest_on_the_same_tokens(self) -> None:
        call = self.cost(CallResult(0.1, usage=Usage(1000, 500)))
        assert completed(call).saved_usd == pytest.approx(0.02 - 0.002)

    def test_the_strongest_would_have_found_as_much_of_the_prompt_in_its_cache(self) -> None:
        call = self.cost(CallResult(0.1, usage=Usage(1000, 500, cached_tokens=800)))
        # 200 tokens at the price of input, 800 at that of cached input, 500 of output.
        assert call.cost_usd == pytest.approx((200 * 1 + 800 * 0.5 + 500 * 2) / 1e6)
        strongest = (200 * 10 + 800 * 1 + 500 * 20) / 1e6
        assert completed(call).saved_usd == pytest.approx(strongest - call.cost_usd)

    def test_the_strongest_models_own_answer_saves_nothing_but_costs_what_came_before(self) -> None:
        draft = self.cost(CallResult(0.1, usage=Usage(1000, 500)))
        answer = self.cost(CallResult(0.1, usage=Usage(1000, 500)), "big")
        assert completed(answer).saved_usd == 0
        assert completed(draft, answer).saved_usd == pytest.approx(-draft.cost_usd)
