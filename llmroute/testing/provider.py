"""The scripted provider: models, faults and questions behind one address."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from threading import Lock
from types import MappingProxyType
from typing import Any

from llmroute.testing.client_request import ChatRequest, RequestError
from llmroute.testing.delivery import Call
from llmroute.testing.exchange import Exchange
from llmroute.testing.faults import Fault
from llmroute.testing.journal import FaultQueue, Journal, RequestLog
from llmroute.testing.models import ScriptedModel
from llmroute.testing.questions import Question, QuestionBook
from llmroute.testing.server import LoopbackServer
from llmroute.testing.wire import Answer, Wire
from llmroute.testing.wire_anthropic import ANTHROPIC
from llmroute.testing.wire_openai import OPENAI, model_list

#: Where each protocol is spoken.
_WIRES = {"/chat/completions": OPENAI, "/messages": ANTHROPIC}


class ScriptedProvider:
    """A provider on loopback that answers by script and fails on demand.

    It speaks two protocols: OpenAI's ``POST /v1/chat/completions`` and Anthropic's
    ``POST /v1/messages``, and is as strict as they are about what a request may hold. It serves
    ``GET /v1/models`` too (all with or without ``/v1``), needs no network and no key, and gives the
    same answers in every run::

        from llmroute.testing import Fault, ScriptedModel, ScriptedProvider

        with ScriptedProvider([ScriptedModel("small"), ScriptedModel("big")]) as provider:
            model = ChatOpenAI(base_url=provider.base_url, api_key="any", model="small")
            provider.fail("small", Fault.rate_limit(retry_after=0.2))
            model.invoke("Hello")                  # retried after 0.2 s
            assert provider.count("small") == 2

    All its methods may be called from any thread. After :meth:`stop` no thread and no connection is
    left, and it may be started again, on another port.
    """

    def __init__(
        self, models: Iterable[ScriptedModel], *, questions: Iterable[Question] = ()
    ) -> None:
        """Set the scene; nothing listens yet.

        Args:
            models: The models to serve, at least one, each name once.
            questions: Questions with known answers, which the models get right by their ability.

        Raises:
            ValueError: If there is no model, or two of one name.
        """
        listed = list(models)
        names = [model.name for model in listed]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"models must be at least one, each name once; got {names}")
        self._models = dict(zip(names, listed, strict=True))
        self._book = QuestionBook(questions)
        self._faults = {name: FaultQueue() for name in names}
        self._journal = Journal()
        self._samples: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()
        self._numbers = count(1)
        self._server: LoopbackServer | None = None
        self._accepted_before = 0

    # Running it

    def start(self) -> ScriptedProvider:
        """Listen on a free port of 127.0.0.1.

        Raises:
            RuntimeError: If it is running already.
        """
        if self._server is not None:
            raise RuntimeError("the provider is running already")
        self._server = LoopbackServer(self._serve)
        return self

    def stop(self) -> None:
        """Drop all connections, those that hang included, and end all threads; harmless twice."""
        if self._server is not None:
            self._server.close()
            self._accepted_before += self._server.accepted
            self._server = None

    def __enter__(self) -> ScriptedProvider:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Where clients of OpenAI's protocol find it: ``http://127.0.0.1:PORT/v1``.

        Raises:
            RuntimeError: If it is not running.
        """
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """Where clients of Anthropic's protocol find it: ``http://127.0.0.1:PORT``.

        Raises:
            RuntimeError: If it is not running.
        """
        if self._server is None:
            raise RuntimeError("the provider is not running: use it in a with block, or start() it")
        return f"http://127.0.0.1:{self._server.port}"

    # Scripting it

    @property
    def models(self) -> Mapping[str, ScriptedModel]:
        """The models it serves, by name."""
        return MappingProxyType(self._models)

    def fail(self, model: str, *faults: Fault, times: int | None = 1) -> None:
        """Let the next calls to a model fail; first in, first out.

        Only calls that the provider understands are struck: one that is refused as malformed leaves
        the queue as it is.

        Args:
            model: The model's name.
            faults: What happens to one call after the other.
            times: How often the row of faults is gone through; None for ever.

        Raises:
            ValueError: If the model is unknown, no fault is given, or ``times`` is less than 1.
        """
        if model not in self._models:
            raise ValueError(f"no model {model!r} here, only {sorted(self._models)}")
        if not faults or (times is not None and times < 1):
            raise ValueError("fail() needs at least one fault, and times of at least 1 or None")
        self._faults[model].add(faults, times)

    def clear(self) -> None:
        """Forget queued faults, the requests seen, and which samples have been given."""
        self._faults = {name: FaultQueue() for name in self._models}
        self._journal.clear()
        with self._lock:
            self._samples.clear()

    # Looking at it

    @property
    def requests(self) -> list[RequestLog]:
        """The requests seen since the start or :meth:`clear`, those in flight included; a copy."""
        return self._journal.entries()

    def count(self, model: str) -> int:
        """How many of :attr:`requests` name a model."""
        return sum(entry.model == model for entry in self.requests)

    @property
    def connections(self) -> int:
        """How many TCP connections have been accepted."""
        return self._accepted_before + (self._server.accepted if self._server else 0)

    # Answering

    def _serve(self, exchange: Exchange) -> None:
        body: Any = None
        with suppress(ValueError):
            body = json.loads(exchange.body)
        fields = body if isinstance(body, dict) else {}
        model = fields.get("model")
        entry = self._journal.open(
            RequestLog(
                model=model if isinstance(model, str) else "",
                path=exchange.path,
                body=fields,
                headers=exchange.headers,
                started=time.monotonic(),
                connection=exchange.number,
            )
        )
        exchange.on_status = lambda status: self._journal.note(entry, status=status)
        path = exchange.path.removeprefix("/v1").rstrip("/")
        if exchange.method == "POST" and path in _WIRES:
            self._chat(exchange, _WIRES[path], body, entry)
        elif (exchange.method, path) == ("GET", "/models"):
            exchange.send_json(200, model_list(self._models, int(time.time())))
        else:
            error = RequestError(f"Invalid URL ({exchange.method} {exchange.path})")
            exchange.send_json(404, OPENAI.invalid(error))

    def _chat(self, exchange: Exchange, wire: Wire, body: object, entry: int) -> None:
        try:
            request = wire.parse(body)
        except RequestError as error:
            exchange.send_json(400, wire.invalid(error))
            return
        call = Call(exchange, wire, request, partial(self._compose, wire, request))
        if request.model not in self._models:
            call.refuse("not_found")
            return
        fault = self._faults[request.model].take()
        try:
            if fault is None:
                call.deliver()
            else:
                self._journal.note(entry, fault=fault.name)
                fault.strike(call)
        except _ScriptError as error:
            call.refuse("script_error", str(error))

    def _compose(self, wire: Wire, request: ChatRequest) -> Answer:
        model = self._models[request.model]
        first = self._first_sample(request)
        try:
            replies = tuple(
                model.answer(replace(request, sample=first + index), self._book)
                for index in range(request.n)
            )
        except Exception as error:
            # The user's own code. Its author reads this in the client's exception.
            raise _ScriptError(
                f"the reply of scripted model {model.name!r} raised {type(error).__name__}: {error}"
            ) from error
        return wire.answer(request, model, replies, next(self._numbers), int(time.time()))

    def _first_sample(self, request: ChatRequest) -> int:
        """Where the samples of this request begin; see :attr:`ChatRequest.sample`."""
        seed: Any = request.body.get("seed")
        if request.temperature == 0:
            return 0
        if isinstance(seed, int):
            return seed
        key = (request.model, request.last_user)
        with self._lock:
            first = self._samples[key]
            self._samples[key] += request.n
        return first


class _ScriptError(Exception):
    """The callable that scripts a model raised."""
