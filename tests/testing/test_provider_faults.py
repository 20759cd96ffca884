"""Each way to fail, seen from the client's side of the wire."""

import http.client
import json
import threading
import time
from email.utils import parsedate_to_datetime

import pytest

from llmroute.testing import Fault

STREAM = {"model": "fixed", "stream": True}


def wait_until(condition, seconds=2.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


# Queueing


def test_faults_come_first_in_first_out_and_then_the_model_answers(provider, client):
    provider.fail("small", Fault.server_error())
    provider.fail("small", Fault.overloaded(), Fault.rate_limit())
    assert [client.chat().status for _ in range(4)] == [500, 503, 429, 200]
    assert [entry.fault for entry in provider.requests] == [
        "server_error",
        "overloaded",
        "rate_limit",
        None,
    ]


def test_times_repeats_the_row_of_faults(provider, client):
    provider.fail("small", Fault.server_error(), Fault.overloaded(), times=2)
    assert [client.chat().status for _ in range(5)] == [500, 503, 500, 503, 200]


def test_times_none_fails_until_cleared(provider, client):
    provider.fail("small", Fault.server_error(), times=None)
    assert [client.chat().status for _ in range(5)] == [500] * 5
    provider.clear()
    assert client.chat().status == 200


def test_a_fault_strikes_its_own_model_only(provider, client):
    provider.fail("small", Fault.server_error())
    assert client.chat(model="big").status == 200
    assert client.chat(model="small").status == 500


def test_a_request_refused_as_malformed_leaves_the_queue_alone(provider, client):
    provider.fail("small", Fault.server_error())
    assert client.chat(messages=[]).status == 400
    assert client.chat().status == 500


def test_fail_refuses_unknown_models(provider):
    with pytest.raises(ValueError, match="no model 'nobody' here"):
        provider.fail("nobody", Fault.html())


def test_fail_refuses_empty_rows(provider):
    with pytest.raises(ValueError, match="at least one fault"):
        provider.fail("small")


def test_fail_refuses_zero_times(provider):
    with pytest.raises(ValueError, match="times of at least 1"):
        provider.fail("small", Fault.html(), times=0)


# Refusals


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.rate_limit(), 429, "rate_limit_exceeded"),
        (Fault.server_error(), 500, None),
        (Fault.server_error(502), 502, None),
        (Fault.server_error(529), 529, None),
        (Fault.overloaded(), 503, "overloaded"),
        (Fault.unauthorized(), 401, "invalid_api_key"),
        (Fault.forbidden(), 403, "model_not_allowed"),
        (Fault.not_found(), 404, "model_not_found"),
        (Fault.bad_request(), 400, None),
        (Fault.context_window(), 400, "context_length_exceeded"),
        (Fault.content_policy(), 400, "content_policy_violation"),
    ],
)
def test_refusals_are_openai_shaped_errors(provider, client, fault, status, code, stream):
    provider.fail("small", fault)
    response = client.chat(stream=stream)
    assert response.status == status
    assert set(response.error) == {"message", "type", "param", "code"}
    assert response.error["code"] == code
    assert provider.requests[0].status == status
    assert provider.requests[0].fault == fault.name


def test_rate_limit_says_when_to_come_back(provider, client):
    provider.fail("small", Fault.rate_limit(), Fault.rate_limit(0.2), Fault.rate_limit(7))
    headers = [client.chat().headers for _ in range(3)]
    assert [h.get("retry-after") for h in headers] == [None, "0.2", "7"]


def test_rate_limit_can_say_it_as_a_date(provider, client):
    provider.fail("small", Fault.rate_limit(30, as_date=True))
    date = parsedate_to_datetime(client.chat().headers["retry-after"])
    assert date.timestamp() - time.time() > 0


def test_unauthorized_repeats_the_key_as_careless_providers_do(provider, client):
    provider.fail("small", Fault.unauthorized())
    body = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
    response = client.request(body, headers={"Authorization": "Bearer sk-very-secret"})
    assert "sk-very-secret" in response.error["message"]


def test_context_window_names_the_limit_in_openais_words(provider, client):
    provider.fail("small", Fault.context_window(limit=4096))
    message = client.chat().error["message"]
    assert message.startswith("This model's maximum context length is 4096 tokens.")
    assert "resulted in 4097 tokens" in message


# No answer, or a late one


def test_hang_never_answers(provider, connect):
    provider.fail("small", Fault.hang(seconds=30))
    with pytest.raises(TimeoutError):
        connect(timeout=0.1).chat()
    assert provider.requests[0].status is None
    assert provider.requests[0].fault == "hang"


def test_hang_closes_the_connection_when_its_time_is_over(provider, client):
    provider.fail("small", Fault.hang(seconds=0.05))
    with pytest.raises(http.client.RemoteDisconnected):
        client.chat()


def test_hang_ends_when_the_client_leaves(provider, connect):
    provider.fail("small", Fault.hang(seconds=30))
    impatient = connect(timeout=0.05)
    with pytest.raises(TimeoutError):
        impatient.chat()
    threads = threading.active_count()
    impatient.connection.close()
    assert wait_until(lambda: threading.active_count() == threads - 1)


