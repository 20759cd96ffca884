"""A conversation made safe: what an answer loses when another model reads it, and what it keeps."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool

from llmroute import Model
from llmroute.request.history.cache_control import unmarked_arguments, unmarked_tools
from llmroute.request.history.sanitize import made_safe
from llmroute.request.history.target import Reader
from llmroute.request.history.thinking import goes_on_without_thought

OPUS = Reader.of(Model("opus", model="anthropic/claude-opus-4-5"))
SONNET = Reader.of(Model("sonnet", model="anthropic/claude-sonnet-4-5"))
GPT = Reader.of(Model("gpt", model="openai/gpt-4.1"))
GEMINI = Reader.of(Model("gemini", model="gemini/gemini-3-pro"))
READERS = [OPUS, SONNET, GPT, GEMINI]

MARK = {"cache_control": {"type": "ephemeral"}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "it"}}
CALL = {"name": "look", "args": {"at": "it"}, "id": "t1", "type": "tool_call"}


def by(reader: Reader, content: Any = "Well.", **more: Any) -> AIMessage:
    """An answer with the router's record."""
    return AIMessage(content, response_metadata={"llmroute": {"answered_by": reader.name}}, **more)


def told(message: BaseMessage, reader: Reader) -> BaseMessage:
    (only,) = made_safe([message], reader)
    return only


class TestWhoMadeIt:
    def test_the_record_names_the_member(self):
        assert OPUS.made(by(OPUS))
        assert not SONNET.made(by(OPUS))

    @pytest.mark.parametrize("name", ["claude-opus-4-5", "claude-opus-4-5-20251101"])
    def test_without_a_record_providers_own_names_do(self, name):
        message = AIMessage("", response_metadata={"model_provider": "litellm", "model_name": name})
        assert OPUS.made(message)
        assert not SONNET.made(message)

    def test_the_same_model_by_another_way_is_another(self):
        # LangChain's own chat model keeps thinking elsewhere than LiteLLM does.
        message = AIMessage(
            "",
            response_metadata={"model_provider": "anthropic", "model_name": "claude-opus-4-5"},
        )
        assert not OPUS.made(message)

    def test_an_answer_that_says_nothing_of_it_is_nobodys(self):
        assert not any(reader.made(AIMessage("Well.")) for reader in READERS)

    def test_a_chat_model_of_langchains_is_known_by_its_own_names(self):
        anthropic = pytest.importorskip("langchain_anthropic")
        chat = anthropic.ChatAnthropic(model="claude-opus-4-5", api_key="k")
        reader = Reader.of(Model("own", chat_model=chat))
        metadata = {"model_provider": "anthropic", "model_name": "claude-opus-4-5-20251101"}
        assert reader.made(AIMessage("", response_metadata=metadata))
        assert reader.is_anthropics

    def test_claude_by_way_of_openais_protocol_takes_nothing_of_anthropics(self):
        from langchain_openai import ChatOpenAI

        chat = ChatOpenAI(model="anthropic/claude-opus-4-5", api_key="k")
        reader = Reader.of(Model("routed", chat_model=chat))
        assert (reader.is_anthropics, reader.takes_markers) == (False, False)

    def test_a_group_of_deployments_is_anthropics_when_all_are(self):
        from llmroute.backends.litellm import import_litellm

        router = import_litellm().Router(
            model_list=[
                {
                    "model_name": "best",
                    "litellm_params": {"model": "anthropic/claude-opus-4-5", "api_key": "k"},
                }
            ]
        )
        assert Reader.of(Model("best", litellm_router=router)).is_anthropics


class TestNothingToDo:
    def test_a_first_turn_is_the_very_list(self):
        messages = [SystemMessage("Be brief."), HumanMessage("Hi")]
        assert made_safe(messages, GPT) is messages

    def test_plain_answers_of_anyone_are_the_very_list(self):
        messages = [HumanMessage("Hi"), by(OPUS), HumanMessage("And?"), by(GPT)]
        for reader in READERS:
            assert made_safe(messages, reader) is messages

    def test_the_models_own_answers_are_left_as_they_are(self):
        own = by(OPUS, [THOUGHT, {"type": "text", "text": "Well."}, USE], tool_calls=[CALL])
        messages = [HumanMessage("Hi"), own, ToolMessage("ok", tool_call_id="t1")]
        assert made_safe(messages, OPUS) is messages


