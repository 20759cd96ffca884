"""The server: starting, stopping, connections and the log."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from llmroute.testing import Fault, ScriptedModel, ScriptedProvider

_others: set[threading.Thread] = set()


@pytest.fixture(scope="module", autouse=True)
def _other_tests_threads():
    """Other tests may keep a provider running; only threads begun here are looked at."""
    _others.update(threading.enumerate())


def provider_threads():
    started = set(threading.enumerate()) - _others
    return [t for t in started if t.name.startswith("scripted-provider")]


def test_it_listens_on_loopback_only(provider):
    assert urlsplit(provider.base_url).hostname == "127.0.0.1"
    assert provider.base_url.endswith("/v1")


def test_a_connection_is_reused(provider, client, connect):
    for _ in range(3):
        client.chat()
    connect().chat()
    assert provider.connections == 2
    assert [entry.connection for entry in provider.requests] == [1, 1, 1, 2]


def test_errors_and_streams_keep_the_connection_too(provider, client):
    provider.fail("small", Fault.server_error(), Fault.no_choices())
    assert [client.chat().status, client.chat().status] == [500, 200]
    client.chat(stream=True)
    client.chat(messages=[])
    assert provider.connections == 1


def test_the_log_tells_what_was_asked(provider, client):
    before = time.monotonic()
    body = {"model": "small", "messages": [{"role": "user", "content": "private"}]}
    client.request(body, headers={"Authorization": "Bearer k"})
    (entry,) = provider.requests
    assert (entry.model, entry.path, entry.status) == ("small", "/v1/chat/completions", 200)
    assert entry.body == body
    assert entry.headers["authorization"] == "Bearer k"
    assert before <= entry.started <= time.monotonic()


def test_the_log_prints_neither_prompts_nor_keys(provider, client):
    body = {"model": "small", "messages": [{"role": "user", "content": "private"}]}
    client.request(body, headers={"Authorization": "Bearer secret"})
    assert "private" not in repr(provider.requests)
    assert "secret" not in repr(provider.requests)


def test_count_and_clear(provider, client):
    client.chat()
    client.chat(model="big")
    client.chat()
    assert (provider.count("small"), provider.count("big"), provider.count("none")) == (2, 1, 0)
    snapshot = provider.requests
    provider.clear()
    assert provider.requests == []
    assert len(snapshot) == 3


def test_a_hundred_and_fifty_requests_at_once():
    models = [ScriptedModel("busy", delay=0.2)]
    with ScriptedProvider(models) as provider:
        port = urlsplit(provider.base_url).port
        body = b'{"model":"busy","messages":[{"role":"user","content":"Hello"}]}'
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"

        async def ask():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            status = await reader.readline()
            writer.close()
            return status

        async def ask_all():
            return await asyncio.gather(*(ask() for _ in range(150)))

        start = time.monotonic()
        statuses = asyncio.run(ask_all())
        assert set(statuses) == {b"HTTP/1.1 200 OK\r\n"}
        assert time.monotonic() - start < 5  # One after the other they would take 30 s.
        assert provider.connections == 150
        assert provider.count("busy") == 150


@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        (Fault.hang(60), False),
        (Fault.slow(60), False),
        (Fault.stall(1, 60), False),
        (Fault.stall(1, 60), True),
    ],
)
def test_stop_is_prompt_whatever_is_going_on(fault, stream):
    provider = ScriptedProvider([ScriptedModel("small")]).start()
    provider.fail("small", fault, times=None)
    port = urlsplit(provider.base_url).port
    body = b'{"model":"small","stream":%s,"messages":[{"role":"user","content":"Hi"}]}' % (
        b"true" if stream else b"false"
    )
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    for connection in waiting[:-1]:  # The last one is idle.
        connection.sendall(
            b"POST /chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
    while provider.count("small") < 4:
        time.sleep(0.005)
    start = time.monotonic()
    provider.stop()
    assert time.monotonic() - start < 1
    assert provider_threads() == []
    for connection in waiting:
        connection.close()


def test_stop_interrupts_a_slow_model_and_a_slow_stream():
    models = [ScriptedModel("late", delay=60), ScriptedModel("drip", chunk_delay=60)]
    provider = ScriptedProvider(models).start()
    port = urlsplit(provider.base_url).port
    connections = []
    for name in (b"late", b"drip"):
        body = b'{"model":"%b","stream":true,"messages":[{"role":"user","content":"Hi"}]}' % name
        connections.append(socket.create_connection(("127.0.0.1", port)))
        connections[-1].sendall(
            b"POST /chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
    while len(provider.requests) < 2:
        time.sleep(0.005)
    start = time.monotonic()
    provider.stop()
    assert time.monotonic() - start < 1
    assert provider_threads() == []
    for connection in connections:
        connection.close()


def test_it_starts_again_and_stopping_twice_is_harmless():
    provider = ScriptedProvider([ScriptedModel("small")])
    for _ in range(2):
        assert provider.start() is provider
        with pytest.raises(RuntimeError, match="already"):
            provider.start()
        provider.stop()
        provider.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = provider.base_url


@pytest.mark.parametrize("models", [[], [ScriptedModel("a"), ScriptedModel("a")]])
def test_models_have_to_be_some_and_distinct(models):
    with pytest.raises(ValueError, match="each name once"):
        ScriptedProvider(models)


def test_calls_from_many_threads_are_all_logged(provider, connect):
    clients = [connect() for _ in range(8)]

    def ask(client):
        return [client.chat().status for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for row in pool.map(ask, clients) for status in row]
    assert statuses == [200] * 80
    assert provider.count("small") == 80
    assert all(entry.status == 200 for entry in provider.requests)


def test_http_1_0_clients_get_a_stream_that_ends_with_the_connection(provider):
    body = b'{"model":"fixed","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    port = urlsplit(provider.base_url).port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"Transfer-Encoding" not in received
    assert received.endswith(b"data: [DONE]\n\n")


def test_chunked_request_bodies_are_read(provider, client):
    parts = iter([b'{"model":"fixed","messages":', b'[{"role":"user","content":"Hi"}]}'])
    client.connection.request("POST", "/v1/chat/completions", parts, encode_chunked=True)
    assert client.connection.getresponse().status == 200


@pytest.mark.parametrize("head", [b"Content-Length: some", b"Transfer-Encoding: chunked"])
def test_a_body_without_a_readable_length_is_refused_and_ends_the_connection(provider, head):
    port = urlsplit(provider.base_url).port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n%b\r\n\r\nhello\r\n" % head)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 400 ")


def test_it_imports_neither_langchain_nor_anything_heavy():
    code = (
        "import sys, llmroute.testing\n"
        "heavy = ['langchain_core', 'openai', 'litellm', 'numpy', 'pydantic', 'httpx']\n"
        "sys.exit(', '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
