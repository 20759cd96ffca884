"""A small HTTP/1.1 server on loopback that can be stopped at once.

It differs from ``http.server.ThreadingHTTPServer`` in what a test needs: it knows its connections,
it ends every thread when it is closed, it looks up no host name, and it lets the application misuse
the socket.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer
from threading import Event, Lock, Thread
from typing import TypeAlias, cast

from llmroute.testing.exchange import Exchange

Application: TypeAlias = Callable[[Exchange], None]

# A hundred clients may knock at the same moment.
_BACKLOG = 512
# How long a thread may take to end; only a script that does not return needs longer.
_JOIN = 5.0


class LoopbackServer:
    """Serves an application on a free port of 127.0.0.1, one daemon thread for each connection.

    The application answers each request through its exchange, in the connection's thread.
    """

    def __init__(self, application: Application) -> None:
        """Listen and begin to accept connections."""
        self.application = application
        self.stopping = Event()  # set once the server closes
        self.accepted = 0  # connections so far
        self._open: dict[int, tuple[socket.socket, Thread]] = {}
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = Thread(target=self._accept, daemon=True, name="scripted-provider")
        self._accepting.start()

    def close(self) -> None:
        """Drop every connection and end every thread."""
        self.stopping.set()
        # A knock of our own wakes the thread that accepts, on every system.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join(_JOIN)
        self._listener.close()
        with self._lock:
            open_now = list(self._open.values())
        for connection, _ in open_now:
            # Wakes the threads that wait for a request, a client or the time to pass.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in open_now:
            thread.join(_JOIN)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            # A client may have given up between its knock and this line.
            with suppress(OSError):
                self._welcome(self._listener.accept()[0])

    def _welcome(self, connection: socket.socket) -> None:
        if self.stopping.is_set():
            connection.close()
            return
        with self._lock:
            self.accepted += 1
            number = self.accepted
            name = f"scripted-provider-{number}"
            thread = Thread(target=self._serve, args=(connection, number), daemon=True, name=name)
            self._open[number] = (connection, thread)
        thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            # A client may leave whenever it likes, and so may we: neither is an error.
            with suppress(OSError):
                _Handler(connection, number, self)
        finally:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            connection.close()
            with self._lock:
                self._open.pop(number, None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, number: int, server: LoopbackServer) -> None:
        # The base class serves the connection from its constructor.
        self._number = number
        self._home = server
        # It only keeps the server; that this one is of another kind does no harm.
        super().__init__(connection, ("127.0.0.1", number), cast("BaseServer", server))

    def _exchange(self) -> None:
        exchange = Exchange(
            method=self.command,
            path=self.path.partition("?")[0],
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
            number=self._number,
            connection=self.connection,
            stopping=self._home.stopping,
            chunked=self.request_version != "HTTP/1.0",
            keep_alive=not self.close_connection,
            close=self._drop,
        )
        self._home.application(exchange)
        self.close_connection = not exchange.keep_alive

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _exchange  # noqa: N815 - the base class's names

    def _body(self) -> bytes:
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self._chunked_body()
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        except ValueError:
            # Where this body ends nobody knows, so no other request can follow it.
            self.close_connection = True
            return b""

    def _chunked_body(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # Trailers, which nobody sends.
        return b"".join(parts)

    def _drop(self) -> None:
        # The reader holds the socket open, so it has to go first.
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: prompts belong in no log."""
