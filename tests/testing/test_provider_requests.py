"""Requests a provider turns down, and how it says so."""

import pytest

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "ok"}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_no_json_object(client, body):
    response = client.request(body)
    assert response.status == 400
    assert "JSON" in response.error["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [USER, {"role": "robot", "content": "Hi"}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{**ASSISTANT, "tool_calls": "f"}]}, "messages[0].tool_calls"),
        ({"messages": [{**ASSISTANT, "tool_calls": [{"id": "x"}]}]}, "messages[0].tool_calls"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"stop": 3}, "stop"),
        ({"tools": "f"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"function": {"name": "g"}}}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(client, body, param):
    response = client.request({"model": "small", "messages": [USER], **body})
    assert response.status == 400
    assert response.error["type"] == "invalid_request_error"
    assert response.error["param"] == param


@pytest.mark.parametrize(
    "messages",
    [
        [USER, RESULT],
        [USER, ASSISTANT, {**RESULT, "tool_call_id": "c2"}],
        [USER, ASSISTANT, RESULT, USER, RESULT],
    ],
)
def test_a_tool_result_needs_its_call_just_before(client, messages):
    response = client.chat(messages=messages)
    assert response.status == 400
    assert "must be a response to a preceding message" in response.error["message"]


@pytest.mark.parametrize("messages", [[USER, ASSISTANT], [USER, ASSISTANT, USER]])
def test_a_call_needs_its_result(client, messages):
    response = client.chat(messages=messages)
    assert response.status == 400
    assert "had no response: c1" in response.error["message"]


def test_a_whole_tool_turn_is_fine(client):
    assert client.chat(messages=[USER, ASSISTANT, RESULT]).status == 200
    assert client.chat(messages=[USER, ASSISTANT, RESULT, USER]).status == 200


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_are_fine(client, role):
    assert client.chat(messages=[{"role": role, "content": "Be kind."}, USER]).status == 200


def test_an_unknown_model_is_404(provider, client):
    response = client.chat(model="huge")
    assert response.status == 404
    assert response.error["code"] == "model_not_found"
    assert "`huge`" in response.error["message"]
    assert provider.count("huge") == 1


def test_an_unknown_path_is_404(client):
    response = client.request({}, "/v1/embeddings")
    assert response.status == 404
    assert "/v1/embeddings" in response.error["message"]
