# SPDX-License-Identifier: Apache-2.0
"""What an endpoint is, what it gets and what it gives: values, of which only the server knows how they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.account import Account
    from airflow_provider_alchemy.testing.routing import ApiRequest

OK = 200
STATE_FIELD = "reingestionState"

INVALID_REQUEST, INVALID_PARAMS, PARSE_ERROR = -32600, -32602, -32700
LIMIT_EXCEEDED, SERVER_ERROR = -32005, -32000
"""Codes of JSON-RPC 2.0 and, the last two, of the Ethereum JSON-RPC specification (EIP-1474)."""

UNAVAILABLE = "Unable to complete request at this time."
OVER_THROUGHPUT = (
    "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can"
    " safely ignore this message. If not, check out https://docs.alchemy.com/reference/throughput"
)

RetryAfterForm = Literal["seconds", "date"]
BodyForm = Literal["error", "jsonrpc", "text", "html"]
"""The forms of an error's body: ``{"error": {"message"}}``, JSON-RPC, plain text, a proxy's page."""

Token = tuple[str, int]
"""A lower-case contract address and the id of one of its tokens."""


class Refused(Exception):  # noqa: N818 - an answer of the service, no failure of the emulator
    """The service refuses what was asked; the code is for the node API."""

    def __init__(self, message: str, *, status: int = 400, code: int = INVALID_PARAMS) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def require(condition: object, message: str, *, status: int = 400, code: int = INVALID_PARAMS) -> None:
    if not condition:
        raise Refused(message, status=status, code=code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call names. Of blocks, None is the newest one, whichever that is for the node that answers.

    ``blocks`` are the first and the last one of ``eth_getLogs``; an empty set of topics stands for any.
    """

    contracts: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    refreshes: bool = False
    start: int = 0
    limit: int = 0
    with_metadata: bool = True
    block: int | None = None
    blocks: tuple[int | None, int | None] | None = None
    topics: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the NFT API, or one method of the node API: that has no versions.

    ``read`` finds what a call names, ``answer`` answers one whose key and units are in order; both may refuse it.
    ``wrong_fields`` are for the fault ``wrong_types``; ``items_field`` is the answer's field with its NFTs, contracts
    or logs, None where it has only one.
    """

    name: str
    method: str
    compute_units: int
    throughput_units: int
    read: Callable[[ApiRequest], Asked]
    answer: Callable[[Exchange], Answer]
    wrong_fields: Mapping[str, object]
    items_field: str | None = None
    versions: frozenset[str] = frozenset({"v3"})
    names_contract: bool = True

    @property
    def reports_state(self) -> bool:
        return STATE_FIELD in self.wrong_fields

    @property
    def spared(self) -> set[str]:
        """The kinds of fault that cannot happen to its answers, because they have nothing to spoil."""
        kinds = {"unknown_state": self.reports_state, "other_contract": self.names_contract}
        return {kind for kind, may_happen in kinds.items() if not may_happen}


@dataclass(frozen=True)
class Exchange:
    """One call on its way to an answer; a dry one must leave no trace: the service never sees that call."""

    endpoint: Endpoint
    request: ApiRequest
    account: Account
    now: float
    is_dry: bool = False

    @cached_property
    def asked(self) -> Asked:
        return self.endpoint.read(self.request)

    def answer(self) -> Answer:
        try:
            return self.endpoint.answer(self)
        except Refused as refused:
            return refusal(self.request, refused.status, str(refused), code=refused.code)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; ``is_own`` marks an endpoint's own, with status 200 and JSON."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_own: bool = False

    @property
    def payload(self) -> Any:
        """The JSON of an endpoint's own answer; None for any other."""
        # Not kept: a batch is large, and nearly every answer goes out unread.
        return json.loads(self.body) if self.is_own else None


def json_answer(payload: object) -> Answer:
    return text_answer(json.dumps(payload))


def text_answer(text: str) -> Answer:
    """Give an endpoint's own answer whose JSON is written already."""
    return Answer(OK, text.encode(), is_own=True)


def refusal(
    request: ApiRequest,
    status: int,
    message: str,
    form: BodyForm = "error",
    headers: Mapping[str, str] | None = None,
    code: int | None = None,
) -> Answer:
    """Give an error in a form of Alchemy or a proxy; in the node API, either JSON form has the call's id and a code."""
    headers = headers or {}
    if form == "text":
        return Answer(status, message.encode(), "text/plain", headers)
    if form == "html":
        page = f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>\n"
        return Answer(status, page.encode(), "text/html", headers)
    content: dict[str, Any] = {"error": {"message": message}}
    if request.is_rpc:
        code = code or (SERVER_ERROR if status == OK else status)
        content = {"jsonrpc": "2.0", "id": request.rpc_id, "error": {"code": code, "message": message}}
    elif form == "jsonrpc":
        content = {"jsonrpc": "2.0", "error": {"code": status, "message": message}}
    return Answer(status, json.dumps(content).encode(), headers=headers)


def retry_after_header(seconds: float | None, form: RetryAfterForm, now: float) -> dict[str, str]:
    """Give the ``Retry-After`` header (RFC 9110, section 10.2.3) in whole seconds, or nothing."""
    if seconds is None:
        return {}
    return {"Retry-After": formatdate(ceil(now + seconds), usegmt=True) if form == "date" else str(ceil(seconds))}
