"""One conversation, several models: the switch in the middle of a tool loop, over real HTTP.

The scripted provider refuses what OpenAI and Anthropic refuse, so that an answer is proof that the
request was one they take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from llmroute import Model, ModelPool, RouterChain
from llmroute.errors import InvalidRequest
from llmroute.records import Estimates
from llmroute.request.conversation import Conversation
from llmroute.testing import Fault, Reply, ScriptedModel, ScriptedProvider, ToolCall
from tests.conftest import KEY

langchain_anthropic = pytest.importorskip("langchain_anthropic")

# Anthropic's client knows how old these models are; newer ones take no thinking with a budget.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

#: The provider's names of the models: one that thinks, and one that does not.
CLAUDE, GPT = "claude-sonnet-4-5", "gpt-4.1"
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
MARK = {"cache_control": {"type": "ephemeral"}}


@tool
def look(place: str) -> str:
    """Look at a place."""
    return f"{place} is empty"


def reply(request: Any) -> Reply | None:
    """Two steps of a tool loop, then an answer that says how many steps there were."""
    if "look" not in [tool["function"]["name"] for tool in request.tools]:
        return None
    steps = 0
    for message in reversed(request.messages):
        if message["role"] == "user":
            break
        steps += message["role"] == "tool"
    if steps < 2:
        call = ToolCall("look", {"place": f"room {steps}"})
        return Reply("One moment.", [call], reasoning="I should look.")
    return Reply(f"{steps} rooms are empty.", reasoning="That is all.")


@pytest.fixture(scope="module")
def _running() -> Iterator[ScriptedProvider]:
    models = [ScriptedModel(CLAUDE, reply=reply), ScriptedModel(GPT, reply=reply)]
    # A model of the same provider's, which cannot read the other's thoughts.
    models.append(ScriptedModel("claude-opus-4-5", reply=reply))
    models.append(ScriptedModel("claude-sonnet-4-6", reply=reply))
    with ScriptedProvider(models) as running:
        yield running
    _LOOP.close()


@pytest.fixture
def provider(_running: ScriptedProvider) -> ScriptedProvider:
    _running.clear()
    return _running


def members(provider: ScriptedProvider) -> dict[str, Model]:
    anthropic: dict[str, Any] = {"base_url": provider.anthropic_url, "max_retries": 0}
    anthropic = {**anthropic, "api_key": KEY, **THINKING}
    openai: dict[str, Any] = {"base_url": provider.base_url, "api_key": KEY, "max_retries": 0}
    litellm: dict[str, Any] = {"api_base": provider.anthropic_url, "api_key": KEY}
    chat_anthropic = langchain_anthropic.ChatAnthropic
    listed = [
        Model("litellm gpt", model=f"openai/{GPT}", api_base=provider.base_url, api_key=KEY),
        Model("litellm claude", model=f"anthropic/{CLAUDE}", params=THINKING, **litellm),
        Model("litellm effort", model=f"anthropic/{CLAUDE}", **_EFFORT, **litellm),
        Model("litellm opus", model="anthropic/claude-opus-4-5", params=THINKING, **litellm),
        Model("ChatOpenAI", chat_model=ChatOpenAI(model=GPT, **openai)),
        Model("ChatAnthropic", chat_model=chat_anthropic(model=CLAUDE, **anthropic)),
    ]
    return {member.name: member for member in listed}


_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
_SHAPE = {"title": "rooms", "type": "object", "properties": {"rooms": {"type": "string"}}}
_EFFORT: dict[str, Any] = {"params": {"reasoning_effort": "low", "max_tokens": 4000}}


def router(provider: ScriptedProvider, *names: str, **settings: Any) -> RouterChain:
    known = members(provider)
    pool = ModelPool([known[name] for name in names])
    return RouterChain(pool=pool, scorer=InOrder(), escalation=None, **settings)


# Clients keep their connections in the loop that they were opened in, so there is one for all.
_LOOP = asyncio.new_event_loop()


class InOrder:
    """The first model of the pool is the best, the second the next, and so on."""

    name, version = "in order", "1"

    def estimate(self, prompts: Sequence[Any], pool: ModelPool) -> Estimates:
        quality = 0.9 / 2.0 ** np.arange(len(pool))
        same = np.ones((len(prompts), len(pool)))
        return Estimates(
            models=pool.names,
            quality=same * quality,
            cost=same,
            tokens=same,
            latency=same,
            prompt_tokens=np.ones(len(prompts)),
            unfamiliar=np.zeros(len(prompts), dtype=np.bool_),
            prior_quality=quality,
            scorer="in order 1",
        )


Say = Callable[[Any, list[BaseMessage], str], AIMessage]


def invoke(model: Any, messages: list[BaseMessage], name: str) -> AIMessage:
    return model.invoke(messages, model=name)


def stream(model: Any, messages: list[BaseMessage], name: str) -> AIMessage:
    return reduce(add, model.stream(messages, model=name))


def ainvoke(model: Any, messages: list[BaseMessage], name: str) -> AIMessage:
    return _LOOP.run_until_complete(model.ainvoke(messages, model=name))


def astream(model: Any, messages: list[BaseMessage], name: str) -> AIMessage:
    async def whole() -> AIMessage:
        return reduce(add, [chunk async for chunk in model.astream(messages, model=name)])

    return _LOOP.run_until_complete(whole())


WAYS = [invoke, stream, ainvoke, astream]


def talk(model: Any, names: list[str], say: Say = invoke) -> list[BaseMessage]:
    """A tool loop whose steps are asked of one model after the other."""
    messages: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("Which rooms?")]
    for name in names:
        answer = say(model, messages, name)
        messages.append(answer)
        messages += [look.invoke(call) for call in answer.tool_calls]
    return messages


def thoughts(body: Any) -> list[str]:
    """The signatures in a body of Anthropic's."""
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    return [block["signature"] for block in blocks if block.get("type") == "thinking"]


