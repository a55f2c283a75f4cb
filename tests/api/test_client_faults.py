# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on the way, with real sockets: each fault is its type of error, for both clients."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError, ErrorKind
from airflow_provider_alchemy.testing import AlchemyEmulator, FaultKind

from .conftest import Connect
from .servers import Running, raw_server
from .shells import ADDRESS, KEY, LOWER, Client

pytestmark = pytest.mark.integration

UNEXPECTED, PERMANENT, TRANSIENT = ErrorKind.UNEXPECTED, ErrorKind.PERMANENT, ErrorKind.TRANSIENT

FAULTS: list[tuple[dict[str, Any], type[AlchemyError], ErrorKind]] = [
    ({"kind": "http", "status": 401}, errors.AlchemyAuthenticationError, PERMANENT),
    ({"kind": "http", "status": 429}, errors.AlchemyRateLimitError, TRANSIENT),
    ({"kind": "http", "status": 503}, errors.AlchemyServerError, TRANSIENT),
    ({"kind": "inactive_app"}, errors.AlchemyAuthenticationError, PERMANENT),
    ({"kind": "network_disabled"}, errors.AlchemyNetworkError, PERMANENT),
    ({"kind": "redirect"}, errors.AlchemyUnexpectedAnswerError, UNEXPECTED),
    ({"kind": "empty"}, errors.AlchemyBadAnswerError, TRANSIENT),
    ({"kind": "html"}, errors.AlchemyBadAnswerError, TRANSIENT),
    ({"kind": "not_json"}, errors.AlchemyBadAnswerError, TRANSIENT),
    ({"kind": "cut_json"}, errors.AlchemyBadAnswerError, TRANSIENT),
    ({"kind": "error_object"}, errors.AlchemyServerError, TRANSIENT),
    ({"kind": "error_object", "message": "new"}, errors.AlchemyUnexpectedAnswerError, UNEXPECTED),
    ({"kind": "wrong_types"}, errors.AlchemyUnexpectedAnswerError, UNEXPECTED),
    ({"kind": "other_contract"}, errors.AlchemyUnexpectedAnswerError, UNEXPECTED),
    ({"kind": "cut"}, errors.AlchemyBadAnswerError, TRANSIENT),
    ({"kind": "drip", "seconds": 0.05}, errors.AlchemyTimeoutError, TRANSIENT),
    ({"kind": "drip", "seconds": 5}, errors.AlchemyTimeoutError, TRANSIENT),
    ({"kind": "slow", "seconds": 5}, errors.AlchemyTimeoutError, TRANSIENT),
    ({"kind": "reset"}, errors.AlchemyConnectionError, TRANSIENT),
    ({"kind": "hang"}, errors.AlchemyTimeoutError, TRANSIENT),
]
HARMLESS = {FaultKind.UNKNOWN_STATE, FaultKind.LARGE}
FAULT_IDS = [" ".join(str(part) for part in fault[0].values()) for fault in FAULTS]
SLOW_ONES = {"drip", "slow", "hang"}


def name_service_is_silent(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def no_host_has_that_name(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def fails(client: Client, attempts: int = 1) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, max_attempts=attempts)
    return caught.value


def test_each_kind_of_fault_of_the_emulator_has_a_row() -> None:
    assert {fault[0]["kind"] for fault in FAULTS} | HARMLESS == set(FaultKind)


@pytest.mark.parametrize(("fault", "error_type", "kind"), FAULTS, ids=FAULT_IDS)
def test_each_fault_is_its_type_of_error(
    connect: Connect, emulator: AlchemyEmulator, fault: dict[str, Any], error_type: type[AlchemyError], kind: ErrorKind
) -> None:
    emulator.add_fault(**fault)
    client = connect(timeout=0.3 if fault["kind"] in SLOW_ONES else 300, source="connection 'mine'")
    error = fails(client)
    assert (type(error), error.kind) == (error_type, kind)
    assert error.subject == f"collection {LOWER} on eth-mainnet (connection 'mine')"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        ({"kind": "http", "status": 503}, 3),
        ({"kind": "http", "status": 429}, 3),
        ({"kind": "html"}, 3),
        ({"kind": "cut"}, 3),
        ({"kind": "reset"}, 3),
        ({"kind": "hang"}, 3),
        ({"kind": "http", "status": 401}, 1),
        ({"kind": "inactive_app"}, 1),
        ({"kind": "redirect"}, 1),
        ({"kind": "wrong_types"}, 1),
    ],
    ids=lambda value: " ".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_only_what_is_transient_is_sent_again_and_only_as_often_as_asked(
    connect: Connect, emulator: AlchemyEmulator, fault: dict[str, Any], calls: int
) -> None:
    emulator.add_fault(**fault)
    fails(connect(timeout=0.2 if fault["kind"] in SLOW_ONES else 300), attempts=3)
    assert emulator.count() == calls


