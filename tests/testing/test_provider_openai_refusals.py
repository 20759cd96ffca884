"""What OpenAI refuses when a conversation comes to it from another provider."""

import pytest

USER = {"role": "user", "content": "Hi"}


def answer(*blocks, **more):
    return {"role": "assistant", "content": list(blocks) or "Well.", **more}


@pytest.fixture
def refused(client):
    def one(*messages, **body):
        response = client.chat(messages=[USER, *messages, USER], **body)
        assert response.status == 400
        assert response.error["type"] == "invalid_request_error"
        return response.error

    return one


@pytest.mark.parametrize(
    "kind",
    ["thinking", "redacted_thinking", "tool_use", "reasoning", "tool_call", "server_tool_use"],
)
def test_a_block_it_does_not_know(refused, kind):
    error = refused(answer({"type": kind}))
    assert error["message"].startswith(f"Invalid value: '{kind}'. Supported values are: 'text'")
    assert (error["param"], error["code"]) == ("messages[1].content[0].type", "invalid_value")


@pytest.mark.parametrize("key", ["cache_control", "thinking_blocks", "reasoning_content"])
def test_a_key_of_a_message_it_does_not_know(refused, key):
    error = refused(answer(**{key: []}))
    assert error["message"] == f"Unknown parameter: 'messages[1].{key}'."
    assert error["code"] == "unknown_parameter"


def test_a_cache_marker_on_a_block(refused):
    marked = {"type": "text", "text": "Well.", "cache_control": {"type": "ephemeral"}}
    error = refused(answer(marked))
    assert error["message"] == "Unknown parameter: 'messages[1].content[0].cache_control'."


def test_a_cache_marker_on_a_tool(refused):
    tool = {"type": "function", "function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}
    error = refused(tools=[tool])
    assert error["message"] == "Unknown parameter: 'tools[0].cache_control'."


@pytest.mark.parametrize("name", ["cache_control", "thinking", "system", "stop_sequences"])
def test_an_argument_of_anthropics(refused, name):
    assert refused(**{name: {}})["message"] == f"Unrecognized request argument supplied: {name}"


def test_a_name_of_a_call_that_is_too_long(refused):
    name = "c" * 41
    call = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": name, "content": "ok"}
    error = refused(answer(tool_calls=[call]), result)
    assert error["message"] == (
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum "
        "length 40, but got a string with length 41 instead."
    )
    assert error["code"] == "string_above_max_length"
