"""An accepted draft in its model's place: what the caller gets, and who is told of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tracers._streaming import (
    _StreamingCallbackHandler,
    _V2StreamingCallbackHandler,
)
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from llmroute.engine.drafts import AcceptedDraft, ainvoke_hidden, invoke_hidden
from llmroute.engine.prepare import Prepared
from llmroute.request.request import read_request

USAGE: Any = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
MESSAGE = AIMessage(
    "It is 42.",
    id="answer-1",
    name="small",
    additional_kwargs={"refusal": None},
    response_metadata={"model_name": "small-2"},
    usage_metadata=USAGE,
    tool_calls=[{"name": "multiply", "args": {"a": 6, "b": 7}, "id": "1"}],
    invalid_tool_calls=[{"name": "add", "args": "{", "id": "2", "error": None}],
)
ASKED = [HumanMessage("How much is 6 * 7?")]
DRAFT = AcceptedDraft(MESSAGE, MESSAGE)


class Printer(BaseCallbackHandler):
    """Notes what it is told of, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.start: dict[str, Any] = {}
        self.chunk: Any = None

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.told.append("start")
        self.start = {"messages": messages, **kwargs}

    def on_llm_new_token(self, token: str, *, chunk: Any = None, **kwargs: Any) -> None:
        self.told.append(token)
        self.chunk = chunk

    def on_stream_event(self, event: Any, **kwargs: Any) -> None:
        self.told.append(event["event"])

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.told.append(f"end: {response.generations[0][0].text}")


class Carrier(Printer, _StreamingCallbackHandler):  # type: ignore[misc]
    """Carries tokens on, as `astream_events` does."""

    def tap_output_aiter(self, run_id: Any, output: Any) -> Any: ...
    def tap_output_iter(self, run_id: Any, output: Any) -> Any: ...


class Events(Printer, _V2StreamingCallbackHandler):
    """Reads events of content blocks in place of tokens."""


WHOLE_RUN = ["start", "It is 42.", "end: It is 42."]


async def called(way: str, config: Any, draft: AcceptedDraft = DRAFT) -> Any:
    """What one way of calling gives."""
    if way == "invoke":
        return draft.invoke(ASKED, config)
    if way == "stream":
        return list(draft.stream(ASKED, config))
    if way == "generate":
        return draft.generate([ASKED], **config)
    if way == "astream":
        return [chunk async for chunk in draft.astream(ASKED, config)]
    if way == "agenerate":
        return await draft.agenerate([ASKED], **config)
    return await draft.ainvoke(ASKED, config)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "generate", "agenerate"])
async def test_those_that_carry_words_are_told_of_a_whole_run(way: str) -> None:
    """They did not see the draft's own; the others saw it, and are told of tokens at most."""
    carrier, events, printer, tracer = Carrier(), Events(), Printer(), RunCollectorCallbackHandler()
    config: Any = {
        "callbacks": [carrier, events, printer, tracer],
        "run_name": "mine",
        "tags": ["yours"],
        "metadata": {"user": 1},
    }
    await called(way, config)
    assert carrier.told == WHOLE_RUN
    assert events.told[0] == "start"
    assert events.told[1:3] == ["message-start", "content-block-start"]
    assert events.told[-2:] == ["message-finish", "end: It is 42."]
    assert printer.told == (["It is 42."] if way in ("stream", "astream") else [])
    assert tracer.traced_runs == []
    assert carrier.start["messages"] == [ASKED]
    assert (carrier.start["name"], carrier.start["tags"]) == ("mine", ["yours"])
    assert carrier.start["metadata"]["user"] == 1
    assert carrier.chunk.message.tool_call_chunks[0]["args"] == '{"a": 6, "b": 7}'


@pytest.mark.parametrize("way", ["invoke", "astream"])
async def test_a_managers_run_is_the_parent(way: str) -> None:
    carrier, parent = Carrier(), uuid4()
    kind = CallbackManager if way == "invoke" else AsyncCallbackManager
    manager = kind([carrier], parent_run_id=parent, tags=["a"], metadata={"team": "b"})
    await called(way, {"callbacks": manager, "tags": ["c"], "metadata": {"user": 1}})
    assert carrier.told == WHOLE_RUN
    assert carrier.start["parent_run_id"] == parent
    assert (carrier.start["tags"], carrier.start["name"]) == (["a", "c"], "RouterChain")
    assert carrier.start["metadata"].items() >= {"team": "b", "user": 1}.items()


async def test_nobody_has_to_listen() -> None:
    assert await called("invoke", None) is MESSAGE
    assert await called("ainvoke", {}) is MESSAGE
    assert (await called("agenerate", {})).generations[0][0].message is MESSAGE
    assert (await called("generate", {})).generations[0][0].message is MESSAGE
    assert DRAFT._generate(ASKED).generations[0].message is MESSAGE
    assert (await DRAFT._agenerate(ASKED)).generations[0].message is MESSAGE


async def test_as_a_stream_it_is_one_chunk_with_all_of_the_message() -> None:
    for way in ("stream", "astream"):
        (chunk,) = await called(way, {})
        assert isinstance(chunk, AIMessageChunk)
        assert (chunk.text, chunk.id, chunk.name) == ("It is 42.", "answer-1", "small")
        assert chunk.chunk_position == "last"
        assert chunk.usage_metadata == USAGE
        assert chunk.response_metadata == {"model_name": "small-2"}
        assert chunk.additional_kwargs == {"refusal": None}
        assert [(c["name"], c["args"], c["id"], c["index"]) for c in chunk.tool_call_chunks] == [
            ("multiply", '{"a": 6, "b": 7}', "1", 0),
            ("add", "{", "2", 1),
        ]
        parsed = AcceptedDraft(MESSAGE, {"total": 42})
        assert await called(way, {}, parsed) == [{"total": 42}]


async def test_in_content_blocks_it_streams_too() -> None:
    carrier = Carrier()
    assert str(DRAFT._chat_model_stream_v3(ASKED, {"callbacks": [carrier]}).text) == "It is 42."
    stream = await DRAFT._achat_model_stream_v3(ASKED, {"callbacks": [carrier]})
    assert await stream.text == "It is 42."
    assert stream.message_id == "answer-1"
    assert carrier.told == WHOLE_RUN * 2


@pytest.mark.parametrize("several", [False, True])
async def test_a_draft_is_asked_whole_and_of_several_answers_all(several: bool) -> None:
    class Model:
        """Says which of its methods was called, and with what."""

        def invoke(self, messages: Any, config: Any, **arguments: Any) -> Any:
            return "invoke", messages, config, arguments

        def generate(self, messages: Any, **arguments: Any) -> Any:
            self.generated = messages, arguments
            return DRAFT.generate(messages)

        async def ainvoke(self, *given: Any, **arguments: Any) -> Any:
            return self.invoke(*given, **arguments)

        async def agenerate(self, *given: Any, **arguments: Any) -> Any:
            return self.generate(*given, **arguments)

    config: Any = {"tags": ["a"]}
    request = read_request(ASKED, {"n": 2} if several else {})
    for is_async in (False, True):
        model = Model()
        prepared = Prepared(model, ASKED, config, {"temperature": 0.5})
        if is_async:
            came = await ainvoke_hidden(request)(prepared)
        else:
            came = invoke_hidden(request)(prepared)
        if several:
            assert came == [MESSAGE]
            messages, arguments = model.generated
            assert messages == [ASKED]
            assert (arguments["tags"], arguments["temperature"]) == (["a"], 0.5)
        else:
            assert came == ("invoke", ASKED, config, {"temperature": 0.5})
