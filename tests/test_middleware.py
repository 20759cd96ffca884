"""RouterMiddleware in `create_agent`: what it records, and its place among other middleware.

Every test of a run is made sync and on an event loop, over HTTP to the scripted provider.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolSelectorMiddleware,
    ModelFallbackMiddleware,
    ModelRequest,
    ModelResponse,
    ModelRetryMiddleware,
    ProviderToolSearchMiddleware,
    SummarizationMiddleware,
    wrap_model_call,
)
from langchain.agents.middleware.context_editing import ClearToolUsesEdit
from langchain.agents.structured_output import (
    AutoStrategy,
    ProviderStrategy,
    ToolStrategy,
)
from langchain_core.messages import AIMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from llmroute import Capabilities, CheapestAbove, Model, ModelPool, RouterChain
from llmroute.errors import AllModelsFailed, ConfigurationError, ProviderUnavailable
from llmroute.middleware import RouterMiddleware
from llmroute.testing import ChatRequest, Fault, Reply, ScriptedModel, ScriptedProvider, ToolCall

from .conftest import KEY, PRICES, WordScorer
from .escalation.conftest import pool_of

Run = Callable[..., Awaitable[dict[str, Any]]]
Make = Callable[..., RouterMiddleware]

EASY = {"messages": [("user", "How much is 2 and 3?")]}
HARD = {"messages": [("user", "A hard sum: 2 and 3?")]}
THREAD: Any = {"configurable": {"thread_id": "thread 1"}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def script(model: str) -> Any:
    """One call of the tool, then an answer; structured output and summaries as they are asked."""

    def say(request: ChatRequest) -> Reply | None:
        names = [t["function"]["name"] for t in request.tools]
        if request.body.get("response_format") or names == ["Sum"] or "ToolSelection" in str(names):
            return None  # what an obliging model would say
        if "fail" in request.last_user and model != "spare":
            raise RuntimeError("as the prompt says")
        if request.last_role == "tool":
            return Reply(f"{model} says 5.")
        if "add" in names:
            return Reply(tool_calls=[ToolCall("add", {"a": 2, "b": 3})])
        return Reply(f"{model} says something.")

    return say


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedProvider]:
    prices = {**PRICES, "spare": (1.0, 4.0), "agents_own": (9.0, 9.0)}
    models = [
        ScriptedModel(name, input_price=i, output_price=o, reply=script(name))
        for name, (i, o) in prices.items()
    ]
    with ScriptedProvider(models) as provider:
        yield provider


@pytest.fixture
def provider(running: ScriptedProvider) -> Iterator[ScriptedProvider]:
    running.clear()
    yield running
    running.clear()


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an agent to its end."""

    async def run_it(agent: Any, *given: Any) -> dict[str, Any]:
        if request.param == "sync":
            return agent.invoke(*given)
        return await agent.ainvoke(*given)

    return run_it


@pytest.fixture
def chat(provider: ScriptedProvider) -> Callable[[str], Any]:
    """Makes a chat model of the provider that is no router."""
    from langchain_openai import ChatOpenAI

    def make(name: str) -> Any:
        return ChatOpenAI(
            model=name, base_url=provider.base_url, api_key=KEY, max_retries=0, timeout=5
        )

    return make


@pytest.fixture
def own(chat: Callable[[str], Any]) -> Any:
    """The agent's own model, which a router takes the place of."""
    return chat("agents_own")


@pytest.fixture
def router(provider: ScriptedProvider) -> Make:
    def make(**settings: Any) -> RouterMiddleware:
        settings = {
            "pool": pool_of(provider, "openai"),
            "scorer": WordScorer(),
            "policy": CheapestAbove(quality=0.9),
            "escalation": None,
            "max_retries": 0,
            **settings,
        }
        return RouterMiddleware(**settings)

    return make


def answers(state: dict[str, Any]) -> list[AIMessage]:
    return [m for m in state["messages"] if isinstance(m, AIMessage)]


