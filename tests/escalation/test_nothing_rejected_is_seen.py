"""No word of a rejected draft reaches the user, whatever way the answer is watched.

And an accepted draft is seen there once, like any answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from llmroute import ModelPool, RouterChain
from llmroute.testing import ScriptedProvider

from ..conftest import WordScorer
from .conftest import Stage, asked, pool_of

Router = Callable[..., RouterChain]

DRAFT = "The draft says forty-one."
STRONG = "The strong model says forty-two."
QUESTION = "How much is 6 * 7?"


def rejects(message: AIMessage) -> bool:
    return True


def accepts(message: AIMessage) -> bool:
    return False


@pytest.fixture(autouse=True)
def lines(stage: Stage) -> None:
    stage.says("small", DRAFT)
    stage.says("big", STRONG)


class Printer(BaseCallbackHandler):
    """A handler that prints tokens, as `StreamingStdOutCallbackHandler` does."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ends = 0

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.ends += 1


def streamed(router: RouterChain) -> str:
    return "".join(chunk.text for chunk in router.stream(QUESTION))


def printed(router: RouterChain) -> str:
    printer = Printer()
    list(router.stream(QUESTION, {"callbacks": [printer]}))
    return "".join(printer.tokens)


def in_a_chain(router: RouterChain) -> str:
    chain = ChatPromptTemplate.from_messages([("human", "{q}")]) | router
    return "".join(chunk.text for chunk in chain.stream({"q": QUESTION}))


def in_a_graph(router: RouterChain) -> str:
    """LangGraph's messages mode, over a node that streams and one that invokes."""
    return "".join(m.text for m, _ in _graph(router).stream(_ASKED, stream_mode="messages"))


def by_v3_events(router: RouterChain) -> str:
    return str(router.stream_events(QUESTION, version="v3").text)


async def astreamed(router: RouterChain) -> str:
    return "".join([chunk.text async for chunk in router.astream(QUESTION)])


async def by_events(router: RouterChain) -> str:
    """Everything `astream_events` shows of chat models, ends included."""
    seen = ""
    async for event in router.astream_events(QUESTION, version="v2"):
        if event["event"] == "on_chat_model_stream":
            seen += event["data"]["chunk"].text
        if event["event"] == "on_chat_model_end":
            assert event["data"]["output"].text == seen
    return seen


async def by_events_of_invoke(router: RouterChain) -> str:
    """`astream_events` of a chain whose step invokes the router, which does not stream."""

    async def step(question: str) -> str:
        return (await router.ainvoke(question)).text

    return "".join(
        [
            event["data"]["chunk"].text
            async for event in RunnableLambda(step).astream_events(QUESTION, version="v2")
            if event["event"] == "on_chat_model_stream"
        ]
    )


async def in_a_graph_async(router: RouterChain) -> str:
    graph = _graph(router)
    return "".join([m.text async for m, _ in graph.astream(_ASKED, stream_mode="messages")])


async def by_v3_events_async(router: RouterChain) -> str:
    stream = await router.astream_events(QUESTION, version="v3")
    return str(await stream.text)


_ASKED = {"messages": [HumanMessage(QUESTION)]}


def _graph(router: RouterChain) -> Any:
    from langgraph.graph import END, START, MessagesState, StateGraph

    def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [router.invoke(state["messages"])]}

    async def anode(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await router.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", RunnableLambda(node, anode))
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile()


WAYS = [streamed, printed, in_a_chain, in_a_graph, by_v3_events]
ASYNC_WAYS = [astreamed, by_events, by_events_of_invoke, in_a_graph_async, by_v3_events_async]


@pytest.mark.parametrize("way", WAYS)
def test_a_rejected_draft_is_not_seen(router: Router, way: Callable[[RouterChain], str]) -> None:
    assert way(router(rejects)) == STRONG


@pytest.mark.parametrize("way", WAYS)
def test_an_accepted_draft_is_seen_once(router: Router, way: Callable[[RouterChain], str]) -> None:
    assert way(router(accepts)) == DRAFT


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_a_rejected_draft_is_not_seen_on_an_event_loop(router: Router, way: Any) -> None:
    assert await way(router(rejects)) == STRONG


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_an_accepted_draft_is_seen_once_on_an_event_loop(router: Router, way: Any) -> None:
    assert await way(router(accepts)) == DRAFT


def test_without_a_check_tokens_stream_as_they_come(router: Router) -> None:
    chunks = [c for c in router(rejects).stream("a hard question") if c.text]
    assert len(chunks) > 1


def test_the_strong_models_tokens_stream_as_they_come(router: Router) -> None:
    chunks = [c for c in router(rejects).stream(QUESTION) if c.text]
    assert len(chunks) > 1


def test_the_stream_carries_decision_and_bill(router: Router) -> None:
    chunks = list(router(accepts).stream(QUESTION))
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    record = total.response_metadata["llmroute"]
    assert record["chosen"] == record["answered_by"] == "small"
    assert [call["purpose"] for call in record["calls"]] == ["draft"]
    assert record["cost_usd"] > 0


def test_usage_is_counted_once_a_call(router: Router) -> None:
    usage = UsageMetadataCallbackHandler()
    answer = router(accepts).invoke(QUESTION, {"callbacks": [usage]})
    (counted,) = usage.usage_metadata.values()
    assert counted["output_tokens"] == answer.usage_metadata["output_tokens"]


def test_every_draft_is_traced_like_any_call(router: Router) -> None:
    printer = Printer()
    router(rejects).invoke(QUESTION, {"callbacks": [printer]})
    assert printer.ends == 2


def test_a_router_that_streams_inside_does_not_stream_a_draft(
    router: Router, theatre: ScriptedProvider
) -> None:
    list(router(rejects, streaming=True).stream(QUESTION))
    assert asked(theatre) == ["small", "big"]
    assert [bool(r.body.get("stream")) for r in theatre.requests] == [False, True]


def test_a_member_that_streams_inside_does_not_stream_a_draft(theatre: ScriptedProvider) -> None:
    members = [
        m.model_copy(update={"chat_model": m.chat_model.model_copy(update={"streaming": True})})
        for m in pool_of(theatre, "openai")
    ]
    router = RouterChain(
        pool=ModelPool(members), scorer=WordScorer(), escalation=rejects, max_retries=0
    )
    assert router.invoke(QUESTION).text == STRONG
    assert [bool(r.body.get("stream")) for r in theatre.requests] == [False, True]
