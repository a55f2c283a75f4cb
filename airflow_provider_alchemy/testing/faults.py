# SPDX-License-Identifier: Apache-2.0
"""Faults: what goes wrong, when, how often, for which calls, and what it makes of the right answer.

What a fault does to a connection is the server's business.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from airflow_provider_alchemy.testing import checks
from airflow_provider_alchemy.testing.exchange import (
    OVER_THROUGHPUT,
    STATE_FIELD,
    UNAVAILABLE,
    Answer,
    BodyForm,
    Exchange,
    RetryAfterForm,
    json_answer,
    refusal,
    retry_after_header,
)

OTHER_CONTRACT = "0x00000000000000000000000000000000decafbad"


class FaultKind(StrEnum):
    """What can go wrong."""

    HTTP = "http"  # an error status, in one of four body forms
    INACTIVE_APP = "inactive_app"  # 403, "App is inactive." as plain text
    NETWORK_DISABLED = "network_disabled"  # 403, the network is not enabled for the app
    REDIRECT = "redirect"  # 302 to another place
    EMPTY = "empty"  # 200 without a body
    HTML = "html"  # 200 with a proxy's page
    NOT_JSON = "not_json"  # 200 with a text that is called JSON
    CUT_JSON = "cut_json"  # 200 with half of the JSON
    ERROR_OBJECT = "error_object"  # 200 with an error object
    WRONG_TYPES = "wrong_types"  # 200 with values of the wrong type
    UNKNOWN_STATE = "unknown_state"  # 200 with a refresh state that no document names
    OTHER_CONTRACT = "other_contract"  # 200 about another contract
    LARGE = "large"  # 200 with a body of 5 MB
    CUT = "cut"  # the connection closes before Content-Length bytes were sent
    DRIP = "drip"  # one byte a second
    SLOW = "slow"  # the right answer, late
    RESET = "reset"  # the connection is reset (TCP RST)
    HANG = "hang"  # the call is taken and never answered


@checks.checked_dataclass
class Fault:
    """One thing that goes wrong; the defaults suit each kind, only ``kind`` is required.

    :param kind: what goes wrong.
    :param times: how many calls it hits; default None: every one until the faults are cleared.
    :param probability: the chance, from 0 to 1, that a call is hit; default 1. The dice are seeded.
    :param endpoint: only calls of this endpoint; default: of any.
    :param contract_address: only calls about this contract, the first one of a batch; default: about any.
    :param after_processing: False: the call never reaches the service, so it starts no job; True: the service did its
        work (only calls that it would answer with 200 are hit) and the answer is spoilt. Default: True for ``slow``,
        which cannot be False, and ``other_contract``, else False.
    :param status: the status of ``http``, 400 to 599; default 500.
    :param body: the form of an error: ``error`` (default), ``jsonrpc``, ``text`` or ``html``; both JSON forms are
        JSON-RPC in the node API.
    :param message: another sentence than the service's own for this kind or status.
    :param retry_after: seconds in the ``Retry-After`` of an error; default None: no such header.
    :param retry_after_form: ``seconds`` (default) or ``date``.
    :param seconds: how late ``slow`` is, and the time between two bytes of ``drip``; default 1.
    :param location: where ``redirect`` points to; the default is a path that the emulator does not know, so that a
        client that follows it shows up as a call of the endpoint ``unknown``.
    :param state: what ``unknown_state`` reports.
    :param fields: what ``wrong_types`` puts into the answer, or into each NFT, contract or log of several; default: one
        wrong field that suits the endpoint.
    :param size: bytes of ``large``; default 5 MB.
    """

    kind: Annotated[FaultKind, Field(strict=False)]
    times: checks.AtLeastOne | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    endpoint: str | None = None
    contract_address: checks.Address | None = None
    after_processing: bool | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 500
    body: BodyForm = "error"
    message: str | None = None
    retry_after: checks.Seconds | None = None
    retry_after_form: RetryAfterForm = "seconds"
    seconds: checks.Seconds = 1.0
    location: checks.Line = "/redirected"
    state: str = "warming_up"
    fields: dict[str, Any] | None = None
    size: checks.AtLeastOne = 5_000_000

    def __post_init__(self) -> None:
        if self.kind is FaultKind.SLOW and self.after_processing is False:
            msg = "after_processing cannot be false for slow: a late answer is still the service's own"
            raise ValueError(msg)

    @property
    def is_after(self) -> bool:
        """Whether the service has done its work before the fault happens."""
        if self.after_processing is None:
            return self.kind in {FaultKind.SLOW, FaultKind.OTHER_CONTRACT}
        return self.after_processing


class Faults:
    """The faults that wait for a call, oldest first; the dice are seeded, so that a test with probabilities repeats."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - chance for tests, which must repeat; no secret comes from it
        self.waiting: list[Fault] = []

    def pick(self, exchange: Exchange, *, is_after: bool) -> Fault | None:
        endpoint, contract_address = exchange.endpoint, (exchange.request.contract_address or "").lower()
        for index, fault in enumerate(self.waiting):
            if (
                fault.is_after is is_after
                and fault.endpoint in {None, endpoint.name}
                and fault.contract_address in {None, contract_address}
                and fault.kind not in endpoint.spared
                and self._dice.random() < fault.probability
            ):
                if fault.times == 1:
                    del self.waiting[index]
                elif fault.times is not None:
                    self.waiting[index] = replace(fault, times=fault.times - 1)
                return fault
        return None


