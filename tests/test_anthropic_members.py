"""Members that speak Anthropic's protocol: what is counted, and how they fail, over real HTTP."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from llmroute import Model, ModelPool, RouterChain
from llmroute.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextWindowExceeded,
    InvalidRequest,
    ModelNotFound,
    ProviderUnavailable,
    RateLimited,
    StreamInterrupted,
)
from llmroute.testing import Fault, Reply, ScriptedModel, ScriptedProvider
from tests.conftest import KEY

langchain_anthropic = pytest.importorskip("langchain_anthropic")
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

CLAUDE = "claude-sonnet-4-5"
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}


def reply(request: Any) -> Reply:
    return Reply("It is so.", reasoning="Is it?", cached_tokens=2, cache_written_tokens=1)


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider([ScriptedModel(CLAUDE, reply=reply)]) as running:
        yield running


@pytest.fixture(params=["LiteLLM", "ChatAnthropic"])
def member(request: pytest.FixtureRequest, provider: ScriptedProvider) -> Model:
    provider.clear()
    prices = {"input_price": 3.0, "cached_input_price": 0.3, "output_price": 15.0}
    if request.param == "LiteLLM":
        url = provider.anthropic_url
        named = {"model": f"anthropic/{CLAUDE}", "api_base": url, "api_key": KEY}
        return Model("claude", **named, params=THINKING, **prices)
    chat: BaseChatModel = langchain_anthropic.ChatAnthropic(
        model=CLAUDE, base_url=provider.anthropic_url, api_key=KEY, max_retries=0, **THINKING
    )
    return Model("claude", chat_model=chat, **prices)


@pytest.fixture
def router(member: Model) -> RouterChain:
    return RouterChain(pool=ModelPool([member]), escalation=None, max_retries=0, cooldown=None)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_is_read_from_and_put_into_the_cache_is_counted(router, streamed):
    answer = reduce(add, router.stream("Is it?")) if streamed else router.invoke("Is it?")
    usage = answer.usage_metadata
    assert usage["input_tokens"] == 6  # "Is", "it" and "?", and 3 for the message
    details = usage["input_token_details"]
    assert (details["cache_read"], details["cache_creation"]) == (2, 1)
    (call,) = answer.response_metadata["llmroute"]["calls"]
    assert (call["prompt_tokens"], call["cached_tokens"]) == (6, 2)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.rate_limit(), RateLimited),
        (Fault.overloaded(), ProviderUnavailable),
        (Fault.server_error(), ProviderUnavailable),
        (Fault.disconnect(), ProviderUnavailable),
        (Fault.unauthorized(), AuthenticationFailed),
        (Fault.forbidden(), AuthenticationFailed),
        (Fault.not_found(), ModelNotFound),
        (Fault.context_window(), ContextWindowExceeded),
        (Fault.content_policy(), ContentRefused),
        (Fault.bad_request(), InvalidRequest),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_failure_is_called_by_its_name(provider, router, fault, error, streamed):
    provider.fail(CLAUDE, fault)
    with pytest.raises(error) as raised:
        list(router.stream("Is it?")) if streamed else router.invoke("Is it?")
    assert KEY not in str(raised.value)


def test_an_error_in_a_stream_is_noticed(provider, router):
    provider.fail(CLAUDE, Fault.error_in_stream(after=6))
    with pytest.raises(StreamInterrupted):
        list(router.stream("Is it?"))


@pytest.mark.parametrize("close", ["clean", "reset"])
def test_a_cut_stream_is_noticed(provider, router, close):
    provider.fail(CLAUDE, Fault.cut_stream(after=6, close=close))
    with pytest.raises(StreamInterrupted) as raised:
        list(router.stream("Is it?"))
    assert raised.value.partial == "It is"


def _suspended() -> int:
    """Generators that read a provider's lines and still hold its connection."""
    generators = (types.GeneratorType, types.AsyncGeneratorType)
    return sum(
        isinstance(thing, generators)
        and thing.__qualname__.endswith("iter_lines")
        and (getattr(thing, "gi_frame", None) or getattr(thing, "ag_frame", None)) is not None
        for thing in gc.get_objects()
    )


@pytest.mark.parametrize("member", ["LiteLLM"], indirect=True)
async def test_a_stream_leaves_no_connection_to_the_garbage_collector(router):
    """It may come while the pool of connections is locked, and then waits for itself."""
    gc.collect()
    before = _suspended()
    gc.disable()
    try:
        list(router.stream("Is it?"))
        left = router.stream("Is it?")
        next(left)
        left.close()
        _ = [chunk async for chunk in router.astream("Is it?")]
        aleft = router.astream("Is it?")
        await anext(aleft)
        await aleft.aclose()
        assert _suspended() == before
    finally:
        gc.enable()