PAIRS = [
    ("litellm gpt", "litellm claude"),
    ("litellm gpt", "litellm effort"),
    ("litellm gpt", "ChatAnthropic"),
    ("ChatOpenAI", "litellm claude"),
    ("ChatOpenAI", "ChatAnthropic"),
    ("litellm claude", "ChatAnthropic"),
    ("litellm claude", "litellm opus"),
    ("ChatAnthropic", "litellm opus"),
]


@pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=map(" and ".join, PAIRS))
class TestMidLoop:
    def test_there_and_back(self, provider, first, second, say):
        bound = router(provider, first, second).bind_tools([look])
        messages = talk(bound, [first, second, first], say)
        assert messages[-1].text == "2 rooms are empty."
        assert [entry.status for entry in provider.requests] == [200] * 3

    def test_the_other_way_round(self, provider, first, second, say):
        bound = router(provider, first, second).bind_tools([look])
        messages = talk(bound, [second, first, second], say)
        assert messages[-1].text == "2 rooms are empty."
        assert [entry.status for entry in provider.requests] == [200] * 3

    def test_and_the_next_turn_after_it(self, provider, first, second, say):
        bound = router(provider, first, second).bind_tools([look])
        messages = talk(bound, [first, second, second], say)
        messages += [HumanMessage("And now?")]
        answer = say(bound, messages, second)
        assert [call["name"] for call in answer.tool_calls] == ["look"]
        assert provider.requests[-1].status == 200


