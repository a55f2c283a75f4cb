# SPDX-License-Identifier: Apache-2.0
"""The way to the service: TLS, proxies and their passwords, compression, and many calls at once."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_alchemy.api import endpoints, errors
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import USUAL, Connect
from .servers import LOOPBACK, Running, answer, http_server, raw_server
from .shells import ADDRESS, KEY, LOWER, Client

pytestmark = pytest.mark.integration

FINISHED = b'{"contractAddress": "%s", "reingestionState": "finished", "progress": null}' % LOWER.encode()
ELSEWHERE = "http://alchemy.invalid"
NO_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Path:
    """Give the file of an authority that only those trust who are told to."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def tls_url(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    with http_server(lambda handler: answer(handler, 200, FINISHED), context) as server:
        yield server.url.replace("http://", "https://")


def fails(client: Client, **options: Any) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, **options)
    return caught.value


def test_a_certificate_of_an_unknown_authority_is_refused(connect_to: Connect, tls_url: str) -> None:
    error = fails(connect_to(api_key=KEY, host=tls_url, verify=True), max_attempts=1)
    assert type(error) is errors.AlchemyConfigurationError
    assert "is not trusted: " in error.what
    assert "Set verify" in str(error)


def test_a_certificate_is_trusted_where_the_connection_names_its_file(
    connect_to: Connect, tls_url: str, certificate: Path
) -> None:
    client = connect_to(api_key=KEY, host=tls_url, verify=str(certificate))
    assert client.reingest_contract(ADDRESS).is_finished


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_is_trusted_where_the_environment_names_its_file(
    connect_to: Connect, tls_url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    assert connect_to(api_key=KEY, host=tls_url, verify=True).reingest_contract(ADDRESS).is_finished


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_certificate_is_asked_for_where_the_connection_says_so(connect_to: Connect, tls_url: str) -> None:
    assert connect_to(api_key=KEY, host=tls_url, verify=False).reingest_contract(ADDRESS).is_finished


def test_plain_http_where_tls_was_expected_is_a_connection_error(
    connect_to: Connect, emulator: AlchemyEmulator
) -> None:
    error = fails(connect_to(api_key=KEY, host=emulator.url.replace("http://", "https://")), max_attempts=1)
    assert type(error) is errors.AlchemyConnectionError


def test_the_proxy_of_the_connection_is_used(connect: Connect, emulator: AlchemyEmulator) -> None:
    client = connect(host=ELSEWHERE, allow_insecure=True, proxy=emulator.url)
    assert client.reingest_contract(ADDRESS).contract_address == LOWER
    assert emulator.count() == 1


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_the_proxy_of_the_environment_is_used(
    connect: Connect, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, emulator.url)
    connect(host=ELSEWHERE, allow_insecure=True).reingest_contract(ADDRESS)
    assert emulator.count() == 1


def test_the_proxy_of_the_environment_is_not_used_where_it_says_so(
    connect: Connect, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    connect().reingest_contract(ADDRESS)
    assert emulator.count() == 1


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "http://no-such-proxy.invalid:3128"], ids=["down", "unknown"])
def test_a_proxy_that_is_not_there_is_named_as_the_trouble(connect_to: Connect, proxy: str) -> None:
    error = fails(connect_to(api_key=KEY, host=ELSEWHERE, allow_insecure=True, proxy=proxy), max_attempts=1)
    assert type(error) is errors.AlchemyConnectionError
    assert "the proxy on the way to alchemy.invalid could not be used" in error.what