def answered_by(state: dict[str, Any]) -> list[str | None]:
    return [d["answered_by"] for d in state["llmroute_decisions"]]


# ---- what it does


async def test_each_step_is_routed_in_place_of_the_agents_model(
    run: Run, own: Any, router: Make, provider: ScriptedProvider
) -> None:
    state = await run(create_agent(own, [add], middleware=[router()]), EASY)
    assert answers(state)[-1].text == "small says 5."
    assert [r.model for r in provider.requests] == ["small", "small"]


async def test_the_state_holds_the_record_of_each_step(run: Run, own: Any, router: Make) -> None:
    state = await run(create_agent(own, [add], middleware=[router()]), HARD)
    records = [a.response_metadata["llmroute"] for a in answers(state)]
    assert state["llmroute_decisions"] == records
    assert answered_by(state) == ["big", "big"]
    assert all(record["cost_usd"] > 0 for record in records)


async def test_records_add_up_over_the_turns_of_a_thread(run: Run, own: Any, router: Make) -> None:
    agent = create_agent(own, [add], middleware=[router()], checkpointer=InMemorySaver())
    await run(agent, EASY, THREAD)
    state = await run(agent, HARD, THREAD)
    assert len(state["llmroute_decisions"]) == len(answers(state)) == 4


def test_records_are_given_out_and_never_taken_in(own: Any, router: Make) -> None:
    agent = create_agent(own, [add], middleware=[router()])
    assert "llmroute_decisions" in agent.get_output_jsonschema()["properties"]
    assert "llmroute_decisions" not in agent.get_input_jsonschema()["properties"]


@pytest.mark.parametrize("mode", ["updates", "values", "messages"])
@pytest.mark.parametrize("on_a_loop", [False, True], ids=["stream", "astream"])
async def test_every_stream_mode_works(own: Any, router: Make, mode: Any, on_a_loop: bool) -> None:
    agent = create_agent(own, [add], middleware=[router()])
    if on_a_loop:
        parts: list[Any] = [part async for part in agent.astream(EASY, stream_mode=mode)]
    else:
        parts = list(agent.stream(EASY, stream_mode=mode))
    if mode == "messages":
        told = [m for m, about in parts if about["langgraph_node"] == "model"]
        assert "".join(m.text for m in told) == "small says 5."
        assert len([m for m in told if m.text]) > 1  # token by token
        return
    last = parts[-1]["model"] if mode == "updates" else parts[-1]
    assert last["messages"][-1].text == "small says 5."
    assert last["llmroute_decisions"][-1]["answered_by"] == "small"


async def test_the_router_sees_the_threads_config(run: Run, own: Any, router: Make) -> None:
    seen: list[Any] = []

    def note(message: AIMessage) -> bool:
        seen.append(ensure_config()["configurable"]["thread_id"])
        return False

    agent = create_agent(own, [add], middleware=[router(escalation=note)])
    await run(agent, EASY, THREAD)
    assert set(seen) == {"thread 1"}


async def test_runs_at_the_same_time_do_not_meet(own: Any, router: Make, chat: Any) -> None:
    """One middleware, many runs; every other one fails and is left to the fallback."""
    agent = create_agent(own, [add], middleware=[ModelFallbackMiddleware(chat("spare")), router()])
    prompts = [f"{'fail' if i % 2 else 'hard'}, number {i}" for i in range(40)]
    states = await asyncio.gather(*(agent.ainvoke({"messages": p}) for p in prompts))
    expected = [["spare"] * 2 if i % 2 else ["big"] * 2 for i in range(40)]
    assert [answered_by(s) for s in states] == expected


