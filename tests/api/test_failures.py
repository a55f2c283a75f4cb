# SPDX-License-Identifier: Apache-2.0
"""What it means when an HTTP library raises instead of answering, and that nothing of its text is used."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import IncompleteRead
from unittest.mock import Mock

import aiohttp
import pytest
import requests
import urllib3

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError, ErrorKind
from airflow_provider_alchemy.api.responses import explain
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import KEY

HOST = "eth-mainnet.g.alchemy.com"
URL = f"https://{HOST}/nft/v2/{KEY}/reingestContract"
CONNECTION = Mock(host=HOST, port=443, ssl=True, is_ssl=True)


def explained(error: BaseException, **settings: str) -> AlchemyError:
    return explain(error, ClientSettings(api_key=KEY, **settings), HOST)  # type: ignore[arg-type]


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def in_requests(root: BaseException) -> BaseException:
    """Wrap an error as requests and urllib3 do."""
    pool = urllib3.HTTPSConnectionPool(HOST)
    return requests.exceptions.ConnectionError(urllib3.exceptions.MaxRetryError(pool, URL, root))  # type: ignore[arg-type]


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_NAME_NOW = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
NO_ROUTE = OSError(errno.EHOSTUNREACH, "No route to host")

TABLE: list[tuple[str, BaseException, type[AlchemyError], str]] = [
    ("name, requests", in_requests(NO_NAME), errors.AlchemyHostNotFoundError, "does not exist"),
    (
        "name, aiohttp",
        aiohttp.ClientConnectorDNSError(CONNECTION, NO_NAME),
        errors.AlchemyHostNotFoundError,
        "does not exist",
    ),
    ("name for now, requests", in_requests(NO_NAME_NOW), errors.AlchemyConnectionError, "could not be looked up"),
    (
        "name for now, aiohttp",
        aiohttp.ClientConnectorDNSError(CONNECTION, NO_NAME_NOW),
        errors.AlchemyConnectionError,
        "could not be looked up",
    ),
    ("refused, requests", in_requests(REFUSED), errors.AlchemyConnectionError, "Connection refused"),
    (
        "refused, aiohttp",
        aiohttp.ClientConnectorError(CONNECTION, REFUSED),
        errors.AlchemyConnectionError,
        "Connection refused",
    ),
    ("no route", in_requests(NO_ROUTE), errors.AlchemyConnectionError, "No route to host"),
    ("disconnected", aiohttp.ServerDisconnectedError(URL), errors.AlchemyConnectionError, "the connection broke"),
    ("certificate, requests", in_requests(untrusted()), errors.AlchemyConfigurationError, "self-signed"),
    (
        "certificate, aiohttp",
        aiohttp.ClientConnectorCertificateError(CONNECTION, untrusted()),
        errors.AlchemyConfigurationError,
        "self-signed",
    ),
    ("time-out, plain", TimeoutError(URL), errors.AlchemyTimeoutError, "within 30 seconds"),
    ("time-out to connect", requests.exceptions.ConnectTimeout(URL), errors.AlchemyTimeoutError, "within 30 seconds"),
    ("time-out to read", requests.exceptions.ReadTimeout(URL), errors.AlchemyTimeoutError, "within 30 seconds"),
    ("time-out, aiohttp", aiohttp.ServerTimeoutError(URL), errors.AlchemyTimeoutError, "within 30 seconds"),
    (
        "cut, requests",
        requests.exceptions.ChunkedEncodingError(urllib3.exceptions.ProtocolError(URL, IncompleteRead(b""))),
        errors.AlchemyBadAnswerError,
        "cut short",
    ),
    ("cut, aiohttp", aiohttp.ClientPayloadError(URL), errors.AlchemyBadAnswerError, "cut short"),
    ("encoding", requests.exceptions.ContentDecodingError(URL), errors.AlchemyBadAnswerError, "could not be read"),
    ("proxy, requests", requests.exceptions.ProxyError(URL), errors.AlchemyConnectionError, "proxy"),
    (
        "proxy, aiohttp",
        aiohttp.ClientProxyConnectionError(CONNECTION, REFUSED),
        errors.AlchemyConnectionError,
        "proxy",
    ),
    (
        "proxy's name, requests",
        requests.exceptions.ProxyError(in_requests(NO_NAME)),
        errors.AlchemyConnectionError,
        "proxy",
    ),
    ("anything else", RuntimeError(URL), errors.AlchemyConnectionError, "the connection broke"),
]


@pytest.mark.parametrize(("error", "error_type", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_failure_is_its_type_and_says_what_happened(
    error: BaseException, error_type: type[AlchemyError], words: str
) -> None:
    told = explained(error)
    assert type(told) is error_type
    assert words in told.what


@pytest.mark.parametrize("error", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_nothing_of_the_library_is_kept(error: BaseException) -> None:
    told = explained(error)
    assert KEY not in f"{told} {told!r} {told.args} {told.to_dict()}"
    assert (told.__cause__, told.__context__) == (None, None)


def test_an_error_of_ours_is_what_it_was_without_the_key() -> None:
    ours = AlchemyConfigurationError(f"field 'verify' is {KEY!r}", advice="Expected a file")
    assert (explained(ours) is ours, ours.what) == (True, "field 'verify' is '***'")


def test_a_chain_that_goes_round_in_a_circle_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    assert explained(caused(first, caused(second, first))).kind is ErrorKind.TRANSIENT


def test_an_unknown_host_names_the_network() -> None:
    told = explained(in_requests(NO_NAME), network="no-such-network")
    assert "network 'no-such-network'" in str(told)


def test_an_unknown_host_names_the_network_where_the_host_holds_it() -> None:
    told = explained(in_requests(NO_NAME), network="no-such-network", host="https://{network}.example.com")
    assert "'no-such-network'" in str(told)


def test_an_unknown_host_of_the_connection_names_that_host() -> None:
    told = explained(in_requests(NO_NAME), host="https://alchemy.example.com")
    assert "Check the connection's host: 'https://alchemy.example.com'" in str(told)


def test_an_unknown_host_that_holds_the_key_does_not_show_it() -> None:
    told = explained(in_requests(NO_NAME), host=f"https://{KEY}.example.com")
    assert KEY not in str(told)


def test_an_untrusted_certificate_names_the_field_verify() -> None:
    assert "Set verify" in str(explained(untrusted()))
