"""An agent of five steps with two tools, routed step by step and watched as it runs.

Small guesses in every second step; the rule rejects guesses, and the big model takes the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import add_usage
from langchain_core.tools import tool
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langchain_core.tracers.schemas import Run

from llmroute import CheapestAbove
from llmroute.middleware import RouterMiddleware
from llmroute.testing import ChatRequest, Reply, ScriptedModel, ScriptedProvider, ToolCall

from .conftest import PRICES, WordScorer
from .escalation.conftest import pool_of

QUESTION = {"messages": [("user", "How far is it around the world, there and back?")]}
STEPS = 5
PLAN = ["look_up", "double", "look_up", "double"]
GUESS = "I guess"


@tool
def look_up(topic: str) -> str:
    """Look something up."""
    return f"{topic} is 20,000"


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def script(model: str) -> Any:
    """What a model says in each step of the plan, whoever took the steps before."""

    def say(request: ChatRequest) -> Reply:
        step = sum(message["role"] == "tool" for message in request.messages)
        words = f"{GUESS} in step {step}" if model == "small" and step % 2 else f"Step {step}"
        if step == len(PLAN):
            return Reply("It is 40,000 kilometres, I know.")
        name = PLAN[step]
        arguments = {"topic": f"fact {step}"} if name == "look_up" else {"number": step}
        return Reply(f"{words} by {model}.", tool_calls=[ToolCall(name, arguments)])

    return say


def is_a_guess(message: AIMessage) -> bool:
    return GUESS in message.text


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedProvider]:
    models = [
        ScriptedModel(name, input_price=i, output_price=o, reply=script(name))
        for name, (i, o) in PRICES.items()
    ]
    with ScriptedProvider(models) as provider:
        yield provider


def agent_over(provider: ScriptedProvider, kind: str) -> Any:
    """The agent, over members of one kind."""
    router = RouterMiddleware(
        pool=pool_of(provider, kind),
        scorer=WordScorer(),
        policy=CheapestAbove(quality=0.9),
        escalation=is_a_guess,
        max_retries=0,
    )
    return create_agent(router.router, [look_up, double], middleware=[router])


@dataclass
class Watched:
    """What was seen of one run of the agent.

    Attributes:
        shown: What the messages mode streamed.
        state: The agent's state at the end.
        runs: The provider calls in the trace, in order.
        usage: Tokens as `UsageMetadataCallbackHandler` counted them, all models together.
        provider: What was asked of it.
    """

    shown: list[BaseMessage]
    state: dict[str, Any]
    runs: list[Run]
    usage: dict[str, int]
    provider: ScriptedProvider

    @property
    def answers(self) -> list[AIMessage]:
        """The agent's messages, one a step."""
        return [m for m in self.state["messages"] if isinstance(m, AIMessage)]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        return list(self.state["llmroute_decisions"])


