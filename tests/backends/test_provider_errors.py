"""Errors of other people's SDKs in our own tree, without keys."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.backends.provider_errors import (
    redact,
    secrets_in,
    status_of,
    translate,
    without_secrets,
)
from llmroute.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContentRefused,
    ContextWindowExceeded,
    InvalidRequest,
    LLMRouteError,
    MalformedAnswer,
    ModelNotFound,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    StreamInterrupted,
)

REQUEST = httpx.Request("POST", "http://127.0.0.1/v1")


def status_error(status: int, message: str = "x", **headers: str) -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST, headers=headers)
    return openai.APIStatusError(message, response=response, body=None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (status_error(400), InvalidRequest),
        (status_error(422), InvalidRequest),
        (status_error(400, "maximum context length is 8192"), ContextWindowExceeded),
        (status_error(400, "prompt is too long: 9 tokens > 8"), ContextWindowExceeded),
        (status_error(400, "violates our content policy"), ContentRefused),
        (status_error(401), AuthenticationFailed),
        (status_error(403), AuthenticationFailed),
        (status_error(404), ModelNotFound),
        (status_error(408), ProviderTimeout),
        (status_error(429), RateLimited),
        (status_error(500), ProviderUnavailable),
        (status_error(529), ProviderUnavailable),
        (openai.APITimeoutError(REQUEST), ProviderTimeout),
        (openai.APIConnectionError(request=REQUEST), ProviderUnavailable),
        (httpx.ReadTimeout("slow"), ProviderTimeout),
        (httpx.RemoteProtocolError("incomplete"), StreamInterrupted),
        (httpx.ConnectError("refused"), ProviderUnavailable),
        (TimeoutError(), ProviderTimeout),
        (ConnectionResetError(), ProviderUnavailable),
        (json.JSONDecodeError("x", "y", 0), MalformedAnswer),
        (status_error(402), RateLimited),
        (status_error(413), ContextWindowExceeded),
        (socket.gaierror("no such host"), ProviderUnavailable),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else repr(v)[:40],
)
def test_what_an_sdk_raises_has_its_place_in_the_tree(error: Exception, expected: Any) -> None:
    translated = translate(error, "m")
    assert type(translated) is expected
    assert translated.model == "m"


@pytest.mark.parametrize(
    "error",
    [TypeError(), KeyError("x"), ValueError("x"), KeyboardInterrupt(), ConfigurationError("x")],
)
def test_a_bug_or_a_mistake_is_no_providers_failure(error: BaseException) -> None:
    assert translate(error, "m") is None


def test_every_provider_error_has_a_word_for_the_record() -> None:
    def subclasses(kind: type) -> set[type]:
        return {kind}.union(*map(subclasses, kind.__subclasses__()))

    for kind in subclasses(ProviderError):
        assert status_of(kind("x"))
    assert status_of(None) == "ok"
    assert issubclass(ProviderError, LLMRouteError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    translated = translate(status_error(429, **headers), "m")
    assert translated is not None
    assert translated.retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abc123def456ghi.",
        "Authorization: Bearer abc.def-ghi",
        "key AIzaSyA1234567890abcdefghijklmn is not valid",
        "gsk_abc9defghijklmnop refused",
    ],
)
def test_anything_that_looks_like_a_key_is_taken_out(text: str) -> None:
    cleaned = redact(text)
    assert "[key]" in cleaned
    assert not any(part in cleaned for part in ("abc", "AIzaSyA"))


@given(secret=st.text("abcdefgh0123456789", min_size=8), before=st.text(), after=st.text())
def test_a_key_that_was_sent_never_comes_back(secret: str, before: str, after: str) -> None:
    assert secret not in redact(f"{before}{secret}{after}", secret).replace("[key]", "")


def test_a_message_is_kept_short() -> None:
    assert len(redact("word " * 1000)) <= 500


def test_ordinary_words_are_left_alone() -> None:
    text = "The task-oriented key-value store has api-compatible risk-free sky-high limits."
    assert redact(text) == text


def test_a_key_that_is_missing_is_a_matter_of_authentication(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from llmroute import RouterChain
    from llmroute.policies import Pinned

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    router = RouterChain(pool=["openai/gpt-4.1"], policy=Pinned(model="openai/gpt-4.1"))
    with pytest.raises(AuthenticationFailed) as raised:
        router.invoke("hello")
    assert len(raised.value.calls) == 1


class TestCauses:
    def unreadable(self) -> Exception:
        try:
            json.loads("{")
        except ValueError:
            try:
                raise status_error(500, "cannot read the answer")
            except openai.APIStatusError as error:
                return error
        raise AssertionError

    def test_what_lies_below_an_error_tells_what_it_is(self) -> None:
        assert type(translate(self.unreadable(), "m")) is MalformedAnswer

    def test_what_the_caller_was_handling_is_no_cause(self) -> None:
        error = self.unreadable()
        assert type(translate(error, "m", handling=error.__context__)) is ProviderUnavailable

    def test_an_error_that_is_its_own_cause_comes_to_an_end(self) -> None:
        error = status_error(500)
        error.__cause__ = error
        assert type(translate(error, "m")) is ProviderUnavailable


def test_an_answer_that_does_not_parse_is_not_quoted() -> None:
    from langchain_core.exceptions import OutputParserException
    from pydantic import BaseModel, ValidationError

    class Age(BaseModel):
        age: int

    try:
        Age.model_validate({"age": "my secret diary"})
    except ValidationError as report:
        error = OutputParserException("Failed to parse: my secret diary")
        error.__cause__ = report
    translated = translate(error, "m")
    assert type(translated) is MalformedAnswer
    assert translated.message == "the answer does not fit the schema: age: int_parsing"


def test_secrets_are_found_by_their_names() -> None:
    settings = {
        "api_key": "plain-words",
        "extra_headers": {"Authorization": "Bearer abc.def"},
        "max_tokens": 5,
        "model": "gpt",
    }
    assert {"plain-words", "abc.def"} <= set(secrets_in(settings))
    assert "gpt" not in secrets_in(settings)
    assert without_secrets(settings) == {"extra_headers": {}, "max_tokens": 5, "model": "gpt"}
