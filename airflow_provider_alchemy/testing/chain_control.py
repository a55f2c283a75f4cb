# SPDX-License-Identifier: Apache-2.0
"""The control interface's commands for the emulated blockchains: the methods of :class:`ChainSteering` as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from airflow_provider_alchemy.testing.chain import ChainLog
from airflow_provider_alchemy.testing.chain_steering import ChainSteering
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK

Payload = dict[str, Any]

_METHODS: dict[str, Callable[..., object]] = {
    "mine_blocks": ChainSteering.mine_blocks,
    "reveal": ChainSteering.reveal,
    "reveal_batch": ChainSteering.reveal_batch,
    "announce_uri": ChainSteering.announce_uri,
    "mint": ChainSteering.mint,
    "transfer": ChainSteering.transfer,
    "log": ChainSteering.emit_log,
    "reorganise": ChainSteering.reorganise,
}


def _look(steering: ChainSteering, payload: Payload) -> Payload:
    _check_fields(ChainSteering.chain_logs, payload)
    return _report(steering, steering.chain_logs(**payload), payload)


def _call(method: Callable[..., object], steering: ChainSteering, payload: Payload) -> Payload:
    _check_fields(method, payload)
    made = method(steering, **payload)
    return _report(steering, made if isinstance(made, tuple) else (), payload)


def _report(steering: ChainSteering, logs: tuple[ChainLog, ...], payload: Payload) -> Payload:
    newest = steering.newest_block(network=payload.get("network", DEFAULT_NETWORK))
    return {"newest_block": newest, "logs": [{"id": log.id, **asdict(log)} for log in logs]}


def _check_fields(method: Callable[..., object], payload: Payload) -> None:
    fields = dict(inspect.signature(method).parameters)
    fields.pop("self")
    for name, field in fields.items():
        if field.default is inspect.Parameter.empty and name not in payload:
            msg = f"{name} is missing"
            raise ValueError(msg)
    for name in payload.keys() - fields.keys():
        msg = f"{name} is not a field here; there are: {', '.join(fields)}"
        raise ValueError(msg)


CHAIN_COMMANDS: dict[tuple[str, str], Callable[[ChainSteering, Payload], Payload]] = {
    ("GET", "chain"): _look,
    **{("POST", name): partial(_call, method) for name, method in _METHODS.items()},
}
"""The commands by HTTP method and name."""
