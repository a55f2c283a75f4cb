# SPDX-License-Identifier: Apache-2.0
"""The endpoints of single tokens show the key nowhere either: with a query or a JSON body, whatever goes wrong."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyError
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import Connect
from .servers import answer, http_server, raw_server
from .shells import ADDRESS, KEY, Client
from .test_secrets import EACH_AUTH, ECHOES, foreign, shown_by
from .test_transport_faults import nobody_has_that_name

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("pauses")]

ASKS: dict[str, Callable[[Client], Any]] = {
    "refreshNftMetadata": lambda client: client.refresh_nft_metadata(ADDRESS, 7),
    "getNFTMetadata": lambda client: client.get_nft_metadata(ADDRESS, 7),
    "getNFTMetadataBatch": lambda client: client.get_nft_metadata_batch(ADDRESS, [7, 8]),
    "getNFTsForContract": lambda client: list(client.get_nfts_for_contract(ADDRESS, start_token="7")),
    "getContractMetadataBatch": lambda client: client.get_contract_metadata_batch([ADDRESS]),
}
EACH = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
KINDS = [
    *("http", "inactive_app", "network_disabled", "redirect", "empty", "html", "not_json", "cut_json", "error_object"),
    *("cut", "reset"),
]


def fails(ask: Callable[[Client], Any], client: Client) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        ask(client)
    return caught.value


@EACH
@EACH_AUTH
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_shows_the_key(
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
    error = fails(ask, connect(auth=auth, max_attempts=2))
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
def test_a_refused_connection_does_not_show_the_key(connect_to: Connect, auth: str, ask: Callable[..., Any]) -> None:
    with raw_server(lambda *_: None) as server:
        url = server.url
    error = fails(ask, connect_to(api_key=KEY, host=url, auth=auth))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH
def test_an_unknown_host_does_not_show_the_key(
    connect_to: Connect, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", nobody_has_that_name)
    error = fails(ask, connect_to(api_key=KEY, network="no-such-network"))
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH
@ECHOES
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_server_that_sends_the_key_back_does_not_show_it(
    connect_to: Connect, auth: str, echo: Any, status: int, ask: Callable[..., Any]
) -> None:
    with http_server(lambda handler: answer(handler, status, echo(handler))) as server:
        error = fails(ask, connect_to(api_key=KEY, host=server.url, auth=auth))
    assert "***" in str(error)
    assert (shown_by(error, KEY), foreign(error)) == ([], [])


@EACH_AUTH
def test_metadata_that_echoes_the_key_does_not_show_it(connect_to: Connect, auth: str) -> None:
    body = f'{{"tokenId": "7", "name": "{KEY}", "raw": {{"error": "no route for {KEY}"}}}}'.encode()
    with http_server(lambda handler: answer(handler, 200, body)) as server:
        metadata = connect_to(api_key=KEY, host=server.url, auth=auth).get_nft_metadata(ADDRESS, 7)
    assert (metadata.name, metadata.error_text) == ("***", "no route for ***")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.refresh_nft_metadata(ADDRESS, KEY),
        lambda client: client.refresh_nft_metadata(KEY, 7),
        lambda client: client.get_nft_metadata(ADDRESS, KEY),
        lambda client: client.get_nft_metadata_batch(ADDRESS, [7, KEY]),
        lambda client: client.get_nft_metadata_batch(ADDRESS, {KEY: 7}),
        lambda client: list(client.get_nfts_for_contract(KEY)),
        lambda client: list(client.get_nfts_for_contract(ADDRESS, page_size=KEY)),
        lambda client: client.get_contract_metadata_batch([ADDRESS, KEY]),
    ],
    ids=range(8),
)
def test_a_key_in_the_place_of_an_argument_is_not_shown(connect_to: Connect, ask: Callable[..., Any]) -> None:
    error = fails(ask, connect_to(api_key=KEY))
    assert isinstance(error, AlchemyArgumentError)
    assert shown_by(error, KEY) == []


@EACH
@EACH_AUTH
def test_the_path_of_a_request_holds_the_key_only_where_the_settings_say_so(
    connect_to: Connect, auth: str, ask: Callable[..., Any]
) -> None:
    with http_server(lambda handler: answer(handler, 400, b"no")) as server:
        fails(ask, connect_to(api_key=KEY, host=server.url, auth=auth))
    assert [KEY in unquote(path) for path in server.seen] == [auth == "path"]
