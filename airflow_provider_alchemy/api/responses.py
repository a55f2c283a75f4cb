# SPDX-License-Identifier: Apache-2.0
"""What an HTTP answer means, or an HTTP library that raises instead of answering. No I/O."""

from __future__ import annotations

import json
import math
import os
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, RemoteDisconnected
from typing import Any

import aiohttp
import pendulum
import requests

from airflow_provider_alchemy.api.endpoints import NOT_OFFERED, SHOWN_CHARACTERS
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyBadAnswerError,
    AlchemyConfigurationError,
    AlchemyConnectionError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemyRateLimitError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.settings import ClientSettings

MAX_RETRY_AFTER_SECONDS = 300.0
"""The longest Retry-After that is honoured: a proxy that asks for a day is mistaken more often than right."""

MAX_MESSAGE_CHARACTERS = 2_000
"""More than any message that is known."""

UNBILLED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An HTTP answer, without its key.

    :param http_status: Its status.
    :param body: Its text, the key taken out.
    :param headers: Its headers, by name in any case. Not shown: where a redirect leads may hold the key.
    """

    http_status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_answer(answer: Answer) -> Any:
    """
    Give the JSON of a good answer.

    :param answer: The answer.
    :return: The JSON value.
    :raises AlchemyError: The answer is no good one: by its status, or by its body in spite of status 200.
    """
    if answer.http_status != HTTPStatus.OK:
        raise error_of_answer(answer)
    body = answer.body.strip()
    if not body:
        msg = "the answer is empty"
        raise AlchemyBadAnswerError(msg, http_status=answer.http_status)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        kind = "is a web page (HTML)" if body.startswith("<") else "is cut short or no JSON"
        msg = f"the answer {kind}: {_shown(body)}"
        raise AlchemyBadAnswerError(msg, http_status=answer.http_status) from None
    if isinstance(value, dict) and value.get("error"):
        raise error_of_answer(answer)
    return value


def error_of_answer(answer: Answer) -> AlchemyError:
    """
    Tell which error an answer is.

    :param answer: An answer that is no good one.
    :return: The error, with the service's own message, its status and how long to wait.
    """
    message, code = _message_and_code(answer.body)
    status = answer.http_status
    if status == HTTPStatus.OK:
        # An error object inside a good answer: its code is the status that the service meant.
        status = code if code is not None and code >= HTTPStatus.BAD_REQUEST else status
    error_type, advice = _type_and_advice(status, message.lower())
    error = error_type(
        f"Alchemy answered HTTP {answer.http_status}" + (f": {_shown(message)}" if message else ""),
        advice=advice,
        http_status=answer.http_status,
        retry_after_seconds=read_retry_after(answer.headers.get("Retry-After")),
    )
    # Numbers on a web page mean something else.
    error.message = "" if message.startswith("<") else message[:MAX_MESSAGE_CHARACTERS]
    return error


def _type_and_advice(status: int, message: str) -> tuple[type[AlchemyError], str | None]:
    for words, error_type, advice in _TEXTS:
        if any(word in message for word in words):
            return error_type, advice
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return AlchemyServerError, None
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return AlchemyUnexpectedAnswerError, (
            "Redirects are not followed, because they would carry the key elsewhere: set the connection's host to "
            "the address that the service moved to"
        )
    return _STATUSES.get(status, AlchemyUnexpectedAnswerError), None


_STATUSES: dict[int, type[AlchemyError]] = {
    HTTPStatus.BAD_REQUEST: AlchemyRequestError,
    HTTPStatus.UNAUTHORIZED: AlchemyAuthenticationError,
    HTTPStatus.FORBIDDEN: AlchemyAuthenticationError,
    HTTPStatus.NOT_FOUND: AlchemyEndpointGoneError,
    HTTPStatus.REQUEST_TIMEOUT: AlchemyTimeoutError,
    HTTPStatus.GONE: AlchemyEndpointGoneError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: AlchemyRequestError,
    HTTPStatus.TOO_MANY_REQUESTS: AlchemyRateLimitError,
}

_TEXTS: tuple[tuple[tuple[str, ...], type[AlchemyError], str | None], ...] = (
    (("monthly capacity",), AlchemyQuotaError, None),
    (("compute units per second",), AlchemyRateLimitError, None),
    (("unsupported method",), AlchemyEndpointGoneError, None),
    (NOT_OFFERED, AlchemyNetworkError, "Check the network, or enable it for the app in the Alchemy dashboard"),
    (
        ("is not enabled for this app",),
        AlchemyNetworkError,
        "Enable the network for the app in the Alchemy dashboard, or choose another network",
    ),
    (("app is inactive",), AlchemyAuthenticationError, "Activate the app in the Alchemy dashboard"),
    (("must be authenticated", "invalid access key"), AlchemyAuthenticationError, None),
    (("unable to complete request at this time",), AlchemyServerError, None),
)
"""Messages that say more than their status does."""


def _message_and_code(body: str) -> tuple[str, int | None]:
    """Find the message in ``{"error": {"message"}}``, JSON-RPC, ``{"error": "text"}``, ``{"message"}`` or text."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body.strip(), None
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return (error if isinstance(error, str) else body.strip()), None
    message, code = error.get("message"), error.get("code")
    is_code = isinstance(code, int) and not isinstance(code, bool)
    return (message if isinstance(message, str) else body.strip()), (code if is_code else None)


