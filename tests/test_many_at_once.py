"""Five hundred requests at once, one call in ten failing: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from llmroute import ModelPool, RouterChain
from llmroute.testing import Fault, ScriptedProvider
from tests.conftest import PRICES, WordScorer

MakePool = Callable[..., ModelPool]

REQUESTS = 500
#: Faults that pass: the request goes on to another model, or is tried again.
FAULTS = (
    Fault.server_error(),
    Fault.rate_limit(),
    Fault.disconnect(),
    Fault.malformed_json(),
    Fault.overloaded(),
)
#: Calls that may fail without a fault.
A_FEW = REQUESTS // 50
#: An answer as if nothing had been.
NONE = Fault.slow(0.0)


@pytest.fixture(params=["litellm", "openai"])
def router(
    request: pytest.FixtureRequest, litellm_pool: MakePool, openai_pool: MakePool
) -> RouterChain:
    make = litellm_pool if request.param == "litellm" else openai_pool
    # Without cooldown, so that what is asked does not hang on the order of the answers.
    return RouterChain(
        pool=make(), scorer=WordScorer(), escalation=None, max_retries=0, cooldown=None
    )


async def test_no_answer_is_lost_and_none_is_crossed(
    router: RouterChain, provider: ScriptedProvider
) -> None:
    chance = random.Random(7)
    for model in PRICES:
        # Calls come in any order, so a request could meet a fault at every model it may be sent to.
        # The model in the middle never fails: there is an answer for each.
        share = 0.0 if model == "medium" else 0.1
        for _ in range(REQUESTS):
            provider.fail(model, chance.choice(FAULTS) if chance.random() < share else NONE)
    prompts = [f"{'a hard ' if i % 5 == 0 else ''}question number{i}" for i in range(REQUESTS)]

    answers: list[Any] = await asyncio.gather(*(router.ainvoke(p) for p in prompts))

    calls: Counter[str] = Counter()
    for prompt, answer in zip(prompts, answers, strict=True):
        assert re.search(rf"{prompt.split()[-1]}\b", answer.content), "another request's answer"
        record = answer.response_metadata["llmroute"]
        *failed, last = record["calls"]
        assert record["chosen"] == ("big" if "hard" in prompt else "small")
        assert all(call["status"] != "ok" for call in failed)
        assert last["status"] == "ok"
        assert last["model"] == record["answered_by"] == last["answered_by"]
        assert answer.usage_metadata["input_tokens"] == last["prompt_tokens"]
        calls.update(call["model"] for call in record["calls"])
    # The records and the provider's own journal agree on every call that reached it; on a machine
    # with too much work a connection may be lost before, or a call time out.
    journal = Counter(request.model for request in provider.requests)
    struck = sum(request.fault != NONE.name for request in provider.requests)
    failed_calls = sum(calls.values()) - REQUESTS
    assert all(journal[model] <= calls[model] for model in PRICES)
    assert sum((calls - journal).values()) <= A_FEW
    assert struck >= REQUESTS // 20
    assert struck <= failed_calls <= struck + A_FEW


async def test_connections_are_used_again(router: RouterChain, provider: ScriptedProvider) -> None:
    before = provider.connections
    for _ in range(5):
        await asyncio.gather(*(router.ainvoke(f"question {i}") for i in range(20)))
    # 100 calls, at most 20 at a time.
    assert provider.connections - before <= 25
