# SPDX-License-Identifier: Apache-2.0
"""What each kind of fault makes of an answer: one small function for each, and the table that names them.

Each gets the right answer (the service's own, or a sample where the service never saw the call) and gives
the spoilt one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.testing.answers import (
    OVER_THROUGHPUT,
    UNAVAILABLE,
    Answer,
    BodyForm,
    error_answer,
    json_answer,
    retry_after_header,
)
from airflow_provider_alchemy.testing.faults import Fault, FaultKind
from airflow_provider_alchemy.testing.rpc_answers import refusal

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.endpoints import Endpoint
    from airflow_provider_alchemy.testing.routing import ApiRequest

OTHER_CONTRACT = "0x00000000000000000000000000000000decafbad"

_MESSAGES = {
    400: "Unsupported method",
    401: "Must be authenticated!",
    403: "App is inactive.",
    404: "Not found",
    410: "Gone",
    429: OVER_THROUGHPUT,
}


def _http(fault: Fault, _endpoint: Endpoint, request: ApiRequest, _right: Answer, now: float) -> Answer:
    message = _MESSAGES.get(fault.status, UNAVAILABLE) if fault.message is None else fault.message
    headers = {**fault.headers, **retry_after_header(fault.retry_after, fault.retry_after_form, now)}
    return refusal(request, fault.status, message, fault.body, headers)


def _inactive_app(fault: Fault, _endpoint: Endpoint, _request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return error_answer(403, fault.message or "App is inactive.", BodyForm.TEXT)


def _network_disabled(fault: Fault, _endpoint: Endpoint, request: ApiRequest, _right: Answer, _now: float) -> Answer:
    name = request.network.upper().replace("-", "_")
    sentence = (
        f"{name} is not enabled for this app. Visit this page to enable the network: https://dashboard.alchemy.com/apps"
    )
    return refusal(request, 403, fault.message or sentence, fault.body)


def _redirect(fault: Fault, _endpoint: Endpoint, _request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return Answer(302, b"", "text/plain", {"Location": fault.location})


def _empty(_fault: Fault, _endpoint: Endpoint, _request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return Answer(200, b"")


def _html(fault: Fault, _endpoint: Endpoint, _request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return error_answer(200, fault.message or "Please stand by.", BodyForm.HTML)


def _not_json(fault: Fault, _endpoint: Endpoint, _request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return Answer(200, (fault.message or "no JSON at all").encode())


def _cut_json(_fault: Fault, _endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    return Answer(200, right.body[: len(right.body) // 2])


def _error_object(fault: Fault, _endpoint: Endpoint, request: ApiRequest, _right: Answer, _now: float) -> Answer:
    return refusal(request, 200, fault.message or UNAVAILABLE, fault.body)


def _each(right: Answer, endpoint: Endpoint, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Change the answer's one object, or each of its NFTs, contracts or logs where it has several."""
    payload = right.payload or {}
    if isinstance(payload, list):
        return json_answer([change(item) for item in payload])
    if endpoint.items_field is None:
        return json_answer(change(payload))
    items = [change(item) for item in payload.get(endpoint.items_field, [])]
    return json_answer({**payload, endpoint.items_field: items})


def _wrong_types(fault: Fault, endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    fields = dict(endpoint.wrong_fields if fault.fields is None else fault.fields)
    if not right.is_own:
        # A refusal has no values of its own; made from nothing, an answer without logs would look right.
        return right
    if endpoint.items_field is None or not isinstance(right.payload, dict):
        return _each(right, endpoint, lambda item: {**item, **fields})
    # What stands beside the items is not theirs.
    beside = {name: fields.pop(name) for name in (endpoint.items_field, "pageKey") if name in fields}
    changed = _each(right, endpoint, lambda item: {**item, **fields})
    return json_answer({**changed.payload, **beside})


def _unknown_state(fault: Fault, endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    return _each(right, endpoint, lambda item: {**item, str(endpoint.state_field): fault.state})


def _other_contract(_fault: Fault, endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    return _each(right, endpoint, _of_other_contract)


def _of_other_contract(item: dict[str, Any]) -> dict[str, Any]:
    if isinstance(contract := item.get("contract"), dict):
        return {**item, "contract": _of_other_contract(contract)}
    return {**item, **{name: OTHER_CONTRACT for name in ("contractAddress", "address") if name in item}}


def _large(fault: Fault, _endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    payload = right.payload or {}
    padded = payload[0] if isinstance(payload, list) else payload
    padded["padding"] = ""
    padded["padding"] = "x" * max(0, fault.size - len(json.dumps(payload)))
    return json_answer(payload)


def _right(_fault: Fault, _endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    return right


def _cut(_fault: Fault, _endpoint: Endpoint, _request: ApiRequest, right: Answer, _now: float) -> Answer:
    return replace(right, is_own=False)


_SPOIL: dict[FaultKind, Callable[[Fault, Endpoint, ApiRequest, Answer, float], Answer]] = {
    FaultKind.HTTP: _http,
    FaultKind.INACTIVE_APP: _inactive_app,
    FaultKind.NETWORK_DISABLED: _network_disabled,
    FaultKind.REDIRECT: _redirect,
    FaultKind.EMPTY: _empty,
    FaultKind.HTML: _html,
    FaultKind.NOT_JSON: _not_json,
    FaultKind.CUT_JSON: _cut_json,
    FaultKind.ERROR_OBJECT: _error_object,
    FaultKind.WRONG_TYPES: _wrong_types,
    FaultKind.UNKNOWN_STATE: _unknown_state,
    FaultKind.OTHER_CONTRACT: _other_contract,
    FaultKind.LARGE: _large,
    FaultKind.CUT: _cut,
    FaultKind.DRIP: _right,
    FaultKind.SLOW: _right,
}


def spoil(fault: Fault, endpoint: Endpoint, request: ApiRequest, right: Answer, now: float) -> Answer | None:
    """Give what the client gets instead of the right answer.

    :param fault: the fault that hits the call.
    :param endpoint: the endpoint that was called.
    :param request: the call.
    :param right: the service's answer, or a sample of it where the service never saw the call.
    :param now: seconds since the epoch.
    :return: the spoilt answer; None where nothing is answered at all (``reset``, ``hang``).
    """
    maker = _SPOIL.get(fault.kind)
    return None if maker is None else maker(fault, endpoint, request, right, now)