def test_the_users_netrc_does_not_replace_the_key(
    connect: Connect, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {LOOPBACK} login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    connect(auth="header").reingest_contract(ADDRESS)
    assert emulator.calls[0].http_status == 200


@pytest.mark.parametrize("padding", [0, 200_000], ids=["small", "large"])
def test_a_compressed_answer_is_read(connect_to: Connect, padding: int) -> None:
    body = gzip.compress(FINISHED.replace(b"{", b'{"padding": "%s", ' % (b"x" * padding), 1))
    with http_server(lambda handler: answer(handler, 200, body, Content_Encoding="gzip")) as server:
        assert connect_to(api_key=KEY, host=server.url).reingest_contract(ADDRESS).is_finished


def test_a_compressed_answer_that_would_fill_the_memory_is_not_read_to_its_end(connect_to: Connect) -> None:
    bomb = gzip.compress(b" " * (200 * 2**20), compresslevel=1)
    with http_server(lambda handler: answer(handler, 200, bomb, Content_Encoding="gzip")) as server:
        assert "sent more than 16 MiB" in fails(connect_to(api_key=KEY, host=server.url), max_attempts=1).what


def test_an_answer_that_is_called_compressed_and_is_not_is_a_bad_answer(connect_to: Connect) -> None:
    with http_server(lambda handler: answer(handler, 200, FINISHED, Content_Encoding="gzip")) as server:
        error = fails(connect_to(api_key=KEY, host=server.url), max_attempts=1)
    assert type(error) is errors.AlchemyBadAnswerError


def test_an_answer_in_chunks_is_read(connect_to: Connect) -> None:
    def in_chunks(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for byte in FINISHED:
            handler.wfile.write(b"1\r\n%c\r\n" % byte)
        handler.wfile.write(b"0\r\n\r\n")

    with http_server(in_chunks) as server:
        assert connect_to(api_key=KEY, host=server.url).reingest_contract(ADDRESS).is_finished


def test_an_answer_in_another_encoding_is_read_as_far_as_it_goes(connect_to: Connect) -> None:
    body = b'{"contractAddress": null, "reingestionState": "fertig \xff"}'
    with http_server(lambda handler: answer(handler, 200, body)) as server:
        assert connect_to(api_key=KEY, host=server.url).reingest_contract(ADDRESS).reported_state == "fertig \ufffd"


def test_a_cookie_is_not_sent_back(connect_to: Connect) -> None:
    cookies: list[Any] = []

    def with_cookie(handler: BaseHTTPRequestHandler) -> None:
        cookies.append(handler.headers["Cookie"])
        answer(handler, 200, FINISHED, Set_Cookie="visitor=1")

    with http_server(with_cookie) as server:
        client = connect_to(api_key=KEY, host=server.url)
        for _ in range(2):
            client.reingest_contract(ADDRESS)
    assert cookies == [None, None]


async def test_first_calls_at_once_share_one_session(emulator: AlchemyEmulator) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    settings = ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)
    client = AsyncAlchemyClient(settings)
    await asyncio.gather(*[client.send(endpoints.reingest_contract(ADDRESS, settings)) for _ in range(5)])
    await client.aclose()
    gc.collect()
    assert emulator.count() == 5
    assert [context["message"] for context in complaints] == []


async def test_a_cancelled_call_leaves_the_client_usable(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("hang", times=1)
    settings = ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)
    call = endpoints.reingest_contract(ADDRESS, settings)
    async with AsyncAlchemyClient(settings) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.send(call), timeout=0.2)
        assert (await client.send(call)).contract_address == LOWER


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


def serve_proxy(connection: socket.socket, running: Running) -> None:
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
    with raw_server(serve_proxy) as running:
        yield running


@pytest.fixture
def tls_service(authority: trustme.CA) -> Iterator[tuple[str, list[Any]]]:
    """Serve over TLS: its URL, and the proxy's passwords that came through to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK).configure_cert(context)
    came_through: list[Any] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        came_through.append(handler.headers["Proxy-Authorization"])
        answer(handler, 200, FINISHED)

    with http_server(respond, context) as server:
        yield server.url.replace("http://", "https://"), came_through


def url_of(proxy: Running, user_and_password: str = USER_AND_PASSWORD) -> str:
    return f"http://{user_and_password}@{LOOPBACK}:{proxy.port}"


def test_a_proxy_gets_its_password_with_a_request_that_it_reads(connect_to: Connect, proxy: Running) -> None:
    client = connect_to(api_key=KEY, host="http://alchemy.invalid", allow_insecure=True, proxy=url_of(proxy))
    assert client.reingest_contract(ADDRESS).is_finished
    assert proxy.seen == [f"GET {[EXPECTED]}"]


def test_a_proxy_gets_its_password_with_the_tunnel_and_the_service_does_not(
    connect_to: Connect, proxy: Running, tls_service: tuple[str, list[Any]], certificate: Path
) -> None:
    url, came_through = tls_service
    client = connect_to(api_key=KEY, host=url, verify=str(certificate), proxy=url_of(proxy))
    assert client.reingest_contract(ADDRESS).is_finished
    assert client.reingest_contract(ADDRESS).is_finished
    assert proxy.seen == [f"CONNECT {[EXPECTED]}"]
    assert came_through == [None, None]


@pytest.mark.parametrize("user_and_password", ["us%40er:wrong", "us%40er"])
def test_a_proxy_that_refuses_the_password_is_named_as_the_trouble(
    connect_to: Connect, proxy: Running, tls_service: tuple[str, list[Any]], certificate: Path, user_and_password: str
) -> None:
    url, _ = tls_service
    client = connect_to(api_key=KEY, host=url, verify=str(certificate), proxy=url_of(proxy, user_and_password))
    with pytest.raises(errors.AlchemyConnectionError, match=r"the proxy on the way to .* could not be used") as caught:
        client.reingest_contract(ADDRESS, max_attempts=1)
    assert "wrong" not in str(caught.value)


def warned_of_when_given_up(proxy: Running, asked: threading.Event) -> list[str]:
    """Call through a proxy that never answers, and forget the event loop; give what Python warns of then."""
    host = "http://alchemy.invalid"
    settings = ClientSettings(**USUAL, api_key=KEY, host=host, allow_insecure=True, proxy=url_of(proxy))
    loop = asyncio.new_event_loop()
    call = loop.create_task(AsyncAlchemyClient(settings).send(endpoints.reingest_contract(ADDRESS, settings)))
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