class TestOneModelAlone:
    """A loop that stays with its model keeps its thinking, over LiteLLM too (LiteLLM #15601)."""

    @pytest.mark.parametrize("say", WAYS, ids=lambda way: way.__name__)
    @pytest.mark.parametrize("name", ["litellm claude", "litellm effort", "ChatAnthropic"])
    def test_its_thinking_goes_back_to_it(self, provider, name, say):
        talk(router(provider, name).bind_tools([look]), [name] * 3, say)
        *_, last = provider.requests
        assert last.body["thinking"]["type"] == "enabled"
        assert len(thoughts(last.body)) == 2

    @pytest.mark.parametrize("say", [invoke, stream], ids=lambda way: way.__name__)
    @pytest.mark.parametrize("name", ["litellm claude", "ChatAnthropic"])
    def test_also_in_langchains_own_blocks(self, provider, name, say):
        """`output_version="v1"` puts thinking and calls into the content, as LangChain's blocks."""
        bound = router(provider, name, "litellm gpt", output_version="v1").bind_tools([look])
        messages = talk(bound, [name] * 3, say)
        assert len(thoughts(provider.requests[-1].body)) == 2
        say(bound, [*messages, HumanMessage("And?")], "litellm gpt")
        assert [entry.status for entry in provider.requests] == [200] * 4

    def test_sealed_thinking_too(self):
        def sealed(request: Any) -> Reply:
            if request.last_role == "tool":
                return Reply("Empty.")
            return Reply(None, [ToolCall("look", {"place": "x"})], reasoning="hm", redacted=True)

        with ScriptedProvider([ScriptedModel(CLAUDE, reply=sealed)]) as provider:
            bound = router(provider, "litellm claude").bind_tools([look])
            for way in (invoke, stream):
                assert talk(bound, ["litellm claude"] * 2, way)[-1].text == "Empty."
            kinds = [
                block["type"] for block in provider.requests[-1].body["messages"][1]["content"]
            ]
            assert kinds == ["redacted_thinking", "tool_use"]

    def test_what_is_sent_grows_at_its_end_alone(self, provider):
        name = "litellm claude"
        other = "litellm gpt"
        bound = router(provider, name, other).bind_tools([look])
        messages = talk(bound, [name] * 3)
        messages.append(HumanMessage("And now?"))
        messages = [*messages, bound.invoke(messages, model=other)]
        messages += [look.invoke(call) for call in messages[-1].tool_calls]
        bound.invoke([*messages, HumanMessage("Hm.")], model=other)
        sent = [e.body["messages"] for e in provider.requests if e.path == "/v1/messages"]
        for before, after in pairwise(sent):
            assert after[: len(before)] == before


async def _v3(model: Any, messages: list[BaseMessage]) -> None:
    stream = await model.astream_events(messages, version="v3")
    async for _ in stream:
        pass


EVERY_WAY: dict[str, Callable[[RouterChain, list[BaseMessage]], Any]] = {
    "batch": lambda model, messages: model.batch([messages]),
    "generate": lambda model, messages: model.generate([messages]),
    "agenerate": lambda model, messages: _LOOP.run_until_complete(model.agenerate([messages])),
    "_generate": lambda model, messages: model._generate(messages),
    "v3": lambda model, messages: list(model.stream_events(messages, version="v3")),
    "async v3": lambda model, messages: _LOOP.run_until_complete(_v3(model, messages)),
    "structured": lambda model, messages: model.with_structured_output(_SHAPE).invoke(messages),
    "structured stream": lambda model, messages: list(
        model.with_structured_output(_SHAPE).stream(messages)
    ),
}