def test_steps_that_are_over_are_forgotten(
    own: Any, router: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmroute.middleware._STEPS", 2)
    middleware = router()
    agent = create_agent(own, [add], middleware=[middleware])
    for _ in range(3):
        assert answered_by(agent.invoke(EASY)) == ["small", "small"]
    assert len(middleware._first._ids) == 2


def test_a_router_may_be_given_whole(provider: ScriptedProvider) -> None:
    router = RouterChain(pool=pool_of(provider, "litellm"))
    assert RouterMiddleware(router=router).router is router


@pytest.mark.parametrize(
    "given",
    [{}, {"pool": ["a"], "router": "both"}, {"router": "no router"}],
    ids=["nothing", "both", "another object"],
)
def test_what_it_cannot_use_it_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"pool=.*RouterChain"):
        RouterMiddleware(**given)


def test_a_whole_router_takes_no_settings_beside_it(provider: ScriptedProvider) -> None:
    router = RouterChain(pool=pool_of(provider, "litellm"))
    with pytest.raises(ConfigurationError, match="nothing else"):
        RouterMiddleware(router=router, timeout=3)


def test_without_langchain_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['langchain'] = None; import llmroute.middleware"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingExtra" in done.stderr
    assert "pip install 'llmroute[langchain]'" in done.stderr


# ---- response formats


class Sum(BaseModel):
    """A sum."""

    total: int


def members(provider: ScriptedProvider, **can: bool) -> ModelPool:
    """LiteLLM members of which small can do JSON schemas or not, and big can."""
    return ModelPool(
        [
            Model(
                name,
                model=f"openai/{name}",
                api_base=provider.base_url,
                api_key=KEY,
                input_price=PRICES[name][0],
                output_price=PRICES[name][1],
                capabilities=Capabilities(tools=True, json_schema=can[name]),
            )
            for name in can
        ]
    )


@pytest.mark.parametrize("asked", [EASY, HARD], ids=["easy", "hard"])
async def test_a_schema_all_members_can_do_is_asked_of_the_provider(
    run: Run, own: Any, router: Make, provider: ScriptedProvider, asked: Any
) -> None:
    middleware = router(pool=members(provider, small=True, big=True))
    agent = create_agent(own, middleware=[middleware], response_format=AutoStrategy(Sum))
    state = await run(agent, asked)
    assert isinstance(state["structured_response"], Sum)
    assert provider.requests[-1].body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("asked", [EASY, HARD], ids=["easy", "hard"])
async def test_a_schema_one_member_cannot_do_is_asked_for_as_a_tool(
    run: Run, own: Any, router: Make, provider: ScriptedProvider, asked: Any
) -> None:
    middleware = router(pool=members(provider, small=False, big=True))
    agent = create_agent(own, middleware=[middleware], response_format=AutoStrategy(Sum))
    state = await run(agent, asked)
    assert isinstance(state["structured_response"], Sum)
    assert "response_format" not in provider.requests[-1].body
    assert answered_by(state) == ["small" if asked is EASY else "big"]


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy])
async def test_a_strategy_that_is_named_is_kept(
    run: Run, own: Any, router: Make, provider: ScriptedProvider, strategy: Any
) -> None:
    middleware = router(pool=members(provider, small=True, big=True))
    agent = create_agent(own, middleware=[middleware], response_format=strategy(Sum))
    assert isinstance((await run(agent, EASY))["structured_response"], Sum)
    of_the_provider = "response_format" in provider.requests[-1].body
    assert of_the_provider is (strategy is ProviderStrategy)


# ---- among other middleware, in either order


