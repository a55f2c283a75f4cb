# SPDX-License-Identifier: Apache-2.0
"""
PyPI's advisories on loopback: a proxy that answers in PyPI's place, over TLS.

pip-audit is then the real one on its usual way; only the answers are ours.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Advisory = Mapping[str, Any]


@dataclass
class Advisories:
    """
    What the service answers.

    :param known: Package to its advisories; of every other package it knows nothing (HTTP 404).
    :param status: The HTTP status of all answers, where it is not a package's own.
    :param is_silent: Whether it takes requests and never answers.
    """

    known: dict[str, list[Advisory]] = field(default_factory=dict)
    status: int | None = None
    is_silent: bool = False
    url: str = ""

    def answer(self, path: str) -> tuple[int, bytes]:
        _, _, package, _, _ = path.split("/")  # /pypi/<package>/<version>/json
        found = self.known.get(package)
        status = self.status or (404 if found is None else 200)
        return status, json.dumps({"info": {}, "vulnerabilities": found}).encode()


@contextmanager
def serve_advisories(tls: ssl.SSLContext) -> Iterator[Advisories]:
    advisories = Advisories()
    closing = threading.Event()

    class InPyPIsPlace(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            if advisories.is_silent:
                closing.wait()
                return
            with tls.wrap_socket(self.connection, server_side=True) as connection, connection.makefile("rb") as asked:
                path = asked.readline().split()[1].decode()
                while asked.readline().strip():
                    pass  # the rest of the request's head
                status, body = advisories.answer(path)
                head = f"HTTP/1.1 {status} .\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A pip-audit that was ended hangs up."""

    server = Server(("127.0.0.1", 0), InPyPIsPlace)
    advisories.url = f"http://user:pa55word@127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield advisories
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
