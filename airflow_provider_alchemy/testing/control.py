# SPDX-License-Identifier: Apache-2.0
"""The control interface under ``/_emulator/``: steering for other processes, such as Airflow's workers.

It takes JSON, or with GET the query, and gives JSON. It has no way to read or set a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus

from aiohttp import web

from airflow_provider_alchemy.testing.chain_control import CHAIN_COMMANDS, Payload
from airflow_provider_alchemy.testing.steering import Steering

PREFIX = "/_emulator/"

_DONE: Payload = {"status": "ok"}


def _health(_steering: Steering, _payload: Payload) -> Payload:
    return _DONE


def _calls(steering: Steering, _payload: Payload) -> Payload:
    # As texts, because many clients' JSON numbers end at 2**53.
    return {"calls": [{**asdict(call), "token_ids": [*map(str, call.token_ids)]} for call in steering.calls]}


def _counters(steering: Steering, _payload: Payload) -> Payload:
    return {
        "calls": steering.count(),
        "compute_units": steering.compute_units,
        "throttled": steering.throttled,
        "connections": steering.connections,
    }


def _require(payload: Payload, field: str) -> None:
    if field not in payload:
        msg = f"{field} is missing"
        raise ValueError(msg)


def _set_job(steering: Steering, payload: Payload) -> Payload:
    _require(payload, "address")
    steering.set_job(**payload)
    return _DONE


def _set_default_job(steering: Steering, payload: Payload) -> Payload:
    steering.set_default_job(**payload)
    return _DONE


def _set_collection(steering: Steering, payload: Payload) -> Payload:
    _require(payload, "address")
    steering.set_collection(**payload)
    return _DONE


def _set_tokens(steering: Steering, payload: Payload) -> Payload:
    _require(payload, "address")
    _require(payload, "token_ids")
    steering.set_tokens(**payload)
    return _DONE


def _grow_collection(steering: Steering, payload: Payload) -> Payload:
    _require(payload, "address")
    _require(payload, "tokens")
    for field in payload.keys() - {"address", "tokens", "network"}:
        msg = f"{field} is not a field here; there are: address, tokens, network"
        raise ValueError(msg)
    steering.grow_collection(**payload)
    return _DONE


def _add_fault(steering: Steering, payload: Payload) -> Payload:
    _require(payload, "kind")
    steering.add_fault(**payload)
    return _DONE


def _clear_faults(steering: Steering, _payload: Payload) -> Payload:
    steering.clear_faults()
    return _DONE


def _reset(steering: Steering, _payload: Payload) -> Payload:
    steering.reset()
    return _DONE


def _configure(steering: Steering, payload: Payload) -> Payload:
    steering.configure(**payload)
    return asdict(steering.settings)


_COMMANDS: dict[tuple[str, str], Callable[[Steering, Payload], Payload]] = {
    ("GET", "health"): _health,
    ("GET", "calls"): _calls,
    ("GET", "counters"): _counters,
    ("POST", "jobs"): _set_job,
    ("POST", "default_job"): _set_default_job,
    ("POST", "collections"): _set_collection,
    ("POST", "tokens"): _set_tokens,
    ("POST", "grow"): _grow_collection,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "reset"): _reset,
    ("POST", "settings"): _configure,
    **CHAIN_COMMANDS,
}


def _refuse(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


async def control(request: web.BaseRequest, steering: Steering) -> web.Response:
    """Carry out one control request.

    :param request: the HTTP request, whose path begins with ``/_emulator/``.
    :param steering: what it steers.
    :return: 200 with JSON; 400 with a sentence that names the wrong field; 404 for a command that does not
        exist.
    """
    command = _COMMANDS.get((request.method, request.path.removeprefix(PREFIX)))
    if command is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in _COMMANDS)
        return _refuse(HTTPStatus.NOT_FOUND, f"There is no such command; there are: {known}")
    body = await request.read()
    without_body: Payload = dict(request.query) if request.method == "GET" else {}
    try:
        payload = json.loads(body) if body.strip() else without_body
    except ValueError:
        return _refuse(HTTPStatus.BAD_REQUEST, "The body is not JSON")
    if not isinstance(payload, dict):
        return _refuse(HTTPStatus.BAD_REQUEST, "The body must be a JSON object")
    try:
        return web.json_response(command(steering, payload))
    except ValueError as error:
        return _refuse(HTTPStatus.BAD_REQUEST, str(error))