def test_slow_answers_late(provider, client):
    provider.fail("fixed", Fault.slow(seconds=0.1))
    start = time.monotonic()
    assert client.chat(model="fixed").text == "one two three four five"
    assert time.monotonic() - start >= 0.1


def test_disconnect_closes_without_a_word(provider, client):
    provider.fail("small", Fault.disconnect())
    with pytest.raises(http.client.RemoteDisconnected):
        client.chat()
    assert provider.requests[0].status is None


# HTTP 200, and yet no answer


def test_malformed_json(provider, client):
    provider.fail("small", Fault.malformed_json())
    response = client.chat()
    assert response.status == 200
    with pytest.raises(json.JSONDecodeError):
        _ = response.json


def test_malformed_json_in_a_stream_is_its_first_event(provider, client):
    provider.fail("small", Fault.malformed_json())
    response = client.chat(stream=True)
    assert json.loads(response.data[0])["choices"][0]["delta"]["role"] == "assistant"
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.data[1])
    assert len(response.data) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_html_is_a_page_from_somebody_else(provider, client, stream):
    provider.fail("small", Fault.html())
    response = client.chat(stream=stream)
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_empty_is_a_proper_answer_that_says_nothing(provider, client):
    provider.fail("small", Fault.empty())
    choice = client.chat().json["choices"][0]
    assert choice["message"]["content"] == ""
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_empty_stream_has_role_finish_and_done(provider, client):
    provider.fail("small", Fault.empty())
    response = client.chat(stream=True)
    first, last = response.chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert response.data[-1] == "[DONE]"


def test_no_choices(provider, client):
    provider.fail("small", Fault.no_choices(), times=2)
    assert client.chat().json["choices"] == []
    response = client.chat(stream=True)
    assert [chunk["choices"] for chunk in response.chunks] == [[]]
    assert response.data[-1] == "[DONE]"


# An answer that breaks in the middle


@pytest.mark.parametrize(
    ("after", "text"), [(0, ""), (2, "one two"), (99, "one two three four five")]
)
def test_cut_stream_clean_ends_the_body_properly_and_says_no_more(provider, client, after, text):
    provider.fail("fixed", Fault.cut_stream(after=after))
    response = client.chat(**STREAM)
    assert response.streamed == text
    assert "[DONE]" not in response.data
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in response.chunks)
    assert response.headers["connection"] == "close"


def test_cut_stream_reset_resets_the_connection_after_the_chunks(provider, client):
    provider.fail("fixed", Fault.cut_stream(after=2, close="reset"))
    response = client.send(
        {**STREAM, "messages": [{"role": "user", "content": "Hello"}]},
    )
    events = [response.readline() for _ in range(6)]
    assert sum(line.startswith(b"data:") for line in events) == 3  # The role, and two of content.
    with pytest.raises(ConnectionResetError):
        response.readline()


def test_cut_stream_of_a_plain_answer_promises_more_than_it_sends(provider, client):
    provider.fail("fixed", Fault.cut_stream())
    with pytest.raises(http.client.IncompleteRead):
        client.chat(model="fixed")


def test_cut_stream_reset_of_a_plain_answer(provider, client):
    provider.fail("fixed", Fault.cut_stream(close="reset"))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        client.chat(model="fixed")


def test_malformed_stream_breaks_after_some_chunks(provider, client):
    provider.fail("fixed", Fault.malformed_stream(after=2))
    *good, broken = client.chat(**STREAM).data
    assert len([json.loads(data) for data in good]) == 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


def test_error_in_stream_is_an_event(provider, client):
    provider.fail("fixed", Fault.error_in_stream(after=2))
    response = client.chat(**STREAM)
    assert response.status == 200
    assert json.loads(response.data[-1])["error"]["type"] == "server_error"
    assert len(response.data) == 4


def test_error_in_stream_of_a_plain_answer_is_http_500(provider, client):
    provider.fail("fixed", Fault.error_in_stream())
    assert client.chat(model="fixed").status == 500


@pytest.mark.parametrize("stream", [False, True])
def test_stall_is_silent_for_a_while_and_goes_on(provider, client, stream):
    provider.fail("fixed", Fault.stall(after=2, seconds=0.1))
    start = time.monotonic()
    response = client.chat(model="fixed", stream=stream)
    assert time.monotonic() - start >= 0.1
    assert (response.streamed if stream else response.text) == "one two three four five"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_with_a_timeout_sees_a_stall_as_one(provider, connect, stream):
    provider.fail("fixed", Fault.stall(after=2, seconds=30))
    with pytest.raises(TimeoutError):
        connect(timeout=0.1).chat(model="fixed", stream=stream)


@pytest.mark.parametrize(
    "make", [Fault.cut_stream, Fault.malformed_stream, Fault.error_in_stream, Fault.stall]
)
def test_negative_chunk_counts_are_refused_at_once(make):
    with pytest.raises(ValueError, match="negative"):
        make(after=-1)
