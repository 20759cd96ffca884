"""A scripted provider for each test, and a client that adds nothing of its own."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from llmroute.testing import Question, Reply, ScriptedModel, ScriptedProvider

ARITHMETIC = Question("What is 17 * 23?", answer="391", difficulty=0.5, wrong=["401", "381"])


@dataclass
class Response:
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def message(self) -> dict[str, Any]:
        return self.json["choices"][0]["message"]

    @property
    def text(self) -> str:
        return self.message["content"]

    @property
    def data(self) -> list[str]:
        """What follows ``data:`` in each event of a stream."""
        lines = self.body.decode().split("\n\n")
        return [line.removeprefix("data: ") for line in lines if line]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def streamed(self) -> str:
        """The text of a stream, put together."""
        deltas = [c["choices"][0]["delta"] for c in self.chunks if c["choices"]]
        return "".join(delta.get("content") or "" for delta in deltas)


@dataclass
class Client:
    """One keep-alive connection to the provider."""

    base_url: str
    timeout: float = 5.0
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url).netloc
        self.connection = http.client.HTTPConnection(address, timeout=self.timeout)

    def send(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        self.connection.request(method, path, data, sent)
        return self.connection.getresponse()

    def request(self, *args: Any, **kwargs: Any) -> Response:
        response = self.send(*args, **kwargs)
        names = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, names, response.read())

    def chat(self, prompt: str = "Hello", model: str = "small", **body: Any) -> Response:
        """One user message; ``body`` adds to the request."""
        messages = body.pop("messages", [{"role": "user", "content": prompt}])
        return self.request({"model": model, "messages": messages, **body})


@pytest.fixture
def provider():
    models = [
        ScriptedModel("small", input_price=0.1, output_price=0.4, ability=0.1),
        ScriptedModel("big", input_price=2, output_price=8, ability=0.9),
        ScriptedModel("fixed", reply="one two three four five"),
        ScriptedModel("thinker", reply=lambda request: Reply("Yes.", reasoning="well, well")),
        ScriptedModel("sampler", reply=lambda request: f"sample {request.sample}"),
    ]
    with ScriptedProvider(models, questions=[ARITHMETIC]) as running:
        yield running


@pytest.fixture
def client(provider):
    client = Client(provider.base_url)
    yield client
    client.connection.close()


@pytest.fixture
def connect(provider):
    """More clients, each on a connection of its own."""
    clients = []

    def make(timeout: float = 5.0) -> Client:
        clients.append(Client(provider.base_url, timeout))
        return clients[-1]

    yield make
    for made in clients:
        made.connection.close()


@pytest.fixture
def ask():
    """One question to a provider that serves one model."""

    def one(model, prompt="Hello", *, questions=(), **body):
        with ScriptedProvider([model], questions=questions) as running:
            client = Client(running.base_url)
            try:
                return client.chat(prompt, model=model.name, **body)
            finally:
                client.connection.close()

    return one