def read_retry_after(value: str | None) -> float | None:
    """
    Read a ``Retry-After`` header in both its forms (RFC 9110, section 10.2.3).

    :param value: Seconds or an HTTP date.
    :return: Seconds from now, 0 to 300; None where there is none or it cannot be read.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - pendulum.now("UTC")).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def is_billed(http_status: int) -> bool:
    """
    Tell whether an answer costs its compute units.

    :param http_status: The answer's status.
    :return: False for 429 and 403 (Alchemy's page on compute units) and for redirects, which come from before the
        service; True for any other, errors included.
    """
    is_redirect = HTTPStatus.MULTIPLE_CHOICES <= http_status < HTTPStatus.BAD_REQUEST
    return http_status not in UNBILLED and not is_redirect


def _shown(text: str) -> str:
    return " ".join(text.split())[:SHOWN_CHARACTERS]


_CUT = (aiohttp.ClientPayloadError, requests.exceptions.ChunkedEncodingError, HTTPException)
_UNREADABLE = (aiohttp.ContentTypeError, requests.exceptions.ContentDecodingError, UnicodeError, zlib.error)
_TIMED_OUT = (TimeoutError, requests.exceptions.Timeout)
_PROXY = (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, requests.exceptions.ProxyError)


def explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool = False) -> AlchemyError:
    """
    Tell what happened when no answer came, or not all of one.

    :param error: What the HTTP library raised; nothing of its text is used.
    :param settings: The client's settings, for advice.
    :param host: The host that was asked, without the key.
    :param through_proxy: Whether a proxy stands in between: it then is the only name that is looked up here.
    :return: The error to raise in its place. One of ours, which the way to the service raised, is that already.
    """
    if isinstance(error, AlchemyError):
        return error.without(settings.api_key)
    return _explain(error, settings, host, through_proxy=through_proxy).without(settings.api_key)


def _explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool) -> AlchemyError:
    roots = tuple(_chain(error))
    if _any(roots, _PROXY) or (through_proxy and _any(roots, (socket.gaierror,))):
        return AlchemyConnectionError(
            f"the proxy on the way to {host} could not be used",
            advice="Check proxy in the connection's extra, or HTTPS_PROXY where the task runs",
        )
    for root in roots:
        if isinstance(root, socket.gaierror):
            return _name_not_found(root, settings, host)
        if isinstance(root, ssl.SSLCertVerificationError):
            # aiohttp's own subclass lacks the words; the error of the TLS library is further down the chain.
            reason = next((str(r.verify_message) for r in roots if hasattr(r, "verify_message")), "no reason told")
            return AlchemyConfigurationError(
                f"the TLS certificate of {host} is not trusted: {reason}",
                advice="Set verify in the connection's extra to the file with the authority's certificate",
            )
    if _any(roots, _TIMED_OUT):
        return AlchemyTimeoutError(f"{host} gave no complete answer within {settings.timeout:g} seconds")
    if _any(roots, _CUT + _UNREADABLE) and not _any(roots, (RemoteDisconnected,)):
        return AlchemyBadAnswerError(f"the answer of {host} was cut short or could not be read")
    # The number says it: some libraries write the address into strerror, and a URL into their own text.
    numbers = [root.errno for root in roots if isinstance(root, OSError) and root.errno]
    reason = os.strerror(numbers[-1]) if numbers else "the connection broke"
    return AlchemyConnectionError(f"no connection to {host}: {reason}")


def _name_not_found(error: socket.gaierror, settings: ClientSettings, host: str) -> AlchemyError:
    if error.errno == socket.EAI_AGAIN:
        return AlchemyConnectionError(
            f"the name of {host} could not be looked up for now",
            advice="Check the name service (DNS) and the network connection of the machine that runs the task",
        )
    return AlchemyHostNotFoundError(
        f"host {host} does not exist",
        advice=f"Check the connection's host: {settings.host!r}"
        if settings.host and "{network}" not in settings.host
        else f"Check that network {settings.network!r} is spelled as in the Alchemy dashboard; if it is, the machine "
        "that runs the task cannot look up host names (DNS)",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        found = todo.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            # requests keeps the cause as its first argument, urllib3 as reason, aiohttp as os_error.
            todo += [found.__cause__, found.__context__, *found.args]
            todo += [getattr(found, "reason", None), getattr(found, "os_error", None)]


def _any(roots: tuple[BaseException, ...], types: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(root, types) for root in roots)
