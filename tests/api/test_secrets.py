# SPDX-License-Identifier: Apache-2.0
"""The key is shown nowhere: not by errors and what caused them, not by logs, whatever goes wrong."""

from __future__ import annotations

import base64
import logging
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote, unquote

import pytest

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import Connect
from .servers import answer, http_server, raw_server
from .shells import ADDRESS, KEY, Client
from .test_client_faults import FAULT_IDS, FAULTS, SLOW_ONES, no_host_has_that_name

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("pauses")]

LIBRARIES = ("requests", "urllib3", "aiohttp", "http")
EACH_AUTH = pytest.mark.parametrize("auth", ["path", "header"])


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk through everything that a traceback or a curious reader may show, causes that are suppressed included."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        found = todo.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            todo += [found.__cause__, found.__context__, *found.args]
            yield found


def texts(error: BaseException) -> str:
    shown = [error, repr(error), error.args, error.__dict__, getattr(error, "__notes__", ""), getattr(error, "doc", "")]
    return " ".join(str(part) for part in shown)


def forms(key: str) -> set[str]:
    return {key, quote(key, safe=""), base64.b64encode(key.encode()).decode()}


def shown_by(error: AlchemyError, key: str) -> list[str]:
    """Give every text of an error that shows the key in any form."""
    told = [texts(link) for link in chain(error)] + [str(error.to_dict()), str(pickle.dumps(error))]
    return [text for text in told if any(form in text for form in forms(key))]


def foreign(error: AlchemyError) -> list[BaseException]:
    return [link for link in chain(error) if type(link).__module__.split(".")[0] in LIBRARIES]


def fails(client: Client) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, max_attempts=2)
    return caught.value


