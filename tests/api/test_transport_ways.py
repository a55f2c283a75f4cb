# SPDX-License-Identifier: Apache-2.0
"""The way to the service: proxies, TLS, compression, and many calls at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import gzip
import ipaddress
import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import until

from .conftest import USUAL, Connect
from .servers import LOOPBACK, answer, http_server
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
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for this machine that nobody has signed; its key is in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http_server(lambda handler: answer(handler, 200, FINISHED), context) as server:
        yield server.url.replace("http://", "https://")


def fails(client: Client) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, max_attempts=1)
    return caught.value


def test_a_certificate_that_nobody_signed_is_refused(connect_to: Connect, tls_url: str) -> None:
    error = fails(connect_to(api_key=KEY, host=tls_url, verify=True))
    assert type(error) is errors.AlchemyConfigurationError
    assert "is not trusted: self-signed certificate" in error.what
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
    error = fails(connect_to(api_key=KEY, host=emulator.url.replace("http://", "https://")))
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
    error = fails(connect_to(api_key=KEY, host=ELSEWHERE, allow_insecure=True, proxy=proxy))
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
        assert "sent more than 16 MiB" in fails(connect_to(api_key=KEY, host=server.url)).what


def test_an_answer_that_is_called_compressed_and_is_not_is_a_bad_answer(connect_to: Connect) -> None:
    with http_server(lambda handler: answer(handler, 200, FINISHED, Content_Encoding="gzip")) as server:
        error = fails(connect_to(api_key=KEY, host=server.url))
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
    client = AsyncAlchemyClient(ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url))
    await asyncio.gather(*[client.reingest_contract(ADDRESS) for _ in range(5)])
    await client.aclose()
    gc.collect()
    assert emulator.count() == 5
    assert [context["message"] for context in complaints] == []


async def test_a_cancelled_call_leaves_the_client_usable(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("hang", times=1)
    async with AsyncAlchemyClient(ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reingest_contract(ADDRESS), timeout=0.2)
        assert (await client.reingest_contract(ADDRESS)).contract_address == LOWER


async def test_a_time_limit_round_a_call_holds_where_the_calls_own_is_over_at_the_same_moment(
    emulator: AlchemyEmulator,
) -> None:
    async def hold_the_loop_up() -> None:
        await until(lambda: emulator.count() == 1)
        time.sleep(0.5)  # noqa: ASYNC251 - as a machine that stands still does: both limits are over after it

    emulator.add_fault("hang")
    settings = ClientSettings(**{**USUAL, "timeout": 0.3}, api_key=emulator.api_key, host=emulator.url)
    async with AsyncAlchemyClient(settings) as client, asyncio.TaskGroup() as group:
        group.create_task(hold_the_loop_up())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.reingest_contract(ADDRESS, max_attempts=1)