class TestAnswersOfOthers:
    def test_signed_thinking_is_left_out_litellm_26005(self):
        message = by(OPUS, [THOUGHT, {"type": "text", "text": "Well."}])
        assert told(message, GPT).content == "Well."

    def test_even_for_another_model_of_the_same_provider_llxprt_code_2335(self):
        message = by(OPUS, [THOUGHT, {"type": "text", "text": "Well."}])
        assert told(message, SONNET).content == "Well."

    @pytest.mark.parametrize(
        "block",
        [
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "x"}},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "non_standard", "value": {"type": "x"}},
        ],
        ids=lambda block: f"{block['type']}",
    )
    def test_what_only_its_maker_can_read_is_left_out(self, block):
        message = by(OPUS, [block, {"type": "text", "text": "Well."}])
        assert told(message, GPT).content == "Well."

    @pytest.mark.parametrize(
        "extra",
        [
            {"thinking_blocks": [THOUGHT]},
            {"reasoning_content": "hm"},
            {"provider_specific_fields": {"thinking_blocks": [THOUGHT]}},
            {"__gemini_function_call_thought_signatures__": {"t1": "c2ln"}},
            {"__openai_function_call_ids__": {"t1": "fc_1"}},
            {"reasoning": {"id": "rs_1", "summary": []}},
        ],
        ids=lambda extra: next(iter(extra)),
    )
    def test_what_stands_beside_the_content_too(self, extra):
        message = by(OPUS, additional_kwargs=extra)
        assert told(message, GPT).additional_kwargs == {}
        assert told(message, GPT).content == "Well."

    def test_names_of_items_of_openais_responses_are_left_out(self):
        text = {"type": "text", "text": "Well.", "id": "msg_1", "annotations": [], "index": 0}
        call = {"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "look"}
        message = by(GPT, [text, call], tool_calls=[CALL])
        assert told(message, OPUS).content == "Well."
        assert told(message, OPUS).tool_calls == [CALL]

    def test_citations_are_left_out_of_text(self):
        cited = {"type": "text", "text": " It is.", "citations": [{"type": "char_location"}]}
        message = by(OPUS, [{"type": "text", "text": "Well."}, cited])
        assert told(message, GPT).content == "Well. It is."

    def test_calls_stand_in_the_calls_alone(self):
        message = by(OPUS, [{"type": "text", "text": "Well."}, USE], tool_calls=[CALL])
        assert told(message, GPT).content == "Well."
        assert told(message, GPT).tool_calls == [CALL]

    def test_calls_that_stood_in_the_content_alone_are_calls(self):
        message = AIMessage([{"type": "text", "text": "Well."}, USE])
        assert told(message, GPT).tool_calls == [CALL]

    @pytest.mark.parametrize(
        "media",
        [
            {"type": "image", "base64": "aa", "mime_type": "image/png"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "file", "base64": "aa", "mime_type": "application/pdf"},
            {"type": "audio", "base64": "aa", "mime_type": "audio/wav"},
        ],
        ids=lambda media: media["type"],
    )
    def test_media_stay(self, media):
        text = {"type": "text", "text": "Look:"}
        assert told(by(OPUS, [THOUGHT, text, media]), GPT).content == [text, media]

    def test_a_refusal_is_told_as_text(self):
        assert told(by(GPT, "", additional_kwargs={"refusal": "No."}), OPUS).content == "No."
        assert told(by(GPT, [{"type": "refusal", "refusal": "No."}]), OPUS).content == "No."

    def test_one_that_held_nothing_but_thoughts_is_left_out(self):
        hello = HumanMessage("Hi")
        assert made_safe([hello, by(OPUS, [THOUGHT]), hello], GPT) == [hello, hello]

    @pytest.mark.parametrize("blank", ["\n\n", [{"type": "text", "text": " "}]])
    def test_white_space_is_no_text(self, blank):
        hello = HumanMessage("Hi")
        assert told(by(OPUS, blank, tool_calls=[CALL]), GPT).content == ""
        assert made_safe([hello, by(OPUS, blank), hello], GPT) == [hello, hello]

    def test_who_said_it_stays(self):
        message = by(OPUS, [THOUGHT, {"type": "text", "text": "Well."}], name="anna", id="m1")
        assert (told(message, GPT).name, told(message, GPT).id) == ("anna", "m1")


class TestNamesOfCalls:
    @staticmethod
    def loop(name: str, maker: Reader = GEMINI) -> list[BaseMessage]:
        call = {**CALL, "id": name}
        return [
            HumanMessage("Hi"),
            by(maker, "", tool_calls=[call]),
            ToolMessage("ok", tool_call_id=name),
        ]

    @pytest.mark.parametrize(
        "name",
        [
            f"call_0123456789__thought__{'c2ln' * 40}",  # LiteLLM's, of Gemini: #41534, #18160
            "call_c32c6a6c-3b5a-4b8f-8a6b-0d3c3b1c7d11",  # 41 characters: LiteLLM #11392
            "functions.look:0",  # Kimi's
            "",
        ],
    )
    def test_a_name_that_others_refuse_is_replaced_in_call_and_result(self, name):
        _, answer, result = made_safe(self.loop(name), GPT)
        (call,) = answer.tool_calls
        assert re.fullmatch("[a-zA-Z0-9_-]{1,40}", call["id"])
        assert result.tool_call_id == call["id"]

    def test_its_maker_gets_it_as_it_was(self):
        messages = self.loop(f"call_1__thought__{'c2ln' * 40}")
        assert made_safe(messages, GEMINI) is messages

    def test_a_good_name_stays(self):
        messages = self.loop("toolu_01", OPUS)
        assert made_safe(messages, GPT) is messages

    def test_also_in_anthropics_own_blocks_of_results(self):
        block = {"type": "tool_result", "tool_use_id": "f:0", "content": "ok"}
        call = {**CALL, "id": "f:0"}
        messages = [HumanMessage("Hi"), by(GPT, "", tool_calls=[call]), HumanMessage([block])]
        _, answer, result = made_safe(messages, OPUS)
        assert result.tool_call_id == answer.tool_calls[0]["id"]

    def test_a_name_that_comes_again_is_another_name_anthropic_demands_it(self):
        messages = [*self.loop("call_0"), *self.loop("call_0")]
        _, first, one, _, second, two = made_safe(messages, OPUS)
        assert first.tool_calls[0]["id"] != second.tool_calls[0]["id"]
        assert [one.tool_call_id, two.tool_call_id] == [
            first.tool_calls[0]["id"],
            second.tool_calls[0]["id"],
        ]


class TestCacheMarkers:
    """LangChain issue #33709, PRs #33716 and #37867: markers broke the fallback to others."""

    SYSTEM = SystemMessage([{"type": "text", "text": "Be brief.", **MARK}])

    def test_they_go_where_they_are_taken(self):
        for reader in (OPUS, SONNET, GEMINI):
            messages = [self.SYSTEM]
            assert made_safe(messages, reader) is messages

    def test_they_are_stripped_elsewhere(self):
        assert told(self.SYSTEM, GPT).content == [{"type": "text", "text": "Be brief."}]

    @pytest.mark.parametrize("place", ["extras", "metadata"])
    def test_also_where_langchain_keeps_what_is_a_providers(self, place):
        block = {"type": "text", "text": "Hi", place: {**MARK, "other": 1}}
        assert told(HumanMessage([block]), GPT).content == [{**block, place: {"other": 1}}]

    def test_also_beside_the_content(self):
        message = HumanMessage("Hi", additional_kwargs={**MARK, "other": 1})
        assert told(message, GPT).additional_kwargs == {"other": 1}

    def test_a_markers_place_in_anothers_answer_stays_for_anthropic(self):
        marked = {"type": "text", "text": "Well.", **MARK}
        assert told(AIMessage([marked]), OPUS).content == [marked]
        assert told(AIMessage([marked]), GPT).content == "Well."

    def test_on_tools(self):
        @tool(extras={**MARK, "other": 1})
        def look(at: str) -> str:
            """Look."""
            return at

        plain = {"type": "function", "function": {"name": "f"}}
        cleaned, dict_tool, same = unmarked_tools([look, {**plain, **MARK}, plain])
        assert cleaned.extras == {"other": 1}
        assert look.extras == {**MARK, "other": 1}
        assert dict_tool == plain
        assert same is plain

    def test_among_a_calls_arguments(self):
        arguments = {"temperature": 0, **MARK, "tools": [{"name": "f", **MARK}]}
        assert unmarked_arguments(arguments) == {"temperature": 0, "tools": [{"name": "f"}]}

    def test_anthropics_blocks_of_results_become_messages_elsewhere(self):
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok", "is_error": True}
        words = {"type": "text", "text": "And?"}
        messages = [HumanMessage("Hi"), AIMessage([USE]), HumanMessage([result, words])]
        *_, answered, asked = made_safe(messages, GPT)
        assert isinstance(answered, ToolMessage)
        assert (answered.tool_call_id, answered.content) == ("t1", "ok")
        assert answered.status == "error"
        assert asked.content == [words]


class TestLoopsWithThinking:
    """Anthropic wants a turn to begin with its own thinking where `thinking` is `enabled`."""

    RESULT = ToolMessage("ok", tool_call_id="t1")

    @pytest.mark.parametrize(
        "answer",
        [
            by(OPUS, [THOUGHT, USE], tool_calls=[CALL]),
            by(OPUS, "", tool_calls=[CALL], additional_kwargs={"thinking_blocks": [THOUGHT]}),
        ],
        ids=["in content", "LiteLLM's"],
    )
    def test_a_loop_of_its_own_has_its_thought(self, answer):
        assert not goes_on_without_thought([HumanMessage("Hi"), answer, self.RESULT], OPUS)

    def test_a_loop_of_anothers_has_not(self):
        answer = by(SONNET, [THOUGHT, USE], tool_calls=[CALL])
        assert goes_on_without_thought([HumanMessage("Hi"), answer, self.RESULT], OPUS)

    def test_nor_has_one_that_another_took_part_in(self):
        own = by(OPUS, [THOUGHT, USE], tool_calls=[CALL])
        other = by(GPT, "", tool_calls=[{**CALL, "id": "t2"}])
        second = ToolMessage("ok", tool_call_id="t2")
        loop = [HumanMessage("Hi"), own, self.RESULT, other, second]
        assert goes_on_without_thought(loop, OPUS)

    def test_a_model_may_call_again_without_thinking_again(self):
        own = by(OPUS, [THOUGHT, USE], tool_calls=[CALL])
        again = by(OPUS, "", tool_calls=[{**CALL, "id": "t2"}])
        second = ToolMessage("ok", tool_call_id="t2")
        loop = [HumanMessage("Hi"), own, self.RESULT, again, second]
        assert not goes_on_without_thought(loop, OPUS)

    def test_words_that_interrupt_a_loop_do_not_end_it(self):
        other = by(GPT, "", tool_calls=[CALL])
        loop = [HumanMessage("Hi"), other, self.RESULT, HumanMessage("Hurry!")]
        assert goes_on_without_thought(loop, OPUS)

    @pytest.mark.parametrize(
        "messages",
        [[HumanMessage("Hi")], [HumanMessage("Hi"), by(GPT), HumanMessage("And?")], []],
        ids=["first turn", "after an answer", "nothing"],
    )
    def test_outside_of_a_loop_nothing_is_wanted(self, messages):
        assert not goes_on_without_thought(messages, OPUS)

    def test_where_thinking_is_off_its_own_goes_too_litellm_18926(self):
        own = by(OPUS, [THOUGHT, {"type": "text", "text": "Well."}, USE], tool_calls=[CALL])
        messages = [HumanMessage("Hi"), own, self.RESULT]
        _, answer, _ = made_safe(messages, OPUS, thoughts=False)
        assert (answer.content, answer.tool_calls) == ("Well.", [CALL])

    def test_a_thought_on_other_words_is_not_given_back(self):
        """The router asks for samples in words of its own, which newer signatures cover."""
        thought = [THOUGHT, {"type": "text", "text": "Well."}, USE]
        own = by(OPUS, thought, tool_calls=[CALL])
        calls = [{"model": "opus", "purpose": "sample", "accepted": True}]
        own.response_metadata["llmroute"]["calls"] = calls
        messages = [HumanMessage("Hi"), own, self.RESULT]
        assert made_safe(messages, OPUS)[1].content == "Well."
        assert goes_on_without_thought(messages, OPUS)

    @pytest.mark.parametrize(
        "call",
        [
            {"model": "opus", "purpose": "draft", "accepted": True},
            {"model": "gpt", "purpose": "sample", "accepted": False},
            {"model": "opus", "purpose": "sample", "accepted": False},
        ],
        ids=["its draft", "another's sample", "a sample that was not taken"],
    )
    def test_one_on_the_users_words_is(self, call):
        own = by(OPUS, [THOUGHT, USE], tool_calls=[CALL])
        own.response_metadata["llmroute"]["calls"] = [call]
        messages = [HumanMessage("Hi"), own, self.RESULT]
        assert made_safe(messages, OPUS) is messages
        assert not goes_on_without_thought(messages, OPUS)


# ---- properties

words = st.text(alphabet="abc xyz", min_size=1, max_size=8).filter(str.strip)
names = st.sampled_from(["call_0", "toolu_1", "functions.f:0", "x" * 60, "call_1__thought__aa=="])
foreign_blocks = st.sampled_from(
    [
        THOUGHT,
        {"type": "redacted_thinking", "data": "abc"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
    ]
)


@st.composite
def turns(draw: st.DrawFn) -> list[BaseMessage]:
    """What one model adds to a conversation: an answer, with the results of its calls."""
    maker = draw(st.sampled_from([*READERS, None]))
    text = draw(words)
    content: Any = text
    if draw(st.booleans()):
        blocks = draw(st.lists(foreign_blocks, max_size=2))
        mark = MARK if draw(st.booleans()) else {}
        content = [*blocks, {"type": "text", "text": text, **mark}]
    called = draw(st.lists(names, max_size=2, unique=True))
    calls = [{"name": "look", "args": {"at": text}, "id": n, "type": "tool_call"} for n in called]
    metadata = {"llmroute": {"answered_by": maker.name}} if maker is not None else {}
    extras = {"thinking_blocks": [THOUGHT]} if draw(st.booleans()) else {}
    answer = AIMessage(
        content, tool_calls=calls, response_metadata=metadata, additional_kwargs=extras
    )
    results = [ToolMessage(f"{text} seen", tool_call_id=name) for name in called]
    return [HumanMessage(draw(words)), answer, *results]


conversations = st.lists(turns(), max_size=5).map(lambda parts: [m for part in parts for m in part])


@given(conversations, st.sampled_from(READERS))
def test_text_and_calls_survive_any_switch(messages, reader):
    safe = made_safe(messages, reader)
    assert [message.type for message in safe] == [message.type for message in messages]
    assert [message.text for message in safe] == [message.text for message in messages]
    for old, new in zip(messages, safe, strict=True):
        if isinstance(old, AIMessage):
            assert [(c["name"], c["args"]) for c in new.tool_calls] == [
                (c["name"], c["args"]) for c in old.tool_calls
            ]


@given(conversations, st.sampled_from(READERS))
def test_every_result_still_follows_its_call(messages, reader):
    open_calls: list[str] = []
    for message in made_safe(messages, reader):
        if isinstance(message, AIMessage):
            assert not open_calls
            open_calls = [call["id"] for call in message.tool_calls]
        elif isinstance(message, ToolMessage):
            assert message.tool_call_id == open_calls.pop(0)


@given(conversations, st.sampled_from(READERS))
def test_nothing_of_anothers_is_left(messages, reader):
    for message in made_safe(messages, reader):
        if isinstance(message, AIMessage) and not reader.made(message):
            assert isinstance(message.content, str) or reader.takes_markers
            assert message.additional_kwargs == {}
            assert all(re.fullmatch("[a-zA-Z0-9_-]{1,40}", c["id"]) for c in message.tool_calls)


@given(conversations, conversations, st.sampled_from(READERS))
def test_a_conversation_that_grows_stays_the_same_at_its_beginning(messages, more, reader):
    """Or the prompt cache is lost, and newer models of Anthropic's refuse their own thoughts."""
    before, after = made_safe(messages, reader), made_safe([*messages, *more], reader)
    assert after[: len(before)] == before


@given(conversations, st.sampled_from(READERS))
def test_the_users_messages_are_not_changed(messages, reader):
    kept = copy.deepcopy(messages)
    made_safe(messages, reader)
    made_safe(messages, reader, thoughts=False)
    assert messages == kept


@given(conversations, st.sampled_from(READERS))
def test_made_safe_twice_is_made_safe_once(messages, reader):
    safe = made_safe(messages, reader)
    assert made_safe(safe, reader) == safe
