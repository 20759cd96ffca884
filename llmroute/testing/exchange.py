"""One HTTP exchange on an open connection: all that can be done to a client, well or badly."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from llmroute.testing.wire import Event, dump

# Long enough for a client on loopback to read what was sent before a reset throws it away.
_BEFORE_RESET = 0.02


class GoneError(ConnectionError):
    """The client has left, or the provider is stopping: nobody waits for this answer."""


@dataclass
class Exchange:
    """A request as it came over the wire, and the way back to the client."""

    method: str
    path: str  # without the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    number: int  # of the connection, from 1
    connection: socket.socket
    stopping: threading.Event  # set when the provider stops
    chunked: bool  # whether the client understands chunked bodies (HTTP/1.1)
    keep_alive: bool  # whether the connection goes on after this exchange
    close: Callable[[], None]  # closes the connection for good, buffers included
    #: Called with the status before a byte of the response is sent, so that a client that has its
    #: answer finds it in the log.
    on_status: Callable[[int], None] = field(default=lambda status: None)

    def send(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        missing: int = 0,
    ) -> None:
        """Send a whole response, ``missing`` bytes shorter than ``Content-Length`` promises."""
        if missing:
            self.keep_alive = False
        length = {"Content-Length": str(len(body) + missing)}
        head = self._head(status, {"Content-Type": content_type, **length, **(headers or {})})
        self.connection.sendall(head + body)

    def send_json(
        self, status: int, value: object, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole response of JSON."""
        self.send(status, dump(value).encode(), headers=headers)

    def open_stream(self) -> None:
        """Send the head of a stream of server-sent events."""
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.keep_alive = False
        self.connection.sendall(self._head(200, headers))

    def send_event(self, event: Event) -> None:
        """Send one event of an open stream."""
        head = "" if event.name is None else f"event: {event.name}\n"
        part = f"{head}data: {event.data}\n\n".encode()
        self.connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if self.chunked else part)

    def close_stream(self) -> None:
        """End an open stream as HTTP wants it."""
        if self.chunked:
            self.connection.sendall(b"0\r\n\r\n")

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the client and the provider stay.

        Raises:
            GoneError: If one of them left first.
        """
        end = time.monotonic() + seconds
        if self.stopping.is_set():
            raise GoneError
        if seconds <= 0:
            return
        # Both a client that leaves and a provider that stops end the connection, which makes it
        # readable. One wait on the socket thus sees either at once.
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            readable = bool(selector.select(seconds))
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            raise GoneError
        # Still there and talking: a pipelined request. It has to wait its turn.
        if self.stopping.wait(max(end - time.monotonic(), 0) if readable else 0):
            raise GoneError

    def hang_up(self, *, reset: bool = False) -> None:
        """End the connection, politely (FIN) or with a reset (RST)."""
        self.keep_alive = False
        if not reset:
            return
        self.pause(_BEFORE_RESET)
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def _head(self, status: int, headers: Mapping[str, Any]) -> bytes:
        self.on_status(status)
        connection = "keep-alive" if self.keep_alive else "close"
        lines = [
            f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}",
            f"Connection: {connection}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
