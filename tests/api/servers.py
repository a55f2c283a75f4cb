# SPDX-License-Identifier: Apache-2.0
"""Small servers for what the emulator does not do: answers that show the request, TLS, compressed and odd bytes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

LOOPBACK = "127.0.0.1"

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Running:
    """A running server: its port, and what it saw."""

    port: int
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def http_server(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[Running]:
    """Serve HTTP/1.1 with keep-alive."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            running.seen.append(self.path)
            respond(self)

        def do_POST(self) -> None:
            # Read, or it would be taken for the next request of the connection.
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is no news."""

    server = Server((LOOPBACK, 0), Handler)
    running = Running(server.server_address[1])
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with _served(server):
        yield running


@contextmanager
def raw_server(serve: Callable[[Any, Running], None]) -> Iterator[Running]:
    """Give each connection, as a socket, to a function."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            serve(self.request, running)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is no news."""

    server = Server((LOOPBACK, 0), Handler)
    running = Running(server.server_address[1])
    with _served(server):
        yield running


@contextmanager
def _served(server: ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()
