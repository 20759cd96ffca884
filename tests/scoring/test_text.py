from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from llmroute.scoring.text import BUDGET, CONTEXT_BUDGET, RoutingText, head_and_tail, routing_text


def test_a_short_prompt_is_read_whole() -> None:
    assert RoutingText.of("hi") == RoutingText(text="hi", characters=2)
    assert routing_text([HumanMessage("hi")]) == RoutingText.of("hi")


def test_a_long_prompt_keeps_its_head_and_more_of_its_tail() -> None:
    text = "HEAD" + "x" * 50_000 + "the question at the end?"
    cut = RoutingText.of(text)
    assert cut.text.startswith("HEAD")
    assert cut.text.endswith("the question at the end?")
    assert len(cut.text) == BUDGET
    assert cut.characters == len(text)
    head, _, tail = cut.text.partition("\n")
    assert len(tail) > len(head)


def test_the_cut_is_exact_at_the_budget() -> None:
    assert head_and_tail("a" * 100, 100) == "a" * 100
    assert len(head_and_tail("a" * 101, 100)) == 100
    assert len(head_and_tail("abc", 1)) == 1


def test_last_turn_first_then_context_then_system_then_tools() -> None:
    read = routing_text(
        [
            SystemMessage("SYSTEM" + "s" * 5000),
            HumanMessage("EARLIER"),
            AIMessage("an answer that is not read"),
            HumanMessage("LAST"),
        ],
        tools=["search_web"],
    )
    assert read.text.endswith("LAST")
    assert read.text.index("search_web") < read.text.index("SYSTEM") < read.text.index("EARLIER")
    assert "not read" not in read.text
    assert len(read.text) < BUDGET


def test_a_long_last_turn_leaves_no_room_for_context() -> None:
    last = "q" * (BUDGET - 1)
    read = routing_text([SystemMessage("S"), HumanMessage("EARLIER"), HumanMessage(last)])
    assert read.text == last


def test_the_latest_of_many_earlier_turns_are_kept() -> None:
    turns = [HumanMessage(f"turn {i} " + "w" * 100) for i in range(20)]
    read = routing_text([*turns, HumanMessage("LAST")])
    assert "turn 19" in read.text
    assert "turn 0 " not in read.text
    assert len(read.text) <= CONTEXT_BUDGET + len("\nLAST")


def test_in_a_tool_loop_the_last_user_turn_stays_the_routing_text() -> None:
    call = AIMessage("", tool_calls=[{"name": "f", "args": {"city": "Rome"}, "id": "1"}])
    read = routing_text(
        [HumanMessage("weather?"), call, ToolMessage("r" * 900, tool_call_id="1")],
        extra_characters=50,
    )
    assert read.text == "weather?"
    assert read.characters >= len("weather?") + 900 + 50


def test_multimodal_content_becomes_text_and_markers() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}},
        {"type": "input_audio", "input_audio": {"data": "B" * 9000, "format": "wav"}},
        {"type": "file", "file": {"file_id": "1"}},
        {"type": "image", "url": "https://example.org/a.png"},
    ]
    read = routing_text([HumanMessage(content)])
    assert read.text == "What is this?\n[image]\n[audio]\n[file]\n[image]"
    assert (read.images, read.audio, read.files) == (2, 1, 1)
    assert read.characters == len(read.text)


def test_no_user_turn_and_no_message() -> None:
    assert routing_text([]).text == ""
    assert routing_text([SystemMessage("S")]).text == "S\n"