def test_a_network_without_the_endpoint_is_named(connect: Connect, emulator: AlchemyEmulator) -> None:
    error = fails(connect(host=emulator.url + "/{network}", network="base-mainnet"))
    assert type(error) is errors.AlchemyNetworkError
    assert "base-mainnet" in str(error)


@pytest.mark.parametrize("auth", ["path", "header"])
def test_a_wrong_key_is_refused(connect: Connect, auth: str) -> None:
    error = fails(connect(api_key="not-the-key", auth=auth))
    assert (type(error), error.http_status) == (errors.AlchemyAuthenticationError, 401)
    assert "Invalid access key" in str(error)


def test_a_service_that_does_not_know_the_header_form_says_what_to_try(
    connect: Connect, emulator: AlchemyEmulator
) -> None:
    emulator.configure(header_auth_v2=False)
    assert "may work with auth=path" in str(fails(connect(auth="header")))


def test_a_redirect_is_not_followed(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("redirect")
    assert "Redirects are not followed" in str(fails(client))
    assert [call.endpoint for call in emulator.calls] == ["reingestContract"]


@pytest.mark.parametrize("seconds", [0.2, 5], ids=["quickly", "slowly"])
def test_a_dripping_answer_ends_by_the_timeout(connect: Connect, emulator: AlchemyEmulator, seconds: float) -> None:
    emulator.add_fault("drip", seconds=seconds)
    begun = time.monotonic()
    error = fails(connect(timeout=0.3))
    assert "no complete answer within 0.3 seconds" in error.what
    assert time.monotonic() - begun > 0.25


# requests limits the silence between two bytes of the headers; nothing in it limits the whole of them.
@pytest.mark.parametrize("shell", ["aiohttp"], indirect=True)
def test_dripping_headers_end_by_the_timeout_in_an_event_loop(connect_to: Connect) -> None:
    def drip(connection: socket.socket, _: Running) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for byte in b"X-Slow: " + b"x" * 400 + b"\r\n\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.04)

    with raw_server(drip) as server:
        error = fails(connect_to(api_key=KEY, host=server.url, timeout=0.3))
    assert type(error) is errors.AlchemyTimeoutError


def test_a_body_of_five_megabytes_is_survived(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("large")
    assert client.reingest_contract(ADDRESS).contract_address == LOWER


def test_a_body_beyond_sixteen_megabytes_is_not_read_to_its_end(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("large", size=17 * 2**20)
    error = fails(client)
    assert (type(error), error.what.partition(" ")[2]) == (
        errors.AlchemyUnexpectedAnswerError,
        "sent more than 16 MiB",
    )


def test_an_unknown_state_is_no_error(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("unknown_state")
    status = client.reingest_contract(ADDRESS)
    assert (status.reported_state, status.is_pending) == ("warming_up", True)


def test_a_refused_connection_names_the_host(connect_to: Connect) -> None:
    with raw_server(lambda *_: None) as server:
        port = server.port
    error = fails(connect_to(api_key=KEY, host=f"http://127.0.0.1:{port}"))
    assert type(error) is errors.AlchemyConnectionError
    assert error.what == f"no connection to 127.0.0.1:{port}: Connection refused"


def test_a_connection_that_is_closed_before_any_answer_is_a_connection_error(connect_to: Connect) -> None:
    with raw_server(lambda connection, _: connection.recv(65536)) as server:
        error = fails(connect_to(api_key=KEY, host=server.url))
    assert type(error) is errors.AlchemyConnectionError


@pytest.mark.parametrize("noise", [b"\x00\xff\x00\xff\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/9 what\r\n\r\n"])
def test_a_server_that_speaks_no_http_is_an_alchemy_error(connect_to: Connect, noise: bytes) -> None:
    def serve(connection: socket.socket, _: Running) -> None:
        connection.recv(65536)
        connection.sendall(noise)

    with raw_server(serve) as server:
        assert fails(connect_to(api_key=KEY, host=server.url)).kind is TRANSIENT


def test_a_host_that_does_not_exist_is_an_unknown_network(connect_to: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    # The name service is asked nothing: what it would say differs from machine to machine.
    monkeypatch.setattr(socket, "getaddrinfo", no_host_has_that_name)
    error = fails(connect_to(api_key=KEY, network="no-such-network"), attempts=5)
    assert type(error) is errors.AlchemyHostNotFoundError
    assert error.what == "host no-such-network.g.alchemy.com does not exist"
    assert "network 'no-such-network'" in str(error)


def test_a_silent_name_service_is_waited_out(connect_to: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", name_service_is_silent)
    error = fails(connect_to(api_key=KEY))
    assert (type(error), error.kind) == (errors.AlchemyConnectionError, TRANSIENT)