class _Hit(NamedTuple):
    fault: Fault
    exchange: Exchange
    right: Answer

    def refuse(self, status: int, message: str, form: BodyForm | None = None) -> Answer:
        sentence = message if self.fault.message is None else self.fault.message
        headers = retry_after_header(self.fault.retry_after, self.fault.retry_after_form, self.exchange.now)
        return refusal(self.exchange.request, status, sentence, form or self.fault.body, headers)

    def each(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
        """Change the answer's one object, or each of its NFTs, contracts or logs; a refusal has nothing to change."""
        if not self.right.is_own:
            return self.right
        payload, items = self.right.payload, self.exchange.endpoint.items_field
        if isinstance(payload, list):
            return json_answer([change(item) for item in payload])
        return json_answer(
            change(payload) if items is None else {**payload, items: [change(item) for item in payload[items]]}
        )


_MESSAGES = {400: "Unsupported method", 401: "Must be authenticated!", 403: "App is inactive.", 404: "Not found"}
_MESSAGES |= {410: "Gone", 429: OVER_THROUGHPUT}


def _network_disabled(hit: _Hit) -> Answer:
    network = hit.exchange.request.network.upper().replace("-", "_")
    page = "Visit this page to enable the network: https://dashboard.alchemy.com/apps"
    return hit.refuse(403, f"{network} is not enabled for this app. {page}")


def _wrong_types(hit: _Hit) -> Answer:
    fields = dict(hit.exchange.endpoint.wrong_fields if hit.fault.fields is None else hit.fault.fields)
    # What stands beside the items is not theirs.
    beside_names = (hit.exchange.endpoint.items_field, "pageKey") if isinstance(hit.right.payload, dict) else ()
    beside = {name: fields.pop(name) for name in beside_names if name is not None and name in fields}
    changed = hit.each(lambda item: {**item, **fields})
    return json_answer({**changed.payload, **beside}) if beside else changed


def _of_other_contract(item: dict[str, Any]) -> dict[str, Any]:
    if isinstance(contract := item.get("contract"), dict):
        return {**item, "contract": _of_other_contract(contract)}
    return {**item, **{name: OTHER_CONTRACT for name in ("contractAddress", "address") if name in item}}


def _large(hit: _Hit) -> Answer:
    payload = hit.right.payload
    if not payload:
        return hit.right
    padded = payload[0] if isinstance(payload, list) else payload
    padded["padding"] = ""
    padded["padding"] = "x" * max(0, hit.fault.size - len(json.dumps(payload)))
    return json_answer(payload)


_SPOIL: dict[FaultKind, Callable[[_Hit], Answer]] = {
    FaultKind.HTTP: lambda hit: hit.refuse(hit.fault.status, _MESSAGES.get(hit.fault.status, UNAVAILABLE)),
    FaultKind.INACTIVE_APP: lambda hit: hit.refuse(403, "App is inactive.", "text"),
    FaultKind.NETWORK_DISABLED: _network_disabled,
    FaultKind.REDIRECT: lambda hit: Answer(302, b"", "text/plain", {"Location": hit.fault.location}),
    FaultKind.EMPTY: lambda _hit: Answer(200, b""),
    FaultKind.HTML: lambda hit: hit.refuse(200, "Please stand by.", "html"),
    FaultKind.NOT_JSON: lambda hit: Answer(200, (hit.fault.message or "no JSON at all").encode()),
    FaultKind.CUT_JSON: lambda hit: Answer(200, hit.right.body[: len(hit.right.body) // 2]),
    FaultKind.ERROR_OBJECT: lambda hit: hit.refuse(200, UNAVAILABLE),
    FaultKind.WRONG_TYPES: _wrong_types,
    FaultKind.UNKNOWN_STATE: lambda hit: hit.each(lambda item: {**item, STATE_FIELD: hit.fault.state}),
    FaultKind.OTHER_CONTRACT: lambda hit: hit.each(_of_other_contract),
    FaultKind.LARGE: _large,
    FaultKind.CUT: lambda hit: replace(hit.right, is_own=False),
    FaultKind.DRIP: lambda hit: hit.right,
    FaultKind.SLOW: lambda hit: hit.right,
}


def spoil(fault: Fault, exchange: Exchange, right: Answer) -> Answer | None:
    """Give what the client gets instead of the right answer; None where nothing is answered (``reset``, ``hang``)."""
    maker = _SPOIL.get(fault.kind)
    return maker(_Hit(fault, exchange, right)) if maker else None
