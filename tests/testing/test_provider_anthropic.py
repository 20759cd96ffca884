"""Anthropic's protocol on the wire: answers whole and streamed, and the ways to fail."""

import http.client
import json

import pytest

from llmroute.testing import Fault, Reply, ScriptedModel, ScriptedProvider, ToolCall

THINK = {"type": "enabled", "budget_tokens": 1024}
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {}}}}
PATH = "/v1/messages"


def script(request):
    if request.last_user == "Call it.":
        return Reply("I call.", tool_calls=[ToolCall("weather", {"city": "Bern"})])
    if request.last_user == "Think.":
        return Reply("Thought.", reasoning="well, well")
    if request.last_user == "Think in secret.":
        return Reply("Thought.", reasoning="well, well", redacted=True)
    if request.last_user == "Again.":
        return Reply("Cached.", cached_tokens=3, cache_written_tokens=1)
    return None


@pytest.fixture
def provider():
    models = [
        ScriptedModel("claude", reply=script),
        ScriptedModel("fixed", reply="one two three"),
    ]
    with ScriptedProvider(models) as running:
        yield running


def request(prompt="Hello", model="claude", **body):
    return {
        "model": model,
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": prompt}],
        **body,
    }


@pytest.fixture
def ask(client):
    def one(prompt="Hello", model="claude", **body):
        return client.request(request(prompt, model, **body), PATH)

    return one


def events(response):
    """A stream as pairs of an event's name and its data."""
    found = []
    for block in response.body.decode().split("\n\n"):
        if block:
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


class TestAnswers:
    def test_a_message(self, ask):
        answer = ask("Hi", model="fixed").json
        assert answer["type"] == "message"
        assert answer["role"] == "assistant"
        assert answer["model"] == "fixed"
        assert answer["content"] == [{"type": "text", "text": "one two three"}]
        assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)

    def test_usage_tells_cached_tokens_apart(self, ask):
        usage = ask("Again.").json["usage"]
        assert usage["cache_read_input_tokens"] == 3
        assert usage["cache_creation_input_tokens"] == 1
        assert usage["input_tokens"] == 5 - 3 - 1  # "Again" and ".", and 3 for the message
        assert usage["output_tokens"] == 2

    def test_a_call_of_a_tool(self, ask):
        answer = ask("Call it.", tools=[TOOL]).json
        text, call = answer["content"]
        assert text == {"type": "text", "text": "I call."}
        assert (call["type"], call["name"], call["input"]) == (
            "tool_use",
            "weather",
            {"city": "Bern"},
        )
        assert answer["stop_reason"] == "tool_use"

    def test_thinking_where_it_is_asked_for(self, ask):
        assert [block["type"] for block in ask("Think.").json["content"]] == ["text"]
        thought, _ = ask("Think.", thinking=THINK).json["content"]
        assert thought["type"] == "thinking"
        assert thought["thinking"] == "well, well"
        assert thought["signature"]

    def test_a_model_told_to_think_thinks_without_a_script_for_it(self, ask):
        assert ask("Hi", thinking=THINK).json["content"][0]["type"] == "thinking"

    def test_a_model_free_to_think_need_not(self, ask):
        assert ask("Hi", thinking={"type": "adaptive"}).json["content"][0]["type"] == "text"

    def test_sealed_thinking_shows_nothing(self, ask):
        sealed, _ = ask("Think in secret.", thinking=THINK).json["content"]
        assert sealed["type"] == "redacted_thinking"
        assert "well" not in sealed["data"]

    def test_the_answer_stops_at_max_tokens(self, ask):
        answer = ask("Hi", model="fixed", max_tokens=2).json
        assert answer["content"][0]["text"] == "one two"
        assert answer["stop_reason"] == "max_tokens"

    def test_an_answer_in_a_schema(self, ask):
        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        wanted = {"format": {"type": "json_schema", "schema": schema}}
        answer = ask("Say 'Bern'.", output_config=wanted).json
        assert json.loads(answer["content"][0]["text"]) == {"city": "Bern"}

    def test_a_script_sees_the_request_in_openais_shape(self, client):
        seen = []
        conversation = [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bern"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "Rain"},
                    {"type": "text", "text": "And?"},
                ],
            },
        ]
        with ScriptedProvider([ScriptedModel("spy", reply=seen.append)]) as running:
            connection = http.client.HTTPConnection(running.base_url.split("/")[2])
            body = request(model="spy", messages=conversation, tools=[TOOL], system="Be brief.")
            connection.request("POST", PATH, json.dumps(body))
            assert connection.getresponse().status == 200
            connection.close()
        (asked,) = seen
        assert [message["role"] for message in asked.messages] == [
            "system",
            "user",
            "assistant",
            "tool",
            "user",
        ]
        assert asked.messages[2]["tool_calls"][0]["function"]["name"] == "weather"
        assert asked.messages[3] == {"role": "tool", "tool_call_id": "t1", "content": "Rain"}
        assert asked.tools[0]["function"]["parameters"] == TOOL["input_schema"]


