# SPDX-License-Identifier: Apache-2.0
"""Answers before they are sent, and the forms in which Alchemy words its errors.

An answer is a value: endpoints and faults make them, only the delivery module knows about sockets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum
from math import ceil
from typing import Any

from airflow_provider_alchemy.testing.settings import RetryAfterForm

OVER_THROUGHPUT = (
    "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can"
    " safely ignore this message. If not, check out https://docs.alchemy.com/reference/throughput"
)
OVER_MONTHLY_CAPACITY = (
    "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade your"
    " scaling policy for continued service."
)
UNAVAILABLE = "Unable to complete request at this time."
NOT_ON_THIS_NETWORK = (
    "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for support!"
)

_JSON = "application/json"


class BodyForm(StrEnum):
    """The forms of an error's body: ``{"error": {"message"}}``, JSON-RPC, plain text, a proxy's page."""

    ERROR = "error"
    JSONRPC = "jsonrpc"
    TEXT = "text"
    HTML = "html"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    :param status: HTTP status.
    :param body: the bytes of the body.
    :param content_type: the body's media type.
    :param headers: further headers.
    :param is_own: whether it is one of an endpoint's own answers, with status 200 and JSON.
    """

    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False

    @property
    def payload(self) -> Any:
        """What the body of an endpoint's own answer says, read from it at each call; None for any other."""
        # Not kept: a batch says much, and nearly every answer goes out without anybody looking into it.
        return json.loads(self.body) if self.is_own else None


def json_answer(payload: object) -> Answer:
    """Give an endpoint's own answer, with status 200."""
    return text_answer(json.dumps(payload))


def text_answer(text: str) -> Answer:
    """Give an endpoint's own answer whose JSON is written already, with status 200."""
    return Answer(200, text.encode(), is_own=True)


def error_answer(
    status: int, message: str, form: BodyForm = BodyForm.ERROR, headers: Mapping[str, str] | None = None
) -> Answer:
    """Give an error in one of the forms that Alchemy or a proxy before it uses.

    :param status: HTTP status.
    :param message: the sentence in the body.
    :param form: the body's form; the default is the NFT API's own.
    :param headers: further headers.
    :return: the answer.
    """
    headers = headers or {}
    if form is BodyForm.TEXT:
        return Answer(status, message.encode(), "text/plain", headers)
    if form is BodyForm.HTML:
        page = f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>\n"
        return Answer(status, page.encode(), "text/html", headers)
    if form is BodyForm.JSONRPC:
        content: dict[str, Any] = {"jsonrpc": "2.0", "error": {"code": status, "message": message}}
    else:
        content = {"error": {"message": message}}
    return Answer(status, json.dumps(content).encode(), headers=headers)


def retry_after_header(seconds: float | None, form: RetryAfterForm, now: float) -> dict[str, str]:
    """Give the ``Retry-After`` header (RFC 9110, section 10.2.3), rounded up to whole seconds.

    :param seconds: how long to wait; None: no header.
    :param form: seconds or an HTTP date.
    :param now: seconds since the epoch, from which a date counts.
    :return: the header, or nothing.
    """
    if seconds is None:
        return {}
    if form is RetryAfterForm.DATE:
        return {"Retry-After": formatdate(ceil(now + seconds), usegmt=True)}
    return {"Retry-After": str(ceil(seconds))}
