# SPDX-License-Identifier: Apache-2.0
"""
What an HTTP answer means: a value to read, or which error. No I/O.

The rules are those of Alchemy's pages on errors and throughput. Some conditions are told apart by their text
only, because the service gives them the same status.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import pendulum

from airflow_provider_alchemy.api.endpoints import SHOWN_CHARACTERS
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyBadAnswerError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemyRateLimitError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.missing_endpoints import NOT_OFFERED

MAX_RETRY_AFTER_SECONDS = 300.0
"""The longest Retry-After that is honoured: a proxy that asks for a day is mistaken more often than right."""

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
    return error_type(
        f"Alchemy answered HTTP {answer.http_status}" + (f": {_shown(message)}" if message else ""),
        advice=advice,
        http_status=answer.http_status,
        retry_after_seconds=read_retry_after(answer.headers.get("Retry-After")),
    )


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
