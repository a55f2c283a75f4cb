# SPDX-License-Identifier: Apache-2.0
"""
What an HTTP answer means, or an HTTP library that raises instead of answering. No I/O.

The rules are those of Alchemy's pages on errors and throughput. Some conditions are told apart by their text only,
because the service gives them the same status.

Exceptions of HTTP libraries print the whole URL, key included. None of them is shown, chained or kept: the type of what
lies at their root says all that a person needs.
"""

from __future__ import annotations

import json
import math
import os
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

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

MAX_MESSAGE_CHARACTERS = 20_000
"""More than any message that is known."""

JSON_RPC_INTERNAL_ERROR = -32603
"""The code of JSON-RPC for what HTTP calls a server error; nodes send it with status 200 and 400."""

_ABOUT_SIZE = ("block range", "blocks range", "results")
"""What no refusal for throughput speaks of; some services give calls that ask for too much the same status."""

MAX_RETRY_AFTER_SECONDS = 300.0
"""The longest Retry-After that is honoured: a proxy that asks for a day is mistaken more often than right."""

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

# By name: neither library is loaded before a call needs it.
_CUT = frozenset({"ClientPayloadError", "ChunkedEncodingError", "ContentTypeError", "ContentDecodingError"})
_PROXY = frozenset({"ClientProxyConnectionError", "ClientHttpProxyError", "ProxyError"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, the key taken out of its body. Its headers are not shown: a redirect may lead to the key."""

    http_status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_redirect(self) -> bool:
        return HTTPStatus.MULTIPLE_CHOICES <= self.http_status < HTTPStatus.BAD_REQUEST

    @property
    def is_billed(self) -> bool:
        """Whether it costs its compute units: not 429 and 403 (Alchemy's page on compute units), nor redirects."""
        unbilled = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN}
        return self.http_status not in unbilled and not self.is_redirect


def read_answer(answer: Answer) -> Any:
    """Give the JSON of a good answer; raise what any other means, by its status or by its body in spite of a 200."""
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
    """Give the error that an answer is, with the service's own message, its status and how long to wait."""
    message, code = _message_and_code(answer.body)
    status = answer.http_status
    if status == HTTPStatus.OK:
        # An error object inside a good answer: its code is the status that the service meant.
        status = code if code is not None and code >= HTTPStatus.BAD_REQUEST else status
    if code == JSON_RPC_INTERNAL_ERROR and status in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    error_type, advice = _type_and_advice(status, message.lower(), is_redirect=answer.is_redirect)
    error = error_type(
        f"Alchemy answered HTTP {answer.http_status}" + (f": {_shown(message)}" if message else ""),
        advice=advice,
        http_status=answer.http_status,
        retry_after_seconds=read_retry_after(answer.headers.get("Retry-After")),
    )
    # Numbers on a web page mean something else.
    error.message = "" if message.startswith("<") else message[:MAX_MESSAGE_CHARACTERS]
    return error


def _type_and_advice(status: int, message: str, *, is_redirect: bool) -> tuple[type[AlchemyError], str | None]:
    for words, error_type, advice in _TEXTS:
        if any(word in message for word in words):
            return error_type, advice
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return AlchemyServerError, None
    if status == HTTPStatus.TOO_MANY_REQUESTS and any(words in message for words in _ABOUT_SIZE):
        return AlchemyRequestError, None
    if is_redirect:
        return AlchemyUnexpectedAnswerError, (
            "Redirects are not followed, because they would carry the key elsewhere: set the connection's host to "
            "the address that the service moved to"
        )
    return _STATUSES.get(status, AlchemyUnexpectedAnswerError), None


def _message_and_code(body: str) -> tuple[str, int | None]:
    """Find the message in ``{"error": {"message"}}``, JSON-RPC, ``{"error": "text"}``, ``{"message"}`` or text."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body.strip(), None
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return (error if isinstance(error, str) else body.strip()), None
    message, code, data = error.get("message"), error.get("code"), error.get("data")
    is_code = isinstance(code, int) and not isinstance(code, bool)
    if not isinstance(message, str):
        message = body.strip()
    elif data:
        # Some nodes say "Invalid params" for everything, and here what they mean.
        message = f"{message}: {data if isinstance(data, str) else json.dumps(data)}"
    return message, (code if is_code else None)


def read_retry_after(value: str | None) -> float | None:
    """Read a ``Retry-After`` in both its forms, seconds and date (RFC 9110, section 10.2.3): 0 to 300 seconds."""
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
        seconds = (moment - datetime.now(UTC)).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _shown(text: str) -> str:
    return " ".join(text.split())[:SHOWN_CHARACTERS]


def explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool = False) -> AlchemyError:
    """Give the error to raise in the place of what an HTTP library raised; nothing of its text is used."""
    if not isinstance(error, AlchemyError):
        error = _explain(error, settings, host, through_proxy=through_proxy)
    return error.without(settings.api_key)


def _explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool) -> AlchemyError:
    roots = tuple(_chain(error))
    names = {kind.__name__ for root in roots for kind in type(root).__mro__}
    if names & _PROXY or (through_proxy and "gaierror" in names):
        return AlchemyConnectionError(
            f"the proxy on the way to {host} could not be used",
            advice="Check proxy in the connection's extra, or HTTPS_PROXY where the task runs",
        )
    for root in roots:
        if isinstance(root, socket.gaierror):
            return _name_not_found(root, settings, host)
        if isinstance(root, ssl.SSLCertVerificationError):
            # aiohttp's own subclass lacks the words; the error of the TLS library is further down the chain.
            reason = next((str(r.verify_message) for r in roots if hasattr(r, "verify_message")), "no reason given")
            return AlchemyConfigurationError(
                f"the TLS certificate of {host} is not trusted: {reason}",
                advice="Set verify in the connection's extra to the file with the authority's certificate",
            )
    if "Timeout" in names or any(isinstance(root, TimeoutError) for root in roots):
        return AlchemyTimeoutError(f"{host} gave no complete answer within {settings.timeout:g} seconds")
    is_cut = names & _CUT or any(isinstance(root, HTTPException | UnicodeError | zlib.error) for root in roots)
    if is_cut and "RemoteDisconnected" not in names:
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
    """Give an error and all that it carries: requests keeps a cause in args, urllib3 in reason, aiohttp in os_error."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        found = todo.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            todo += [found.__cause__, found.__context__, *found.args]
            todo += [getattr(found, "reason", None), getattr(found, "os_error", None)]
