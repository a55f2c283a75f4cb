# SPDX-License-Identifier: Apache-2.0
"""
The rows of the matrix: everything that the emulator can do to an answer, and what it means to whoever asked.

The meanings are those of Alchemy's documents and of this project's design (the three kinds of errors), written down by
hand: nothing here asks the package what it would make of a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote


class Turn(StrEnum):
    """Whose turn it is after a faulty answer."""

    NOBODYS = "nobody's"
    """The answer is good, whatever it looks like."""

    OURS = "ours"
    """To be waited out: the next call may be answered."""

    USERS = "the user's"
    """To be mended: no retry of the task may be used up for it."""

    AUTHORS = "the authors'"
    """A bug, or an API that changed: fail and show what came."""

    PENDING = "pending"
    """An answer that says: not yet."""


class Phase(StrEnum):
    """How long a fault lasts."""

    PASSES = "passes"
    """It hits two calls, then the service is well."""

    STAYS = "stays"
    """It hits every call."""


HITS = 2
"""How many calls a fault hits that passes."""


@dataclass(frozen=True)
class Fault:
    """
    A row of the matrix.

    :param name: What it is called in the table.
    :param turn: Whose turn it is.
    :param error: The error it is, without ``Alchemy`` and ``Error``; empty: none.
    :param reason: The word by which results count that error.
    :param fields: Arguments of the emulator's ``add_fault``, without its kind's sentence.
    :param sentence: What the service says in it; the API key is added, as servers do that show what they were asked.
    :param is_late: Whether no complete answer comes while anybody waits: the caller's time limit ends the call.
    """

    name: str
    turn: Turn
    error: str = ""
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    sentence: str = ""
    is_late: bool = False

    def arguments(self, key: str) -> dict[str, Any]:
        """
        Give the arguments of ``add_fault``.

        :param key: The API key, which stands in everything that the faulty service says.
        """
        shown = f"{key} /v2/{quote(key, safe='')}/"
        told = {"message": f"{self.sentence} {shown}"} if self.sentence else {}
        return {"location": f"/v2/{quote(key, safe='')}", **told, **self.fields}


def _http(
    status: int, turn: Turn, error: str, reason: str, sentence: str, name: str | None = None, **fields: Any
) -> Fault:
    return Fault(name or str(status), turn, error, reason, {"kind": "http", "status": status, **fields}, sentence)


def _forms(status: int, turn: Turn, error: str, reason: str, sentence: str) -> tuple[Fault, ...]:
    """Give a status with a body in each of the four forms in which Alchemy or a proxy before it writes one."""
    return tuple(
        _http(status, turn, error, reason, sentence, f"{status} {form}", body=form)
        for form in ("error", "jsonrpc", "text", "html")
    )


_OURS, _USERS, _AUTHORS = Turn.OURS, Turn.USERS, Turn.AUTHORS
_BUSY = "Your app has exceeded its compute units per second capacity."
_BROKEN = "Unable to complete request at this time."
_MONTH = "Monthly capacity limit exceeded."

STATUSES: tuple[Fault, ...] = (
    _http(400, _USERS, "Request", "request", "Invalid arg"),
    _http(400, _USERS, "EndpointGone", "endpoint_gone", "Unsupported method", "400 no such method"),
    _http(401, _USERS, "Authentication", "authentication", "Invalid access key"),
    *_forms(403, _USERS, "Authentication", "authentication", "Forbidden"),
    _http(403, _USERS, "Quota", "quota", _MONTH, "403 month used up"),
    _http(404, _USERS, "EndpointGone", "endpoint_gone", "Not found"),
    _http(408, _OURS, "Timeout", "no_answer", "Request Timeout"),
    _http(410, _USERS, "EndpointGone", "endpoint_gone", "Gone"),
    _http(413, _USERS, "Request", "request", "Payload Too Large"),
    _http(422, _AUTHORS, "UnexpectedAnswer", "unexpected_answer", "Unprocessable Content"),
    *_forms(429, _OURS, "RateLimit", "rate_limit", _BUSY),
    _http(429, _OURS, "RateLimit", "rate_limit", _BUSY, "429 retry in 1 s", retry_after=1),
    _http(429, _OURS, "RateLimit", "rate_limit", _BUSY, "429 retry at a date", retry_after=1, retry_after_form="date"),
    _http(429, _USERS, "Quota", "quota", _MONTH, "429 month used up", body="jsonrpc"),
    _http(500, _OURS, "Server", "server_error", _BROKEN),
    _http(502, _OURS, "Server", "server_error", "Bad Gateway", body="html"),
    *_forms(503, _OURS, "Server", "server_error", "Service Unavailable"),
    _http(504, _OURS, "Server", "server_error", "Gateway Timeout", body="html"),
    _http(529, _OURS, "Server", "server_error", "Overloaded"),
)
"""An error status: Alchemy's page on errors, and those that stand for themselves on the web."""

REFUSALS: tuple[Fault, ...] = (
    Fault(
        "app inactive",
        _USERS,
        "Authentication",
        "authentication",
        {"kind": "inactive_app"},
        sentence="App is inactive.",
    ),
    Fault(
        "network disabled",
        _USERS,
        "Network",
        "network",
        {"kind": "network_disabled"},
        sentence="ETH_MAINNET is not enabled for this app. Visit this page to enable the network:",
    ),
    # Redirects are not followed, because they would carry the key elsewhere: the service has moved.
    Fault("redirect", _AUTHORS, "UnexpectedAnswer", "unexpected_answer", {"kind": "redirect"}),
)

CONNECTIONS: tuple[Fault, ...] = (
    Fault("reset", _OURS, "Connection", "connection", {"kind": "reset"}),
    Fault("cut", _OURS, "BadAnswer", "bad_answer", {"kind": "cut"}),
    Fault("hang", _OURS, "Timeout", "no_answer", {"kind": "hang"}, is_late=True),
    Fault("drip", _OURS, "Timeout", "no_answer", {"kind": "drip", "seconds": 600}, is_late=True),
    Fault("too slow", _OURS, "Timeout", "no_answer", {"kind": "slow", "seconds": 600}, is_late=True),
    Fault("slow", Turn.NOBODYS, fields={"kind": "slow", "seconds": 0.05}),
)
"""What happens to the connection, and to the time."""

ANSWERS: tuple[Fault, ...] = (
    Fault("empty", _OURS, "BadAnswer", "bad_answer", {"kind": "empty"}),
    Fault("HTML", _OURS, "BadAnswer", "bad_answer", {"kind": "html"}, sentence="Please stand by."),
    Fault("no JSON", _OURS, "BadAnswer", "bad_answer", {"kind": "not_json"}, sentence="no JSON at all"),
    Fault("cut JSON", _OURS, "BadAnswer", "bad_answer", {"kind": "cut_json"}),
    Fault("error object", _OURS, "Server", "server_error", {"kind": "error_object"}, sentence=_BROKEN),
    Fault("unknown state", Turn.PENDING, fields={"kind": "unknown_state"}),
    Fault("wrong types", _AUTHORS, "UnexpectedAnswer", "unexpected_answer", {"kind": "wrong_types"}),
    Fault("other contract", _AUTHORS, "UnexpectedAnswer", "unexpected_answer", {"kind": "other_contract"}),
    Fault("5 MB", Turn.NOBODYS, fields={"kind": "large", "after_processing": True}),
)
"""Status 200, and something else in it than was asked for."""

FAULTS = (*STATUSES, *REFUSALS, *CONNECTIONS, *ANSWERS)
