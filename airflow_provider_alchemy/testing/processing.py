# SPDX-License-Identifier: Apache-2.0
"""What happens to a call of the API, from the key check to the record, with no I/O.

The order is the service's: key, month, throughput, then the endpoint. A fault happens before all of it (a
proxy failed, the service never saw the call) or after it (the work is done and billed, the answer is lost).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_alchemy.testing.answers import (
    OVER_MONTHLY_CAPACITY,
    OVER_THROUGHPUT,
    Answer,
    BodyForm,
    error_answer,
    retry_after_header,
)
from airflow_provider_alchemy.testing.asked_logs import AskedLogs
from airflow_provider_alchemy.testing.calls import Auth, Call
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.endpoints import Endpoint
from airflow_provider_alchemy.testing.faults import Fault
from airflow_provider_alchemy.testing.faulty_answers import spoil
from airflow_provider_alchemy.testing.keys import MASK
from airflow_provider_alchemy.testing.metering import is_billed
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK, ApiRequest
from airflow_provider_alchemy.testing.rpc_answers import OK, batch_answer, refusal
from airflow_provider_alchemy.testing.state import ServiceState


@dataclass(frozen=True)
class Decision:
    """What the client is to get.

    :param answer: the answer; None where there is none at all.
    :param fault: the fault that hit the call, which may change how the answer is sent.
    :param call: the record of the call.
    """

    answer: Answer | None
    fault: Fault | None
    call: Call


def process(request: ApiRequest, state: ServiceState, now: float) -> Decision:
    """Do what the service does with one call, and record it.

    :param request: the call.
    :param state: the account's state, which changes.
    :param now: seconds since the epoch.
    :return: what the client gets.
    """
    with state.lock:
        fault, answer, units = _settle(request, state, now)
        is_trusted = state.keys.opens(request.key)
        logs = request.asked_logs if is_trusted else None
        call = Call(
            at=now,
            endpoint=request.endpoint_name,
            network=_network_to_show(request, is_trusted=is_trusted),
            contract_address=_address_to_show(request, is_trusted=is_trusted),
            auth=request.auth,
            http_status=answer.status if answer else None,
            state=_reported_state(request.endpoint, answer),
            compute_units=units,
            token_ids=tuple(token_id for _, token_id in request.asked.tokens) if is_trusted else (),
            refreshes=request.asked.refreshes,
            blocks=_asked_blocks(request, logs, state, now),
            addresses=len(logs.addresses) if logs else 0,
        )
        state.calls.append(call)
        state.compute_units += units
    return Decision(answer, fault, call)


def in_one_answer(decisions: Sequence[Decision]) -> Decision:
    """Answer an array of calls with one array.

    :param decisions: what each call would get for itself.
    :return: what the client gets. A fault that leaves a call no answer in JSON, or that happens before the service (an
        error status, a redirect), happens to all: they share one connection.
    """
    for decision in decisions:
        answer = decision.answer
        if answer is None or not _is_json(answer) or (decision.fault and answer.status != OK):
            return decision
    answers = [decision.answer for decision in decisions if decision.answer]
    fault = next((decision.fault for decision in decisions if decision.fault), None)
    return Decision(batch_answer(answers), fault, decisions[0].call)


def _is_json(answer: Answer) -> bool:
    try:
        json.loads(answer.body)
    except ValueError:
        return False
    return True


def _asked_blocks(
    request: ApiRequest, logs: AskedLogs | None, state: ServiceState, now: float
) -> tuple[int, int] | None:
    if logs is None or logs.refusal is not None:
        return None
    return logs.blocks(state.chains.find(request.network, state.settings, now).newest)


def _settle(request: ApiRequest, state: ServiceState, now: float) -> tuple[Fault | None, Answer | None, int]:
    endpoint = request.endpoint
    if endpoint is None:
        return None, error_answer(404, "Not found"), 0
    fault = _pick(request, endpoint, state, after=False)
    if fault is not None:
        spoilt = spoil(fault, endpoint, request, endpoint.sample(request, state, now), now)
        billed = is_billed(spoilt.status if spoilt else None)
        if billed:
            state.window.add(now, endpoint.throughput_units)
        return fault, spoilt, endpoint.compute_units if billed else 0
    answer: Answer | None = _serve(request, endpoint, state, now)
    units = endpoint.compute_units if answer and is_billed(answer.status) else 0
    if answer and answer.status == OK:
        fault = _pick(request, endpoint, state, after=True)
        if fault is not None:
            answer = spoil(fault, endpoint, request, answer, now)
    return fault, answer, units


def _pick(request: ApiRequest, endpoint: Endpoint, state: ServiceState, *, after: bool) -> Fault | None:
    return state.faults.pick(endpoint.name, request.contract_address, spared=endpoint.spared, after=after)


def _serve(request: ApiRequest, endpoint: Endpoint, state: ServiceState, now: float) -> Answer:
    settings = state.settings
    if request.auth is Auth.NONE or (
        request.auth is Auth.HEADER and request.version == "v2" and not request.is_rpc and not settings.header_auth_v2
    ):
        return refusal(request, 401, "Must be authenticated!")
    if not state.keys.opens(request.key):
        return refusal(request, 401, "Invalid access key")
    if settings.monthly_units is not None and state.compute_units + endpoint.compute_units > settings.monthly_units:
        return refusal(request, settings.monthly_status, OVER_MONTHLY_CAPACITY, BodyForm.JSONRPC)
    if not state.window.admit(now, endpoint.throughput_units, settings.units_per_second):
        state.throttled += 1
        headers = retry_after_header(settings.retry_after, settings.retry_after_form, now)
        return refusal(request, 429, OVER_THROUGHPUT, BodyForm.JSONRPC, headers)
    if request.method != endpoint.method:
        return refusal(request, 400, "Unsupported method")
    return endpoint.answer(request, state, now)


# A call without a right key may hold that key in the place of something else. It is not kept there either.
def _network_to_show(request: ApiRequest, *, is_trusted: bool) -> str:
    return request.network if is_trusted or request.network == DEFAULT_NETWORK else MASK


def _address_to_show(request: ApiRequest, *, is_trusted: bool) -> str | None:
    asked = request.contract_address
    is_harmless = is_address(asked) or (is_trusted and asked != request.key)
    return asked if asked is None or is_harmless else MASK


def _reported_state(endpoint: Endpoint | None, answer: Answer | None) -> str | None:
    if endpoint is None or endpoint.state_field is None or answer is None or not answer.is_own:
        return None
    state = answer.payload.get(endpoint.state_field)
    return state if isinstance(state, str) else None
