"""The official client takes it for the real thing."""

import asyncio
import json
import time

import pytest

from llmroute.testing import Fault

openai = pytest.importorskip("openai")

ASK = {"model": "fixed", "messages": [{"role": "user", "content": "Hello"}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def sdk(provider):
    with openai.OpenAI(base_url=provider.base_url, api_key="sk-x", max_retries=0) as client:
        yield client


def test_a_plain_answer(provider, sdk):
    answer = sdk.chat.completions.create(**ASK, n=2, logprobs=True, top_logprobs=2)
    assert answer.model == "fixed"
    assert [choice.message.content for choice in answer.choices] == ["one two three four five"] * 2
    assert len(answer.choices[1].logprobs.content[0].top_logprobs) == 2
    assert answer.usage.total_tokens == 4 + 10
    assert provider.requests[0].headers["authorization"] == "Bearer sk-x"


def test_a_stream(sdk):
    options = {"include_usage": True}
    chunks = list(
        sdk.chat.completions.create(**ASK, stream=True, stream_options=options, logprobs=True)
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one two three four five"
    assert chunks[1].choices[0].logprobs.content[0].token == "one"
    assert chunks[-1].usage.completion_tokens == 5


def test_a_streamed_tool_call(sdk):
    asked = {**ASK, "model": "small", "tools": [WEATHER], "tool_choice": "required"}
    with sdk.chat.completions.stream(**asked) as stream:
        answer = stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Hello"}


def test_the_async_client(provider):
    async def ask():
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="x") as client:
            return await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(20)))

    assert len(asyncio.run(ask())) == 20


def test_models_are_listed(sdk):
    assert [model.id for model in sdk.models.list()][:2] == ["small", "big"]


def test_the_client_waits_as_long_as_it_is_told(provider):
    provider.fail("fixed", Fault.rate_limit(retry_after=0.1))
    start = time.monotonic()
    with openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=1) as client:
        client.chat.completions.create(**ASK)
    assert time.monotonic() - start >= 0.1
    assert provider.count("fixed") == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.rate_limit(), "RateLimitError"),
        (Fault.server_error(), "InternalServerError"),
        (Fault.unauthorized(), "AuthenticationError"),
        (Fault.forbidden(), "PermissionDeniedError"),
        (Fault.not_found(), "NotFoundError"),
        (Fault.context_window(), "BadRequestError"),
        (Fault.disconnect(), "APIConnectionError"),
        (Fault.hang(30), "APITimeoutError"),
    ],
)
def test_faults_become_the_clients_own_errors(provider, sdk, fault, error):
    provider.fail("fixed", fault)
    with pytest.raises(getattr(openai, error)):
        sdk.with_options(timeout=0.2).chat.completions.create(**ASK)


def test_an_error_in_a_stream_is_raised_after_the_text_so_far(provider, sdk):
    provider.fail("fixed", Fault.error_in_stream(after=2))
    stream = sdk.chat.completions.create(**ASK, stream=True)
    text = [next(stream).choices[0].delta.content for _ in range(3)]
    assert text == ["", "one", " two"]
    with pytest.raises(openai.APIError):
        next(stream)


def test_a_clean_cut_is_invisible_but_for_the_missing_finish_reason(provider, sdk):
    provider.fail("fixed", Fault.cut_stream(after=2))
    chunks = list(sdk.chat.completions.create(**ASK, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 3