@pytest.fixture(params=["router outside", "router inside"])
def order(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """Puts the router before the other middleware, or after it."""

    def make(router: RouterMiddleware, other: Any) -> list[Any]:
        return [router, other] if request.param == "router outside" else [other, router]

    return make


Order = Callable[[RouterMiddleware, Any], list[Any]]


async def test_a_fallback_answers_when_no_member_does(
    run: Run, own: Any, router: Make, chat: Any, order: Order, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error())
    both = order(
        router(pool=_only(provider, "small")),
        ModelFallbackMiddleware(chat("spare")),
    )
    state = await run(create_agent(own, [add], middleware=both), EASY)
    assert answered_by(state) == ["spare", "small"]
    stood_in, routed = state["llmroute_decisions"]
    assert stood_in["chosen"] is None
    assert "another middleware" in stood_in["reason"]
    assert routed["chosen"] == "small"


async def test_the_second_fallback_has_its_turn(
    run: Run, own: Any, router: Make, chat: Any, order: Order, provider: ScriptedProvider
) -> None:
    for name in ("small", "medium"):
        provider.fail(name, Fault.server_error())
    fallbacks = ModelFallbackMiddleware(chat("medium"), chat("spare"))
    both = order(router(pool=_only(provider, "small")), fallbacks)
    state = await run(create_agent(own, [add], middleware=both), EASY)
    assert answered_by(state) == ["spare", "small"]


async def test_a_retry_routes_again(
    run: Run, own: Any, router: Make, order: Order, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error())
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    both = order(router(pool=_only(provider, "small")), retry)
    state = await run(create_agent(own, [add], middleware=both), EASY)
    assert answered_by(state) == ["small", "small"]
    assert [r.model for r in provider.requests] == ["small"] * 3


async def test_retry_fallback_and_router_together(
    run: Run, own: Any, router: Make, chat: Any, provider: ScriptedProvider
) -> None:
    """A retry outside both begins anew: with the router, not with the last model that was asked."""
    for name in ("small", "spare"):
        provider.fail(name, Fault.server_error())
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    three = [retry, ModelFallbackMiddleware(chat("spare")), router(pool=_only(provider, "small"))]
    state = await run(create_agent(own, [add], middleware=three), EASY)
    assert [r.model for r in provider.requests] == ["small", "spare", "small", "small"]
    assert answered_by(state) == ["small", "small"]


async def test_a_retry_that_gives_up_with_words_of_its_own(
    run: Run, own: Any, router: Make, order: Order, provider: ScriptedProvider
) -> None:
    provider.fail("small", Fault.server_error(), times=None)
    retry = ModelRetryMiddleware(max_retries=0, on_failure=lambda error: "Sorry.")
    both = order(router(pool=_only(provider, "small")), retry)
    state = await run(create_agent(own, [add], middleware=both), EASY)
    assert answers(state)[-1].text == "Sorry."
    assert [d["chosen"] for d in state.get("llmroute_decisions", [])] in ([], [None])


async def test_without_a_fallback_the_routers_error_is_raised(
    run: Run, own: Any, router: Make, provider: ScriptedProvider
) -> None:
    for name in PRICES:
        provider.fail(name, Fault.server_error())
    with pytest.raises(AllModelsFailed):
        await run(create_agent(own, [add], middleware=[router()]), EASY)


async def test_a_step_that_failed_is_routed_when_the_thread_goes_on(
    run: Run, router: Make, chat: Any, provider: ScriptedProvider
) -> None:
    """In an agent made anew, as servers do, whose own model is another object."""
    provider.fail("small", Fault.server_error())
    middleware, saver = router(pool=_only(provider, "small")), InMemorySaver()

    def agent() -> Any:
        own = chat("agents_own")
        return create_agent(own, [add], middleware=[middleware], checkpointer=saver)

    with pytest.raises(ProviderUnavailable):
        await run(agent(), EASY, THREAD)
    state = await run(agent(), None, THREAD)
    assert answered_by(state) == ["small", "small"]


def test_outside_of_a_graph_it_routes_too(own: Any, router: Make) -> None:
    asked: list[Any] = []

    def handler(request: ModelRequest) -> ModelResponse:
        asked.append(request.model)
        return ModelResponse([AIMessage("")])

    middleware = router()
    middleware.wrap_model_call(ModelRequest(model=own, messages=[]), handler)
    assert asked == [middleware.router]


async def test_a_summary_shortens_what_is_routed(
    run: Run, own: Any, router: Make, order: Order, provider: ScriptedProvider
) -> None:
    middleware = router()
    summary = SummarizationMiddleware(
        model=middleware.router, trigger=("messages", 4), keep=("messages", 1)
    )
    agent = create_agent(own, [add], middleware=order(middleware, summary))
    talk = [("user", "one"), ("ai", "two"), ("user", "three"), ("ai", "four"), *HARD["messages"]]
    state = await run(agent, {"messages": talk})
    assert "summary" in state["messages"][0].text
    assert answered_by(state) == ["big", "big"]
    assert provider.requests[0].model == "small"  # which wrote the summary


async def test_a_human_may_stop_a_tool_and_let_it_go_on(
    run: Run, own: Any, router: Make, order: Order
) -> None:
    human = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    agent = create_agent(
        own, [add], middleware=order(router(), human), checkpointer=InMemorySaver()
    )
    stopped = await run(agent, EASY, THREAD)
    assert stopped["__interrupt__"]
    assert answered_by(stopped) == ["small"]
    go_on = Command(resume={"decisions": [{"type": "approve"}]})
    state = await run(agent, go_on, THREAD)
    assert answers(state)[-1].text == "small says 5."
    assert answered_by(state) == ["small", "small"]


async def test_old_tool_results_may_be_edited_away(
    run: Run, own: Any, router: Make, order: Order, provider: ScriptedProvider
) -> None:
    editing = ContextEditingMiddleware(
        edits=[ClearToolUsesEdit(trigger=1, keep=0, placeholder="[gone]")]
    )
    state = await run(create_agent(own, [add], middleware=order(router(), editing)), EASY)
    assert "[gone]" in str(provider.requests[-1].body)
    assert answered_by(state) == ["small", "small"]


async def test_tools_may_be_selected_by_a_model(
    run: Run, own: Any, router: Make, order: Order, provider: ScriptedProvider
) -> None:
    """Inside the router it selects by the router, outside by the agent's own model."""
    both = order(router(), LLMToolSelectorMiddleware(max_tools=1))
    state = await run(create_agent(own, [add], middleware=both), EASY)
    assert answers(state)[-1].text == "small says 5."
    routed_too = isinstance(both[0], RouterMiddleware)
    assert provider.requests[0].model == ("small" if routed_too else "agents_own")


async def test_a_model_chosen_outside_at_first_is_overridden(
    own: Any, router: Make, chat: Any
) -> None:
    """The router cannot tell it from the agent's own; put such a middleware inside."""

    @wrap_model_call
    def of_my_own(request: Any, handler: Any) -> Any:
        return handler(request.override(model=chat("spare")))

    outside = create_agent(own, [add], middleware=[of_my_own, router()]).invoke(EASY)
    inside = create_agent(own, [add], middleware=[router(), of_my_own]).invoke(EASY)
    assert answered_by(outside) == ["small", "small"]
    assert answered_by(inside) == ["spare", "spare"]


def test_where_an_order_cannot_work_the_error_says_so(own: Any, router: Make) -> None:
    """A provider's tool search is of one provider, and the router's members may be of several."""
    search = ProviderToolSearchMiddleware(searchable_tools=["add"])
    agent = create_agent(own, [add], middleware=[router(), search])
    with pytest.raises(
        ValueError, match="a provider with server-side tool search, but got 'llmroute'"
    ):
        agent.invoke(EASY)


def test_the_router_as_the_agents_model_needs_no_middleware(router: Make, chat: Any) -> None:
    """Fallbacks work in any place; only the state has no record of the steps."""
    middleware = router()
    agent = create_agent(
        middleware.router, [add], middleware=[ModelFallbackMiddleware(chat("spare"))]
    )
    state = agent.invoke(EASY)
    assert [a.response_metadata["llmroute"]["answered_by"] for a in answers(state)] == ["small"] * 2
    assert "llmroute_decisions" not in state


def _only(provider: ScriptedProvider, name: str) -> ModelPool:
    return ModelPool([m for m in pool_of(provider, "openai") if m.name == name])
