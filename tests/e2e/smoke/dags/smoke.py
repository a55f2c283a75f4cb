# SPDX-License-Identifier: Apache-2.0
"""A DAG with a task of each kind, each with a collection of its own, and a DAG that a watcher starts."""

from __future__ import annotations

import hashlib
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

WAITS, WATCHED = "waits", "watched"
OPERATOR, BATCH, TOKENS, FRESH, MINTED = "operator", "batch", "tokens", "fresh", "minted"
DEFERRED_SENSOR = "sensor_deferred"
PAUSE_SECONDS = 20
"""Airflow's scheduler takes a task for killed that goes on before it has heard that the task's worker ended: on a busy
machine it hears that several seconds late."""
MODES: dict[str, dict[str, Any]] = {
    "sensor_poke": {"deferrable": False, "mode": "poke", "poke_interval": 1},
    "sensor_reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": PAUSE_SECONDS},
    DEFERRED_SENSOR: {"deferrable": True, "poke_interval": 1},
}
HELD = (OPERATOR, BATCH, DEFERRED_SENSOR, FRESH, MINTED)
"""The deferred tasks that do not end before the test lets them."""
DEFERRED = (*HELD, TOKENS)
BATCH_SIZE = 20
TIMEOUT_SECONDS = 86_400
"""No wait ends because the machine is slow."""


def address_of(name: str) -> str:
    return "0x" + hashlib.sha256(f"smoke {name}".encode()).hexdigest()[:40]


BATCH_CONTRACTS = [address_of(f"{BATCH} {number}") for number in range(BATCH_SIZE)]
REFRESHED = (*map(address_of, (OPERATOR, *MODES)), *BATCH_CONTRACTS)
"""The contracts whose whole refresh is waited for."""

START = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG(WAITS, schedule=None, start_date=START, catchup=False):
    ReingestContractOperator(
        task_id=OPERATOR,
        contract_address=address_of(OPERATOR),
        wait_for_completion=True,
        deferrable=True,
        poll_interval=1,
        timeout=TIMEOUT_SECONDS,
    )
    ReingestContractsOperator(
        task_id=BATCH, contract_addresses=BATCH_CONTRACTS, poll_interval=1, timeout=TIMEOUT_SECONDS
    )
    RefreshCollectionOperator(
        task_id=TOKENS, contract_address=address_of(TOKENS), attempt_interval=PAUSE_SECONDS, deferrable=True
    )
    for mode, arguments in MODES.items():
        ReingestSensor(task_id=mode, contract_address=address_of(mode), timeout=TIMEOUT_SECONDS, **arguments)
    MetadataFreshSensor(
        task_id=FRESH,
        contract_address=address_of(FRESH),
        fresh_since="{{ dag_run.start_date }}",
        poke_interval=1,
        timeout=TIMEOUT_SECONDS,
        deferrable=True,
    )
    NewTokensSensor(
        task_id=MINTED,
        contract_address=address_of(MINTED),
        poke_interval=1,
        timeout=TIMEOUT_SECONDS,
        deferrable=True,
    )

watcher = AssetWatcher(name=WATCHED, trigger=MetadataUpdateTrigger([address_of(WATCHED)], poll_interval=1))

# Not paused: Airflow makes the triggers of a DAG's assets when it parses its file.
with DAG(
    WATCHED,
    schedule=[Asset(WATCHED, watchers=[watcher])],
    start_date=START,
    catchup=False,
    is_paused_upon_creation=False,
):

    @task
    def announced(triggering_asset_events: Any = None) -> list[str]:
        return [
            event_id
            for events in triggering_asset_events.values()
            for event in events
            for event_id in event.extra["payload"]["event_ids"]
        ]

    announced()