@EACH_AUTH
@pytest.mark.parametrize("fault", [row[0] for row in FAULTS], ids=FAULT_IDS)
def test_no_fault_shows_the_key(
    connect: Connect,
    emulator: AlchemyEmulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: dict[str, Any],
    auth: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.add_fault(**fault)
    error = fails(connect(auth=auth, timeout=0.1 if fault["kind"] in SLOW_ONES else 300))
    key = emulator.api_key
    assert shown_by(error, key) == []
    assert foreign(error) == []
    assert [record for record in caplog.records if key in record.getMessage()] == []
    assert key not in "".join(capfd.readouterr())


@EACH_AUTH
def test_a_refused_connection_does_not_show_the_key(connect_to: Connect, auth: str) -> None:
    with raw_server(lambda *_: None) as server:
        url = server.url
    error = fails(connect_to(api_key=KEY, host=url, auth=auth))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH_AUTH
def test_an_unknown_host_does_not_show_the_key(connect_to: Connect, monkeypatch: pytest.MonkeyPatch, auth: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_host_has_that_name)
    error = fails(connect_to(api_key=KEY, network="no-such-network", auth=auth))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH_AUTH
def test_a_connection_that_breaks_does_not_show_the_key(connect_to: Connect, auth: str) -> None:
    with raw_server(lambda connection, _: connection.recv(65536)) as server:
        error = fails(connect_to(api_key=KEY, host=server.url, auth=auth))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


def test_a_proxy_that_is_not_there_does_not_show_the_key_nor_its_own_password(connect_to: Connect) -> None:
    proxy = "http://user:pa55word@127.0.0.1:9"
    error = fails(connect_to(api_key=KEY, host="http://alchemy.invalid", allow_insecure=True, proxy=proxy))
    assert (shown_by(error, KEY), shown_by(error, "pa55word"), foreign(error)) == ([], [], [])


def echo_path(handler: BaseHTTPRequestHandler) -> bytes:
    return f"Cannot GET {handler.path}".encode()


def echo_decoded_path(handler: BaseHTTPRequestHandler) -> bytes:
    return f'{{"error": {{"message": "No route for {unquote(handler.path)}"}}}}'.encode()


def echo_authorization(handler: BaseHTTPRequestHandler) -> bytes:
    return f"I do not know {handler.headers['Authorization']}".encode()


ECHOES = pytest.mark.parametrize(
    ("auth", "echo"),
    [("path", echo_path), ("path", echo_decoded_path), ("header", echo_authorization)],
    ids=["path", "decoded path", "header"],
)


@ECHOES
@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_a_server_that_sends_the_key_back_does_not_show_it(
    connect_to: Connect, auth: str, echo: Any, status: int
) -> None:
    with http_server(lambda handler: answer(handler, status, echo(handler))) as server:
        error = fails(connect_to(api_key=KEY, host=server.url, auth=auth))
    assert "***" in str(error)
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@ECHOES
@pytest.mark.parametrize(
    "key", ["a/b+c=d&e?f", "eyJhbGciOiJF.eyJpc3MiOiJ4.sig-na_ture", "per%cent%2Fage", 'back\\sl"ash']
)
def test_a_key_with_characters_that_urls_quote_is_not_shown_either(
    connect_to: Connect, auth: str, echo: Any, key: str
) -> None:
    seen: list[str] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        seen.append(echo(handler).decode())
        answer(handler, 404, echo(handler))

    with http_server(respond) as server:
        error = fails(connect_to(api_key=key, host=server.url, auth=auth))
    assert "***" in str(error)
    assert [word for word in seen[0].split() if len(word) > 8 and word in str(error)] == []


@EACH_AUTH
def test_a_state_that_echoes_the_key_does_not_show_it(connect_to: Connect, auth: str) -> None:
    body = b'{"reingestionState": "%s", "progress": "%s"}' % (KEY.encode(), KEY.encode())
    with http_server(lambda handler: answer(handler, 200, body)) as server:
        status = connect_to(api_key=KEY, host=server.url, auth=auth).reingest_contract(ADDRESS)
    assert KEY not in repr(status)


@EACH_AUTH
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_a_traceback_with_the_values_of_variables_does_not_show_the_key(
    connect_to: Connect, auth: str, status: int
) -> None:
    """Airflow's command line prints such ones where ``DEV`` is set, and so do services that collect errors."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", f"https://elsewhere.example{handler.path}")
        handler.send_header("X-Asked-With", handler.headers["Authorization"] or handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with http_server(respond) as server:
        error = fails(connect_to(api_key=KEY, host=server.url, auth=auth))
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in shown.stack if "airflow_provider_alchemy" in frame.filename]
    assert any("Answer(" in value for frame in ours for value in (frame.locals or {}).values())
    assert [frame.name for frame in ours if any(form in str(frame.locals) for form in forms(KEY))] == []


def test_a_key_in_the_place_of_the_file_with_authorities_is_not_shown(connect_to: Connect) -> None:
    with pytest.raises(AlchemyConfigurationError) as caught:
        connect_to(api_key=KEY, verify=f"/certificates/{KEY}").reingest_contract(ADDRESS)
    assert "field 'verify'" in str(caught.value)
    assert shown_by(caught.value, KEY) == []


def test_clients_do_not_show_the_key(client: Client, emulator: AlchemyEmulator) -> None:
    assert emulator.api_key not in f"{client!r} {client} {client.settings!r}"


def fails_with(ask: Callable[[Client], Any], client: Client) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        ask(client)
    return caught.value


ASKS: dict[str, Callable[[Client], Any]] = {
    "refreshNftMetadata": lambda client: client.refresh_nft_metadata(ADDRESS, 7),
    "getNFTMetadata": lambda client: client.get_nft_metadata(ADDRESS, 7),
    "getNFTMetadataBatch": lambda client: client.get_nft_metadata_batch(ADDRESS, [7, 8]),
    "getNFTsForContract": lambda client: client.get_nfts_for_contract(ADDRESS, start_token="7"),
    "getContractMetadataBatch": lambda client: client.get_contract_metadata_batch([ADDRESS]),
}
EACH = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
KINDS = ["http", "redirect", "html", "cut_json", "error_object", "cut", "reset"]


@EACH
@EACH_AUTH
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_of_another_endpoint_shows_the_key(
    connect: Connect,
    emulator: AlchemyEmulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    auth: str,
    ask: Callable[[Client], Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.add_fault(kind)
    error = fails_with(ask, connect(auth=auth, max_attempts=2))
    key = emulator.api_key
    assert (shown_by(error, key), foreign(error)) == ([], [])
    assert [record for record in caplog.records if key in record.getMessage()] == []
    assert key not in "".join(capfd.readouterr())


@EACH
@EACH_AUTH
def test_no_good_answer_shows_the_key(
    connect: Connect, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture, auth: str, ask: Callable[..., Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    value = ask(connect(auth=auth))
    assert emulator.api_key not in f"{value!r}{caplog.text}"


@EACH
@EACH_AUTH
def test_a_refused_connection_of_another_endpoint_does_not_show_it(
    connect_to: Connect, auth: str, ask: Callable[..., Any]
) -> None:
    with raw_server(lambda *_: None) as server:
        url = server.url
    error = fails_with(ask, connect_to(api_key=KEY, host=url, auth=auth))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH
def test_an_unknown_host_of_another_endpoint_does_not_show_it(
    connect_to: Connect, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_host_has_that_name)
    error = fails_with(ask, connect_to(api_key=KEY, network="no-such-network"))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH
@ECHOES
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_server_that_sends_the_key_back_from_another_endpoint_does_not_show_it(
    connect_to: Connect, auth: str, echo: Any, status: int, ask: Callable[..., Any]
) -> None:
    with http_server(lambda handler: answer(handler, status, echo(handler))) as server:
        error = fails_with(ask, connect_to(api_key=KEY, host=server.url, auth=auth))
    assert "***" in str(error)
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH_AUTH
def test_metadata_that_echoes_the_key_does_not_show_it(connect_to: Connect, auth: str) -> None:
    body = f'{{"tokenId": "7", "name": "{KEY}", "raw": {{"error": "no route for {KEY}"}}}}'.encode()
    with http_server(lambda handler: answer(handler, 200, body)) as server:
        metadata = connect_to(api_key=KEY, host=server.url, auth=auth).get_nft_metadata(ADDRESS, 7)
    assert (metadata.name, metadata.error_text) == ("***", "no route for ***")


@EACH
@EACH_AUTH
def test_the_path_of_a_request_holds_the_key_only_where_the_settings_say_so(
    connect_to: Connect, auth: str, ask: Callable[..., Any]
) -> None:
    with http_server(lambda handler: answer(handler, 400, b"no")) as server:
        fails_with(ask, connect_to(api_key=KEY, host=server.url, auth=auth))
    assert [KEY in unquote(path) for path in server.seen] == [auth == "path"]
