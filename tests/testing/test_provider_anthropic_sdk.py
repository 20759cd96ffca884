"""Anthropic's own client takes it for the real thing."""

import pytest

from llmroute.testing import Fault, Reply, ScriptedModel, ScriptedProvider, ToolCall

anthropic = pytest.importorskip("anthropic")

TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {}}}}
ASK = {
    "model": "claude",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "Hello"}],
    "tools": [TOOL],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}


def reply(request):
    if request.last_role == "tool":
        return "It rains."
    return Reply("One moment.", [ToolCall("weather", {"city": "Bern"})], reasoning="I look it up.")


@pytest.fixture
def provider():
    with ScriptedProvider([ScriptedModel("claude", reply=reply)]) as running:
        yield running


@pytest.fixture
def sdk(provider):
    url = provider.anthropic_url
    with anthropic.Anthropic(base_url=url, api_key="sk-x", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_loop_with_thinking(sdk, streamed):
    if streamed:
        with sdk.messages.stream(**ASK) as stream:
            answer = stream.get_final_message()
    else:
        answer = sdk.messages.create(**ASK)
    thought, text, call = answer.content
    assert (thought.type, thought.thinking) == ("thinking", "I look it up.")
    assert (text.type, text.text) == ("text", "One moment.")
    assert (call.type, call.input) == ("tool_use", {"city": "Bern"})
    assert answer.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    going_on = [
        *ASK["messages"],
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    end = sdk.messages.create(**{**ASK, "messages": going_on})
    assert end.content[-1].text == "It rains."
    assert end.usage.cache_read_input_tokens == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.rate_limit(), "RateLimitError"),
        (Fault.overloaded(), "OverloadedError"),
        (Fault.server_error(), "InternalServerError"),
        (Fault.unauthorized(), "AuthenticationError"),
        (Fault.not_found(), "NotFoundError"),
        (Fault.context_window(), "BadRequestError"),
        (Fault.disconnect(), "APIConnectionError"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_faults_raise_the_clients_errors(provider, sdk, fault, error):
    provider.fail("claude", fault)
    with pytest.raises(anthropic.APIError) as raised:
        sdk.messages.create(**ASK)
    assert error in [kind.__name__ for kind in type(raised.value).__mro__]


def test_an_error_in_a_stream_is_raised(provider, sdk):
    provider.fail("claude", Fault.error_in_stream(after=2))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        for _ in sdk.messages.create(**ASK, stream=True):
            pass
