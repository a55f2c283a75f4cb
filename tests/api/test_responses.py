# SPDX-License-Identifier: Apache-2.0
"""What an HTTP answer means, or an HTTP library that raises instead of answering: the one table of both."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Callable
from email.utils import format_datetime, formatdate
from http.client import IncompleteRead
from typing import Any
from unittest.mock import Mock

import aiohttp
import pendulum
import pytest
import requests
import time_machine
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError, ErrorKind
from airflow_provider_alchemy.api.responses import Answer, error_of_answer, explain, read_answer, read_retry_after
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import KEY

OVER_THROUGHPUT = "Your app has exceeded its compute units per second capacity. If you have retries enabled, ignore it."
OVER_MONTH = "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade."
NOT_THERE = (
    "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for support!"
)
TOO_MANY = "Sorry, this endpoint only supports up to 100 tokens per request."
NOT_ENABLED = "ETH_MAINNET is not enabled for this app. Visit this page to enable the network: https://x"
UNAVAILABLE = "Unable to complete request at this time."
NOW = pendulum.datetime(2026, 11, 22, 10)

BODY_FORMS: dict[str, Callable[[int, str], str]] = {
    "error object": lambda _, message: json.dumps({"error": {"message": message}}),
    "JSON-RPC": lambda status, message: json.dumps({"jsonrpc": "2.0", "error": {"code": status, "message": message}}),
    "error text": lambda _, message: json.dumps({"error": message}),
    "message": lambda _, message: json.dumps({"message": message}),
    "JSON text": lambda _, message: json.dumps(message),
    "plain text": lambda _, message: message,
}

TABLE: list[tuple[int, str, type[AlchemyError], str]] = [
    (400, "Unsupported method", errors.AlchemyEndpointGoneError, "Leave the connection's host empty"),
    (400, "Invalid arg", errors.AlchemyRequestError, "Check the arguments"),
    (400, NOT_THERE, errors.AlchemyNetworkError, "Check the network, or enable it for the app"),
    (400, TOO_MANY, errors.AlchemyRequestError, "Check the arguments"),
    (401, "Must be authenticated!", errors.AlchemyAuthenticationError, "API key"),
    (401, "Invalid access key", errors.AlchemyAuthenticationError, "API key"),
    (403, "App is inactive.", errors.AlchemyAuthenticationError, "Activate the app"),
    (403, NOT_ENABLED, errors.AlchemyNetworkError, "Enable the network"),
    (403, OVER_MONTH, errors.AlchemyQuotaError, "next month"),
    (404, "Not found", errors.AlchemyEndpointGoneError, "Leave the connection's host empty"),
    (410, "Gone", errors.AlchemyEndpointGoneError, "Leave the connection's host empty"),
    (413, "Payload too large", errors.AlchemyRequestError, "Check the arguments"),
    (429, OVER_THROUGHPUT, errors.AlchemyRateLimitError, "poll_interval"),
    (429, OVER_MONTH, errors.AlchemyQuotaError, "next month"),
    (500, UNAVAILABLE, errors.AlchemyServerError, "try again later"),
    (502, UNAVAILABLE, errors.AlchemyServerError, "try again later"),
    (503, UNAVAILABLE, errors.AlchemyServerError, "try again later"),
    (504, UNAVAILABLE, errors.AlchemyServerError, "try again later"),
]


def error_for(status: int, body: str = "", **headers: str) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        read_answer(Answer(status, body, headers))
    return caught.value


@pytest.mark.parametrize("form", BODY_FORMS.values(), ids=BODY_FORMS)
@pytest.mark.parametrize(
    ("status", "message", "error_type", "advice"), TABLE, ids=[f"{row[0]} {row[1][:25]}" for row in TABLE]
)
def test_each_documented_error_is_its_type_in_every_body_form(
    form: Any, status: int, message: str, error_type: type[AlchemyError], advice: str
) -> None:
    error = error_for(status, form(status, message))
    assert type(error) is error_type
    assert error.http_status == status
    assert f"HTTP {status}: {message[:60]}" in str(error)
    assert advice in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.PERMANENT),
        (401, ErrorKind.PERMANENT),
        (403, ErrorKind.PERMANENT),
        (404, ErrorKind.PERMANENT),
        (408, ErrorKind.TRANSIENT),
        (410, ErrorKind.PERMANENT),
        (413, ErrorKind.PERMANENT),
        (418, ErrorKind.UNEXPECTED),
        (429, ErrorKind.TRANSIENT),
        (500, ErrorKind.TRANSIENT),
        (502, ErrorKind.TRANSIENT),
        (503, ErrorKind.TRANSIENT),
        (504, ErrorKind.TRANSIENT),
        (520, ErrorKind.TRANSIENT),
        (201, ErrorKind.UNEXPECTED),
        (204, ErrorKind.UNEXPECTED),
        (302, ErrorKind.UNEXPECTED),
        (308, ErrorKind.UNEXPECTED),
    ],
)
@pytest.mark.parametrize("body", ["", "<html><body>proxy</body></html>", "{}"], ids=["empty", "HTML", "empty object"])
def test_a_status_alone_decides_who_acts_where_the_body_says_nothing(status: int, kind: ErrorKind, body: str) -> None:
    assert error_for(status, body).kind is kind


@pytest.mark.parametrize("status", [429, 403])
@pytest.mark.parametrize("form", BODY_FORMS.values(), ids=BODY_FORMS)
def test_the_monthly_cap_is_final_whatever_its_status(status: int, form: Any) -> None:
    assert error_for(status, form(status, OVER_MONTH)).kind is ErrorKind.PERMANENT


def test_a_redirect_says_that_it_is_not_followed_and_why() -> None:
    assert "would carry the key elsewhere" in str(error_for(302))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("<html><body>Please stand by.</body></html>", "web page"),
        ("  <!DOCTYPE html>", "web page"),
        ("no JSON at all", "no JSON"),
        ('{"contractAddress": "0x', "cut short"),
        ("[" * 100_000, "cut short or no JSON"),
        ("9" * 5000, "cut short or no JSON"),
        ("\ufeff{}", "no JSON"),
    ],
    ids=["empty", "blank", "HTML", "doctype", "text", "cut", "too deep", "too many digits", "byte order mark"],
)
def test_a_good_status_with_a_bad_body_is_waited_out(body: str, words: str) -> None:
    error = error_for(200, body)
    assert type(error) is errors.AlchemyBadAnswerError
    assert error.kind is ErrorKind.TRANSIENT
    assert words in error.what


@pytest.mark.parametrize("kept", ["finished", "in_progress"])
def test_an_error_object_is_an_error_even_next_to_a_state(kept: str) -> None:
    body = json.dumps({"reingestionState": kept, "error": {"message": "something new"}})
    assert "something new" in str(error_for(200, body))


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        ({"code": 429, "message": OVER_THROUGHPUT}, errors.AlchemyRateLimitError),
        ({"code": 429, "message": OVER_MONTH}, errors.AlchemyQuotaError),
        ({"code": 429}, errors.AlchemyRateLimitError),
        ({"code": 401}, errors.AlchemyAuthenticationError),
        ({"code": 503}, errors.AlchemyServerError),
        ({"message": UNAVAILABLE}, errors.AlchemyServerError),
        (UNAVAILABLE, errors.AlchemyServerError),
        ("something new", errors.AlchemyUnexpectedAnswerError),
        ({"code": -32600, "message": "Invalid request"}, errors.AlchemyUnexpectedAnswerError),
        ({"code": -32603, "message": "Internal error"}, errors.AlchemyServerError),
        ({"code": 429, "message": "up to a 10 block range"}, errors.AlchemyRequestError),
        ({"code": True, "message": "x"}, errors.AlchemyUnexpectedAnswerError),
        ({"code": "429", "message": "x"}, errors.AlchemyUnexpectedAnswerError),
        ({"code": 10**400}, errors.AlchemyServerError),
        ([1], errors.AlchemyUnexpectedAnswerError),
        (5, errors.AlchemyUnexpectedAnswerError),
    ],
    ids=repr,
)
def test_an_error_object_in_a_good_answer_is_the_error_that_it_names(
    error: Any, error_type: type[AlchemyError]
) -> None:
    assert type(error_for(200, json.dumps({"error": error}))) is error_type


def test_what_a_node_means_may_be_in_the_data_of_its_error() -> None:
    error = {"code": -32602, "message": "Invalid params", "data": "from block is greater than latest block"}

    assert "Invalid params: from block is greater than latest block" in str(
        error_for(400, json.dumps({"error": error}))
    )


@pytest.mark.parametrize("nothing", [None, {}, "", [], False], ids=repr)
def test_an_empty_error_is_no_error(nothing: Any) -> None:
    answer = {"error": nothing, "reingestionState": "queued"}
    assert read_answer(Answer(200, json.dumps(answer))) == answer


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], "text", 5, None, True], ids=repr)
def test_any_json_is_given_back(value: Any) -> None:
    assert read_answer(Answer(200, f" {json.dumps(value)}\n")) == value


@pytest.mark.parametrize("status", [200, 503])
def test_a_long_text_is_cut_to_200_characters_and_one_line(status: int) -> None:
    what = error_for(status, "no\n\n  JSON " * 1000).what
    assert what.endswith(("no JSON " * 100)[:200])
    assert "\n" not in what


def test_a_service_error_carries_the_seconds_to_wait() -> None:
    assert error_for(503, **{"Retry-After": "7"}).retry_after_seconds == 7


def test_an_error_is_given_without_being_raised() -> None:
    assert type(error_of_answer(Answer(500, ""))) is errors.AlchemyServerError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("-5", 0),
        ("300", 300),
        ("301", 300),
        ("86400", 300),
        ("inf", 300),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30),
        ("Sunday, 22-Nov-26 10:00:30 GMT", 30),
        ("Sun Nov 22 10:00:30 2026", 30),
        ("Sun, 22 Nov 2026 12:00:30 +0200", 30),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 300),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 300),
        ("Sun, 99 Nov 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_capped(value: str | None, seconds: float | None) -> None:
    with time_machine.travel(NOW, tick=False):
        assert read_retry_after(value) == seconds


@given(st.text() | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(format_datetime))
def test_any_retry_after_is_none_or_from_0_to_300(value: str) -> None:
    seconds = read_retry_after(value)
    assert seconds is None or 0 <= seconds <= 300


@given(st.integers(0, 300))
def test_a_date_within_five_minutes_is_honoured_to_the_second(ahead: int) -> None:
    with time_machine.travel(NOW, tick=False):
        assert read_retry_after(formatdate(NOW.timestamp() + ahead, usegmt=True)) == ahead


@pytest.mark.parametrize(
    ("status", "billed"),
    [
        (200, True),
        (400, True),
        (401, True),
        (404, True),
        (500, True),
        (503, True),
        (403, False),
        (429, False),
        (302, False),
    ],
)
def test_only_429_403_and_redirects_are_not_billed(status: int, billed: bool) -> None:
    assert Answer(status, "").is_billed is billed


HOST = "eth-mainnet.g.alchemy.com"
URL = f"https://{HOST}/nft/v2/{KEY}/reingestContract"
CONNECTION = Mock(host=HOST, port=443, ssl=True, is_ssl=True)


def explained(error: BaseException, *, through_proxy: bool = False, **settings: str) -> AlchemyError:
    chosen = ClientSettings(api_key=KEY, **settings)  # type: ignore[arg-type]
    return explain(error, chosen, HOST, through_proxy=through_proxy)


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

FAILURES: list[tuple[str, BaseException, type[AlchemyError], str]] = [
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


@pytest.mark.parametrize(
    ("error", "error_type", "words"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_each_failure_is_its_type_and_says_what_happened(
    error: BaseException, error_type: type[AlchemyError], words: str
) -> None:
    told = explained(error)
    assert type(told) is error_type
    assert words in told.what


@pytest.mark.parametrize("error", [row[1] for row in FAILURES], ids=[row[0] for row in FAILURES])
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


def test_a_name_that_is_not_found_on_the_way_through_a_proxy_is_the_proxys() -> None:
    assert "the proxy on the way" in explained(in_requests(NO_NAME), through_proxy=True).what
