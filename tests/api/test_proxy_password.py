# SPDX-License-Identifier: Apache-2.0
"""A proxy that asks for a password: it gets it, nobody else does, and no log shows it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
import trustme

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.settings import ClientSettings

from .conftest import USUAL, Connect
from .servers import LOOPBACK, Running, answer, http_server, raw_server
from .shells import ADDRESS, KEY, LOWER

pytestmark = pytest.mark.integration

FINISHED = b'{"contractAddress": "%s", "reingestionState": "finished", "progress": null}' % LOWER.encode()
DEADLINE_SECONDS = 10.0
PASSWORD = "pa55/wörd"
USER_AND_PASSWORD = "us%40er:pa55%2Fw%C3%B6rd"
EXPECTED = "Basic " + b64encode(f"us@er:{PASSWORD}".encode("latin-1")).decode()
FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(FINISHED), FINISHED)
REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            break
        head += received
    return head


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)


def serve(connection: socket.socket, running: Running) -> None:
    """Be a proxy that carries tunnels, and answers other requests itself; the first line and the password are seen."""
    lines = head_of(connection).decode("latin-1").split("\r\n")
    given = [line.partition(": ")[2] for line in lines if line.lower().startswith("proxy-authorization:")]
    running.seen.append(f"{lines[0].partition(' ')[0]} {given}")
    if given != [EXPECTED]:
        connection.sendall(REFUSED)
    elif not lines[0].startswith("CONNECT"):
        connection.sendall(FOUND)
    else:
        host, port = lines[0].split(" ")[1].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as service:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            there = threading.Thread(target=carry, args=(connection, service))
            there.start()
            carry(service, connection)
            there.join()


@pytest.fixture
def proxy() -> Iterator[Running]:
    with raw_server(serve) as running:
        yield running


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str, list[Any]]]:
    """Serve over TLS: its URL, who signed its certificate, and the proxy's passwords that came through to it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    came_through: list[Any] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        came_through.append(handler.headers["Proxy-Authorization"])
        answer(handler, 200, FINISHED)

    with http_server(respond, context) as server:
        yield server.url.replace("http://", "https://"), str(tmp_path / "authority.pem"), came_through


def url_of(proxy: Running, user_and_password: str = USER_AND_PASSWORD) -> str:
    return f"http://{user_and_password}@{LOOPBACK}:{proxy.port}"


def test_a_proxy_gets_its_password_with_a_request_that_it_reads(connect_to: Connect, proxy: Running) -> None:
    client = connect_to(api_key=KEY, host="http://alchemy.invalid", allow_insecure=True, proxy=url_of(proxy))
    assert client.reingest_contract(ADDRESS).is_finished
    assert proxy.seen == [f"GET {[EXPECTED]}"]


def test_a_proxy_gets_its_password_with_the_tunnel_and_the_service_does_not(
    connect_to: Connect, proxy: Running, service: tuple[str, str, list[Any]]
) -> None:
    url, authority, came_through = service
    client = connect_to(api_key=KEY, host=url, verify=authority, proxy=url_of(proxy))
    assert client.reingest_contract(ADDRESS).is_finished
    assert client.reingest_contract(ADDRESS).is_finished
    assert proxy.seen == [f"CONNECT {[EXPECTED]}"]
    assert came_through == [None, None]


@pytest.mark.parametrize("user_and_password", ["us%40er:wrong", "us%40er"])
def test_a_proxy_that_refuses_the_password_is_named_as_the_trouble(
    connect_to: Connect, proxy: Running, service: tuple[str, str, list[Any]], user_and_password: str
) -> None:
    url, authority, _ = service
    client = connect_to(api_key=KEY, host=url, verify=authority, proxy=url_of(proxy, user_and_password))
    with pytest.raises(errors.AlchemyConnectionError, match=r"the proxy on the way to .* could not be used") as caught:
        client.reingest_contract(ADDRESS, max_attempts=1)
    assert "wrong" not in str(caught.value)


def warned_of_when_given_up(proxy: Running, asked: threading.Event) -> list[str]:
    """Call through a proxy that never answers, and forget the event loop; give what Python warns of then."""
    host = "http://alchemy.invalid"
    settings = ClientSettings(**USUAL, api_key=KEY, host=host, allow_insecure=True, proxy=url_of(proxy))
    loop = asyncio.new_event_loop()
    call = loop.create_task(AsyncAlchemyClient(settings).reingest_contract(ADDRESS))
    assert loop.run_until_complete(asyncio.to_thread(asked.wait, DEADLINE_SECONDS))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        loop.close()
        del call
        gc.collect()
    return [str(warning.message) for warning in warned]


def test_a_connection_that_is_left_unclosed_does_not_show_the_password() -> None:
    asked = threading.Event()

    def keep_waiting(connection: socket.socket, running: Running) -> None:
        running.seen.append(head_of(connection).decode("latin-1"))
        asked.set()
        connection.recv(1)

    with raw_server(keep_waiting) as proxy:
        warned = warned_of_when_given_up(proxy, asked)
    assert EXPECTED in proxy.seen[0]
    assert any("Unclosed connection" in text and f"{LOOPBACK}:{proxy.port}" in text for text in warned)
    assert [text for text in warned if "pa55" in text] == []