class TestStreams:
    def test_the_events_come_in_anthropics_order(self, ask):
        names = [name for name, _ in events(ask("Hi", model="fixed", stream=True))]
        assert names == [
            "message_start",
            "ping",
            "content_block_start",
            *["content_block_delta"] * 3,
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]

    def test_every_event_names_itself_in_its_data(self, ask):
        assert all(name == data["type"] for name, data in events(ask("Hi", stream=True)))

    def test_the_pieces_are_the_whole_answer(self, ask):
        asked = {"thinking": THINK, "tools": [TOOL]}
        whole = ask("Call it.", **asked).json
        built: dict[int, dict] = {}
        for name, data in events(ask("Call it.", **asked, stream=True)):
            if name == "content_block_start":
                built[data["index"]] = {**data["content_block"], "json": ""}
            elif name == "content_block_delta":
                block, delta = built[data["index"]], data["delta"]
                kind = delta["type"].removesuffix("_delta")
                if kind == "input_json":
                    block["json"] += delta["partial_json"]
                else:
                    block[kind] += delta[kind]
        for block in built.values():
            text = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = json.loads(text)
        assert list(built.values()) == whole["content"]

    def test_the_end_tells_why_and_what_it_cost(self, ask):
        end = dict(events(ask("Hi", model="fixed", stream=True)))["message_delta"]
        assert end["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
        assert end["usage"]["output_tokens"] == 3


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "status", "kind"),
        [
            (Fault.rate_limit(retry_after=2), 429, "rate_limit_error"),
            (Fault.server_error(), 500, "api_error"),
            (Fault.overloaded(), 529, "overloaded_error"),
            (Fault.unauthorized(), 401, "authentication_error"),
            (Fault.forbidden(), 403, "permission_error"),
            (Fault.not_found(), 404, "not_found_error"),
            (Fault.bad_request("No."), 400, "invalid_request_error"),
            (Fault.context_window(), 400, "invalid_request_error"),
            (Fault.content_policy(), 400, "invalid_request_error"),
            (Fault.error_in_stream(), 500, "api_error"),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_errors_are_in_anthropics_words(self, provider, ask, fault, status, kind):
        provider.fail("claude", fault)
        response = ask()
        assert response.status == status
        assert response.json["type"] == "error"
        assert response.error["type"] == kind
        assert response.json["request_id"]

    def test_the_wait_is_in_the_header(self, provider, ask):
        provider.fail("claude", Fault.rate_limit(retry_after=2))
        assert ask().headers["retry-after"] == "2"

    def test_a_prompt_that_is_too_long_is_called_so(self, provider, ask):
        provider.fail("claude", Fault.context_window(100))
        assert ask().error["message"] == "prompt is too long: 101 tokens > 100 maximum"

    def test_a_careless_refusal_repeats_the_key(self, provider, client):
        provider.fail("claude", Fault.unauthorized())
        response = client.request(request(), PATH, headers={"x-api-key": "sk-ant-1"})
        assert "sk-ant-1" in response.error["message"]

    def test_a_model_that_is_not_there(self, ask):
        response = ask(model="nobody")
        assert (response.status, response.error["message"]) == (404, "model: nobody")

    def test_an_empty_answer_has_no_content(self, provider, ask):
        provider.fail("claude", Fault.empty(), Fault.no_choices())
        assert [ask().json["content"] for _ in range(2)] == [[], []]

    def test_a_cut_stream_has_no_end(self, provider, ask):
        provider.fail("fixed", Fault.cut_stream(after=2))
        names = [name for name, _ in events(ask(model="fixed", stream=True))]
        assert names.count("content_block_delta") == 2
        assert names[-1] == "content_block_delta"

    def test_an_error_in_a_stream_is_an_event_of_its_own(self, provider, ask):
        provider.fail("fixed", Fault.error_in_stream(after=1))
        name, data = events(ask(model="fixed", stream=True))[-1]
        assert (name, data["error"]["type"]) == ("error", "overloaded_error")

    def test_a_torn_answer_is_shorter_than_it_says(self, provider, ask):
        provider.fail("claude", Fault.cut_stream())
        with pytest.raises(http.client.IncompleteRead):
            ask()

    def test_a_script_that_raises_is_a_server_error(self, client):
        def broken(asked):
            raise LookupError("no such page")

        with ScriptedProvider([ScriptedModel("m", reply=broken)]) as running:
            connection = http.client.HTTPConnection(running.base_url.split("/")[2])
            connection.request("POST", PATH, json.dumps(request(model="m")))
            response = connection.getresponse()
            assert response.status == 500
            assert "LookupError: no such page" in response.read().decode()
            connection.close()


def test_both_protocols_are_spoken_at_one_address(provider, client, ask):
    assert provider.anthropic_url + "/v1" == provider.base_url
    assert client.chat("Hi", model="fixed").text == "one two three"
    assert ask("Hi", model="fixed").json["content"][0]["text"] == "one two three"
    assert [entry.path for entry in provider.requests] == ["/v1/chat/completions", PATH]