@pytest.fixture(scope="module", params=["stream", "astream"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["litellm", "openai"])
async def watched(request: pytest.FixtureRequest, way: str, running: ScriptedProvider) -> Watched:
    """One run of the agent, in messages mode, with a tracer and a usage counter."""
    running.clear()
    agent = agent_over(running, request.param)
    trace, usage = RunCollectorCallbackHandler(), UsageMetadataCallbackHandler()
    modes: Any = ["messages", "values"]
    config: Any = {"callbacks": [trace, usage]}
    if way == "stream":
        parts = list(agent.stream(QUESTION, config, stream_mode=modes))
    else:
        parts = [part async for part in agent.astream(QUESTION, config, stream_mode=modes)]
    return Watched(
        shown=[part[0] for mode, part in parts if mode == "messages"],
        state=next(part for mode, part in reversed(parts) if mode == "values"),
        runs=list(provider_calls(trace.traced_runs)),
        usage=_summed(usage.usage_metadata.values()),
        provider=running,
    )


def provider_calls(runs: list[Run]) -> Iterator[Run]:
    """The leaves of a trace that are calls of a model."""
    for run in runs:
        if run.run_type in ("llm", "chat_model"):
            yield run
        yield from provider_calls(run.child_runs)


def _summed(usages: Any) -> dict[str, int]:
    total: Any = None
    for usage in usages:
        total = add_usage(total, usage)
    return _tokens(total)


def _tokens(usage: Any) -> dict[str, int]:
    return {name: usage[name] for name in ("input_tokens", "output_tokens")}


def test_every_step_is_routed_and_recorded(watched: Watched) -> None:
    assert len(watched.answers) == len(watched.decisions) == STEPS
    assert watched.decisions == [a.response_metadata["llmroute"] for a in watched.answers]
    first, second = watched.decisions[:2]
    assert first["answered_by"] == "small"
    assert second["answered_by"] == "big"
    assert second["escalated"]


def test_both_tools_were_called_as_the_accepted_answers_say(watched: Watched) -> None:
    results = [m.name for m in watched.state["messages"] if isinstance(m, ToolMessage)]
    assert results == PLAN


def test_no_word_of_a_rejected_draft_is_shown(watched: Watched) -> None:
    rejected = sum(d["escalated"] for d in watched.decisions)
    assert rejected >= 1
    everything = "".join(m.text + str(m.additional_kwargs) for m in watched.shown)
    assert GUESS not in everything
    assert GUESS not in str(watched.state)


def test_every_accepted_answer_is_shown_once(watched: Watched) -> None:
    shown: dict[str, Any] = {}
    for chunk in watched.shown:
        if isinstance(chunk, AIMessageChunk):
            key = str(chunk.id).removesuffix("-0")  # a message of one run; whole or in chunks
            shown[key] = shown[key] + chunk if key in shown else chunk
    assert [m.text for m in shown.values()] == [a.text for a in watched.answers]
    assert [c["name"] for m in shown.values() for c in m.tool_calls] == PLAN
    assert [_tokens(m.usage_metadata) for m in shown.values()] == [
        _tokens(a.usage_metadata) for a in watched.answers
    ]


def test_usage_is_counted_once_a_provider_call(watched: Watched) -> None:
    calls = [call for d in watched.decisions for call in d["calls"]]
    assert len(calls) == len(watched.provider.requests)
    assert watched.usage == {
        "input_tokens": sum(call["prompt_tokens"] for call in calls),
        "output_tokens": sum(call["completion_tokens"] for call in calls),
    }


def test_the_messages_hold_the_usage_of_the_answers_alone(watched: Watched) -> None:
    answering = [d["calls"][-1] for d in watched.decisions]
    assert _summed(a.usage_metadata for a in watched.answers) == {
        "input_tokens": sum(call["prompt_tokens"] for call in answering),
        "output_tokens": sum(call["completion_tokens"] for call in answering),
    }


def test_the_trace_names_the_model_that_answered_each_step(watched: Watched) -> None:
    calls = [call["model"] for d in watched.decisions for call in d["calls"]]
    named = [run.extra["metadata"] for run in watched.runs]
    assert [metadata["llmroute_model"] for metadata in named] == calls
    assert [metadata["ls_model_name"].removeprefix("openai/") for metadata in named] == calls
    answered = iter(watched.decisions)
    for run in watched.runs:
        message = run.outputs["generations"][0][0]["message"]
        text = message["kwargs"]["content"] if isinstance(message, dict) else message.content
        if GUESS not in text:
            assert run.extra["metadata"]["llmroute_model"] == next(answered)["answered_by"]


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
async def test_v3_events_show_the_same(running: ScriptedProvider, way: str) -> None:
    agent = agent_over(running, "openai")
    if way == "stream":
        run = agent.stream_events(QUESTION, version="v3")
        shown = [str(message.text) for message in run.messages]
        state = run.output
    else:
        run = await agent.astream_events(QUESTION, version="v3")
        shown = [str(await message.text) async for message in run.messages]
        state = await run.output()
    assert shown == [m.text for m in state["messages"] if isinstance(m, AIMessage)]
    assert len(state["llmroute_decisions"]) == STEPS
