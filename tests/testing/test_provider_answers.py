"""What a healthy model answers, and what the answer looks like on the wire."""

import json
import math
import time

import pytest

from llmroute.testing import Reply, ScriptedModel, ToolCall

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a"],
        },
    },
}
GREET = {
    "type": "function",
    "function": {
        "name": "greet",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    },
}
TOOL_TURN = [
    {"role": "user", "content": "add 1"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "4"},
]


def calls(response):
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in response.message["tool_calls"]
    ]


# Shape


def test_the_body_has_openais_shape_and_echoes_the_model(client):
    body = client.chat("Hello there", model="fixed").json
    assert body["object"] == "chat.completion"
    assert body["model"] == "fixed"
    assert body["id"].startswith("chatcmpl-")
    assert abs(body["created"] - time.time()) < 5
    assert body["system_fingerprint"]
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "one two three four five",
                "refusal": None,
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


def test_usage_follows_the_documented_rule(client):
    # Hello, comma, there: three tokens, and three for the message.
    assert client.chat("Hello, there", model="fixed").json["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 5,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_prices_make_a_cost():
    assert ScriptedModel("m", input_price=2, output_price=8).cost(1_000_000, 500_000) == 6


def test_reasoning_is_shown_and_billed(client):
    response = client.chat(model="thinker")
    assert response.message["reasoning_content"] == "well, well"
    usage = response.json["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 3
    assert usage["completion_tokens"] == 5


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_paths_work_with_and_without_v1(client, path):
    body = {"model": "fixed", "messages": [{"role": "user", "content": "Hi"}]}
    assert client.request(body, path).status == 200


def test_models_are_listed(client):
    listed = client.request(b"", "/v1/models", "GET").json
    assert listed["object"] == "list"
    names = [model["id"] for model in listed["data"]]
    assert names == ["small", "big", "fixed", "thinker", "sampler"]


# Text


def test_the_default_answer_is_the_same_each_time_and_names_model_and_prompt(client):
    first, second = client.chat("Tell me a story"), client.chat("Tell me a story")
    assert first.text == second.text
    assert first.text.startswith("stand-in answer from small to: Tell me a story.")


def test_a_longer_prompt_gets_a_longer_answer(client):
    assert len(client.chat("word " * 300).text) > len(client.chat("word").text)


def test_a_reply_may_be_a_callable_that_sees_the_request(ask):
    model = ScriptedModel("m", reply=lambda r: f"{r.last_user}/{len(r.messages)}/{r.body['user']}")
    assert ask(model, user="me").text == "Hello/1/me"


def test_a_callable_may_leave_the_answer_to_the_defaults(ask):
    assert ask(ScriptedModel("m", reply=lambda r: None)).text.startswith("stand-in answer from m")


def test_a_callable_that_raises_is_an_http_500_that_says_so(ask):
    def reply(request):
        raise KeyError("oops")

    response = ask(ScriptedModel("m", reply=reply))
    assert response.status == 500
    assert "'m' raised KeyError: 'oops'" in response.error["message"]


def test_a_reply_object_scripts_all_of_an_answer(ask):
    said = Reply(
        "Let me see.",
        tool_calls=[ToolCall("add", {"a": 1}), ToolCall("add", "{broken", id="c9")],
        finish_reason="content_filter",
        cached_tokens=2,
    )
    body = ask(ScriptedModel("m", reply=lambda r: said)).json
    choice = body["choices"][0]
    first, second = choice["message"]["tool_calls"]
    assert choice["message"]["content"] == "Let me see."
    assert json.loads(first["function"]["arguments"]) == {"a": 1}
    assert second == {
        "id": "c9",
        "type": "function",
        "function": {"name": "add", "arguments": "{broken"},
    }
    assert first["id"] != second["id"]
    assert choice["finish_reason"] == "content_filter"
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 2


def test_delay_and_chunk_delay_take_time(ask):
    model = ScriptedModel("m", reply="one two three", delay=0.05, chunk_delay=0.05)
    start = time.monotonic()
    assert ask(model).text == "one two three"
    assert time.monotonic() - start >= 0.05
    start = time.monotonic()
    assert ask(model, stream=True).streamed == "one two three"
    assert time.monotonic() - start >= 0.2


# Limits


@pytest.mark.parametrize("stop", ["three", ["five", "three"]])
def test_stop_ends_the_text_before_the_stop_string(client, stop):
    response = client.chat(model="fixed", stop=stop)
    assert response.text == "one two "
    assert response.json["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_cuts_the_text(client, name):
    response = client.chat(model="fixed", **{name: 2})
    assert response.text == "one two"
    assert response.json["choices"][0]["finish_reason"] == "length"
    assert response.json["usage"]["completion_tokens"] == 2


def test_a_text_within_max_tokens_is_left_alone(client):
    response = client.chat(model="fixed", max_tokens=5)
    assert response.json["choices"][0]["finish_reason"] == "stop"


# Samples


def test_n_choices_are_n_samples(client):
    choices = client.chat(model="sampler", n=3).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert [c["message"]["content"] for c in choices] == ["sample 0", "sample 1", "sample 2"]


def test_without_temperature_the_same_request_gets_the_same_sample(client):
    assert [client.chat(model="sampler").text for _ in range(2)] == ["sample 0", "sample 0"]


def test_with_temperature_asking_again_gives_the_next_sample(provider, client):
    def ask_hot(prompt="Hello", **more):
        return client.chat(prompt, model="sampler", temperature=0.7, **more).text

    assert [ask_hot(), ask_hot(), ask_hot("Other")] == ["sample 0", "sample 1", "sample 0"]
    assert [ask_hot(seed=7), ask_hot(seed=7)] == ["sample 7", "sample 7"]
    provider.clear()
    assert ask_hot() == "sample 0"


# Streams


def test_a_stream_is_role_content_finish_done(client):
    response = client.chat(model="fixed", stream=True)
    first, *content, last = response.chunks
    assert response.headers["content-type"].startswith("text/event-stream")
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["delta"]["content"] for c in content] == [
        "one",
        " two",
        " three",
        " four",
        " five",
    ]
    assert last["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert response.data[-1] == "[DONE]"
    assert len({chunk["id"] for chunk in response.chunks}) == 1
    assert all("usage" not in chunk for chunk in response.chunks)


def test_usage_comes_last_when_asked_for(client):
    options = {"include_usage": True}
    response = client.chat(model="fixed", stream=True, stream_options=options)
    *others, last = response.chunks
    assert last["choices"] == []
    assert last["usage"] == client.chat(model="fixed").json["usage"]
    assert all(chunk["usage"] is None for chunk in others)


def test_choices_take_turns_in_a_stream(client):
    chunks = client.chat(model="sampler", stream=True, n=2).chunks
    assert [chunk["choices"][0]["index"] for chunk in chunks] == [0, 1] * 4


def test_reasoning_is_streamed_before_the_text(client):
    chunks = client.chat(model="thinker", stream=True).chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == "well, well"
    assert [k for d in deltas[1:4] for k in d] == ["reasoning_content"] * 3


# Tools


def test_a_tool_is_called_when_the_user_spoke_last(client):
    response = client.chat(tools=[ADD, GREET])
    assert calls(response) == [("add", {"a": 3})]
    assert response.text is None
    assert response.json["choices"][0]["finish_reason"] == "tool_calls"


def test_after_a_tool_result_it_is_text(client):
    assert client.chat(messages=TOOL_TURN, tools=[ADD, GREET]).text.startswith("stand-in")


def test_after_a_tool_result_a_demanded_call_goes_to_the_last_tool(client):
    for choice in ("required", "any"):
        response = client.chat(messages=TOOL_TURN, tools=[ADD, GREET], tool_choice=choice)
        assert [name for name, _ in calls(response)] == ["greet"]


def test_a_named_tool_is_called(client):
    named = {"type": "function", "function": {"name": "greet"}}
    response = client.chat("Greet 'Zoë 你好' for me", tools=[ADD, GREET], tool_choice=named)
    assert calls(response) == [("greet", {"name": "Zoë 你好"})]


def test_tool_choice_none_is_text(client):
    assert client.chat(tools=[ADD], tool_choice="none").text.startswith("stand-in")


def test_string_arguments_are_the_quoted_text_but_no_apostrophe(client):
    prompt = "What's Ann's word for \"sea lion\", isn't it"
    assert calls(client.chat(prompt, tools=[GREET])) == [("greet", {"name": "sea lion"})]


def test_arguments_are_streamed_in_pieces(client):
    response = client.chat("Greet 'a rather long name'", tools=[GREET], stream=True)
    deltas = [chunk["choices"][0]["delta"] for chunk in response.chunks]
    pieces = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert pieces[0]["function"] == {"name": "greet", "arguments": ""}
    assert pieces[0]["id"].startswith("call_")
    assert all("id" not in piece and piece["index"] == 0 for piece in pieces[1:])
    assert len(pieces) > 3
    arguments = "".join(piece["function"]["arguments"] for piece in pieces)
    assert json.loads(arguments) == {"name": "a rather long name"}
    assert response.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


# Structured answers


def test_json_schema_is_filled(client):
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "X", "schema": schema}}
    assert json.loads(client.chat(response_format=wanted).text) == {"x": 3}


def test_json_object_is_a_joke(client):
    text = client.chat("Tell a joke", response_format={"type": "json_object"}).text
    assert json.loads(text) == {"setup": "Tell a joke", "punchline": "Tell a joke"}


# Log-probabilities


def test_logprobs_cover_the_text_token_by_token(client):
    choice = client.chat(model="fixed", logprobs=True, top_logprobs=3).json["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "one two three four five"
    for entry in content:
        tops = [top["logprob"] for top in entry["top_logprobs"]]
        assert entry["bytes"] == list(entry["token"].encode())
        assert len(tops) == 3
        assert tops == sorted(tops, reverse=True)
        assert entry["logprob"] == tops[0] < 0
        assert sum(map(math.exp, tops)) < 1


def test_logprobs_are_the_same_each_time_and_in_a_stream(client):
    asked = {"model": "fixed", "logprobs": True, "top_logprobs": 2}
    whole = client.chat(**asked).json["choices"][0]["logprobs"]["content"]
    chunks = client.chat(**asked, stream=True).chunks
    streamed = [c["choices"][0]["logprobs"]["content"] for c in chunks[1:-1]]
    assert [entry for (entry,) in streamed] == whole


def test_no_alternatives_unless_asked_for(client):
    content = client.chat(model="fixed", logprobs=True).json["choices"][0]["logprobs"]["content"]
    assert all(entry["top_logprobs"] == [] for entry in content)


def test_twenty_alternatives_are_twenty_different_tokens(client):
    choice = client.chat(model="fixed", logprobs=True, top_logprobs=20).json["choices"][0]
    tops = choice["logprobs"]["content"][0]["top_logprobs"]
    assert len({top["token"] for top in tops}) == 20


def test_a_scripted_confidence_shows_in_the_margin(ask):
    def margin(confidence):
        model = ScriptedModel("m", reply=lambda r: Reply("yes", confidence=confidence))
        choice = ask(model, logprobs=True, top_logprobs=2).json["choices"][0]
        first, second = choice["logprobs"]["content"][0]["top_logprobs"]
        return math.exp(first["logprob"]) - math.exp(second["logprob"])

    assert margin(0.0) < 0.1 < margin(0.5) < 0.9 < margin(1.0)


# Media


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x;base64,AAAA"}},
    ],
)
def test_media_have_a_fixed_cost(client, part):
    content = [{"type": "text", "text": "Look here"}, part]
    response = client.chat(messages=[{"role": "user", "content": content}])
    assert response.json["usage"]["prompt_tokens"] == 3 + 2 + 85
    assert "Look here" in response.text