@pytest.mark.parametrize("way", EVERY_WAY)
@pytest.mark.parametrize("name", ["litellm gpt", "ChatOpenAI"])
def test_every_way_of_calling_tells_it_safely(provider, name, way):
    opus = {"llmroute": {"answered_by": "litellm opus"}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    answer = AIMessage([thought, {"type": "text", "text": "Well."}], response_metadata=opus)
    messages = [HumanMessage("Which rooms?"), answer, HumanMessage("And?")]
    EVERY_WAY[way](router(provider, name), messages)
    (entry,) = provider.requests
    assert entry.status == 200
    assert entry.body["messages"][1] == {"role": "assistant", "content": "Well."}


def test_an_agent_whose_steps_go_to_different_models(provider):
    agents = pytest.importorskip("langchain.agents")
    free = {"conversation": Conversation(pin_tool_loops=False), "cooldown": None}
    pool = router(provider, "litellm claude", "ChatOpenAI", max_retries=0, **free)
    agent = agents.create_agent(pool, [look], system_prompt="Be brief.")
    provider.fail(CLAUDE, Fault.overloaded())  # the first step only
    seen = [m for m, _ in agent.stream({"messages": ["Which rooms?"]}, stream_mode="messages")]
    assert "".join(m.text for m in seen if m.type == "AIMessageChunk").endswith("rooms are empty.")
    asked = [(entry.model, entry.status) for entry in provider.requests]
    assert asked == [(CLAUDE, 529), (GPT, 200), (CLAUDE, 200), (CLAUDE, 200)]


class TestThinking:
    def test_it_is_off_while_a_loop_is_anothers_and_on_again_after_it(self, provider):
        names = ("litellm gpt", "litellm claude")
        bound = router(provider, *names).bind_tools([look])
        messages = talk(bound, ["litellm gpt", "litellm claude", "litellm claude"])
        bound.invoke([*messages, HumanMessage("And now?")], model="litellm claude")
        asked = ["thinking" in entry.body for entry in provider.requests]
        assert asked == [False, False, False, True]

    def test_free_thinking_stays_on(self, provider):
        free = {"thinking": {"type": "adaptive"}, "max_tokens": 2000}
        pinned = {"api_base": provider.anthropic_url, "api_key": KEY, "params": free}
        claude = Model("free", model="anthropic/claude-sonnet-4-6", **pinned)
        pool = ModelPool([claude, members(provider)["litellm gpt"]])
        bound = RouterChain(pool=pool, scorer=InOrder(), escalation=None).bind_tools([look])
        talk(bound, ["litellm gpt", "free"])
        assert provider.requests[-1].body["thinking"]["type"] == "adaptive"

    @pytest.mark.parametrize("name", ["litellm claude", "ChatAnthropic"])
    def test_asked_for_in_a_call_it_is_off_likewise(self, provider, name):
        bound = router(provider, "litellm gpt", name).bind_tools([look], **THINKING)
        messages = talk(router(provider, "litellm gpt", name).bind_tools([look]), ["litellm gpt"])
        bound.invoke(messages, model=name)
        assert "thinking" not in provider.requests[-1].body


class TestFallback:
    """The same care where the router changes the model by itself."""

    def test_from_anthropic_to_openai_in_a_loop_litellm_26005(self, provider):
        names = ("litellm claude", "litellm gpt")
        bound = router(provider, *names, max_retries=0).bind_tools([look])
        messages = talk(bound, ["litellm claude"])
        provider.fail(CLAUDE, Fault.overloaded())
        answer = bound.invoke(messages)
        assert answer.response_metadata["llmroute"]["answered_by"] == "litellm gpt"
        assert provider.requests[-1].status == 200

    def test_cache_markers_langchain_33709_and_37867(self, provider):
        @tool(extras=MARK)
        def marked(place: str) -> str:
            """Look at a place."""
            return place

        system = SystemMessage([{"type": "text", "text": "Be brief.", **MARK}])
        names = ("ChatAnthropic", "ChatOpenAI", "litellm gpt")
        bound = router(provider, *names, max_retries=0).bind_tools([marked], **MARK)
        provider.fail(CLAUDE, Fault.overloaded())
        provider.fail(GPT, Fault.server_error())
        bound.invoke([system, HumanMessage("Which rooms?")])
        claude, *gpts = [entry.body for entry in provider.requests]
        assert claude["system"] == [{"type": "text", "text": "Be brief.", **MARK}]
        assert claude["tools"][0]["cache_control"] == MARK["cache_control"]
        assert claude["cache_control"] == MARK["cache_control"]
        assert [entry.status for entry in provider.requests] == [529, 500, 200]
        assert all("cache_control" not in str(body) for body in gpts)

    def test_markers_reach_anthropic_through_litellm_too(self, provider):
        system = SystemMessage([{"type": "text", "text": "Be brief.", **MARK}])
        result = ToolMessage([{"type": "text", "text": "ok", **MARK}], tool_call_id="t1")
        call = {"name": "look", "args": {}, "id": "t1", "type": "tool_call"}
        messages = [system, HumanMessage("Hi"), AIMessage("", tool_calls=[call]), result]
        bound = router(provider, "litellm claude").bind_tools([{**_TOOL, **MARK}], **MARK)
        bound.invoke(messages)
        (entry,) = provider.requests
        assert entry.status == 200
        assert str(entry.body).count("ephemeral") == 4

    def test_the_middleware_that_marks_and_the_one_that_falls_back_langchain_33716(self, provider):
        agents = pytest.importorskip("langchain.agents")
        middleware = pytest.importorskip("langchain.agents.middleware")
        caching = pytest.importorskip("langchain_anthropic.middleware")
        claude = members(provider)["ChatAnthropic"].chat_model
        agent = agents.create_agent(
            claude,
            [look],
            system_prompt="Be brief.",
            middleware=[
                caching.AnthropicPromptCachingMiddleware(),
                middleware.ModelFallbackMiddleware(router(provider, "ChatOpenAI", "litellm gpt")),
            ],
        )
        provider.fail(CLAUDE, Fault.overloaded(), Fault.overloaded())
        end = agent.invoke({"messages": [HumanMessage("Which rooms?")]})
        assert end["messages"][-1].text == "2 rooms are empty."


class TestNamesOfCalls:
    @pytest.mark.parametrize("name", ["litellm gpt", "ChatOpenAI", "ChatAnthropic"])
    def test_geminis_signature_in_a_name_litellm_18160_and_41534(self, provider, name):
        signed = f"call_0123456789__thought__{'c2ln/+' * 20}=="
        call = {"name": "look", "args": {"place": "x"}, "id": signed, "type": "tool_call"}
        gemini = {"llmroute": {"answered_by": "gemini"}}
        messages = [
            HumanMessage("Which rooms?"),
            AIMessage("", tool_calls=[call], response_metadata=gemini),
            ToolMessage("x is empty", tool_call_id=signed),
        ]
        router(provider, name).bind_tools([look]).invoke(messages, model=name)
        assert provider.requests[-1].status == 200
        assert "__thought__" not in str(provider.requests[-1].body)


class TestWithoutThisCare:
    """What the members do by themselves, or these tests would show nothing."""

    def test_a_thought_is_refused_by_another_model(self, provider):
        known = members(provider)
        (_, _, answer, *results) = talk(
            router(provider, "ChatAnthropic").bind_tools([look]), ["ChatAnthropic"]
        )
        opus = langchain_anthropic.ChatAnthropic(
            model="claude-opus-4-5",
            base_url=provider.anthropic_url,
            api_key=KEY,
            max_retries=0,
            **THINKING,
        )
        with pytest.raises(Exception, match="Invalid `signature` in `thinking` block"):
            opus.invoke([HumanMessage("Which rooms?"), answer, *results])
        with pytest.raises(Exception, match="Expected `thinking` or `redacted_thinking`"):
            known["ChatAnthropic"].chat_model.bind_tools([look]).invoke(
                [HumanMessage("Which rooms?"), _plain(answer), *results]
            )

    def test_litellm_is_refused_where_it_carries_a_marker_on(self, provider):
        marked = HumanMessage([{"type": "text", "text": "Hi", **MARK}])
        with pytest.raises(InvalidRequest, match="cache_control"):
            members(provider)["litellm gpt"].runnable.invoke([marked])


def _plain(answer: AIMessage) -> AIMessage:
    return AIMessage(answer.text, tool_calls=answer.tool_calls)
