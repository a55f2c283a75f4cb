# SPDX-License-Identifier: Apache-2.0
"""
A DAG with waits of every kind for each scenario, and watchers beside them.

Each scenario has contracts of its own. A run gets them in its parameters; the waits that start in the triggerer take
literal ones only, so each scenario has a DAG.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

FILE = "waits.py"
WATCHERS = "watchers"
WAITS_VARIABLE, SCENARIOS_VARIABLE = "CLUSTER_WAITS", "CLUSTER_SCENARIOS"
DEFAULT_WAITS = 40
BATCHES = 3
POLL_SECONDS = 5.0
CONFIRMATIONS = 2
TIMEOUT_SECONDS = 1200


class Kind(StrEnum):
    """Kinds of waits; a contract of the name is one wait."""

    SENSOR = "sensor"
    OPERATOR = "operator"
    FROM_TRIGGER = "from_trigger"
    BATCH = "batch"
    COLLECTION = "collection"
    FRESH = "fresh"
    MINTED = "minted"
    WATCHER = "watcher"


PER_THOUSAND = {
    Kind.SENSOR: 150,
    Kind.OPERATOR: 150,
    Kind.FROM_TRIGGER: 100,
    Kind.BATCH: 450,
    Kind.COLLECTION: 25,
    Kind.FRESH: 50,
    Kind.MINTED: 50,
    Kind.WATCHER: 25,
}
"""How a number of waits is divided; a multiple of forty comes out even."""

REFRESHES = (Kind.SENSOR, Kind.OPERATOR, Kind.FROM_TRIGGER, Kind.BATCH)
"""The waits for a whole collection's refresh: they poll ``reingestContract``."""


def counts(waits: int) -> dict[Kind, int]:
    return {kind: waits * share // 1000 for kind, share in PER_THOUSAND.items()}


def dag_of(scenario: str) -> str:
    return f"waits_{scenario}"


def contracts_of(scenario: str, kind: Kind, waits: int) -> list[str]:
    number = counts(waits)[kind]
    return ["0x" + hashlib.sha256(f"{scenario} {kind} {index}".encode()).hexdigest()[:40] for index in range(number)]


def batches_of(contracts: list[str]) -> list[list[str]]:
    return [contracts[number::BATCHES] for number in range(BATCHES)]


def rendered(kind: Kind, waits: int) -> list[str]:
    """Give the template of each contract of a kind: the run's parameters have the contracts themselves."""
    return [f"{{{{ params.{kind}[{index}] }}}}" for index in range(counts(waits)[kind])]


def new_waits(scenario: str, waits: int) -> None:
    waiting: dict[str, Any] = {"deferrable": True, "poke_interval": POLL_SECONDS, "timeout": TIMEOUT_SECONDS}
    polling: dict[str, Any] = {"poll_interval": POLL_SECONDS, "timeout": TIMEOUT_SECONDS}
    ReingestSensor.partial(task_id=Kind.SENSOR, **waiting).expand(contract_address=rendered(Kind.SENSOR, waits))
    ReingestContractOperator.partial(
        task_id=Kind.OPERATOR, wait_for_completion=True, deferrable=True, **polling
    ).expand(contract_address=rendered(Kind.OPERATOR, waits))
    for index, contract in enumerate(contracts_of(scenario, Kind.FROM_TRIGGER, waits)):
        ReingestSensor(
            task_id=f"{Kind.FROM_TRIGGER}_{index}",
            contract_address=contract,
            start_from_trigger=True,
            end_from_trigger=True,
            **waiting,
        )
    for number in range(BATCHES):
        ReingestContractsOperator(
            task_id=f"{Kind.BATCH}_{number}", contract_addresses=f"{{{{ params.batches[{number}] }}}}", **polling
        )
    RefreshCollectionOperator.partial(
        task_id=Kind.COLLECTION, deferrable=True, token_attempts=100, attempt_interval=30
    ).expand(contract_address=rendered(Kind.COLLECTION, waits))
    # Of the same collections as the task before: it refreshes them, this one only looks.
    MetadataFreshSensor.partial(
        task_id=Kind.FRESH, fresh_since="{{ dag_run.start_date }}", sample_size=10, **waiting
    ).expand(contract_address=rendered(Kind.FRESH, waits))
    NewTokensSensor.partial(task_id=Kind.MINTED, confirmations=CONFIRMATIONS, **waiting).expand(
        contract_address=rendered(Kind.MINTED, waits)
    )


def new_watchers(waits: int) -> None:
    assets = []
    for index, contract in enumerate(contracts_of(WATCHERS, Kind.WATCHER, waits)):
        trigger = MetadataUpdateTrigger([contract], confirmations=CONFIRMATIONS, poll_interval=1)
        name = f"{Kind.WATCHER}_{index}"
        assets.append(Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)]))
    # No run is started: the test reads the events themselves.
    start = pendulum.datetime(2026, 1, 1, tz="UTC")
    with DAG(WATCHERS, schedule=[*assets, Asset("never")], start_date=start, catchup=False):
        pass


if WAITS_VARIABLE in os.environ:
    number_of_waits = int(os.environ[WAITS_VARIABLE])
    for name_of_scenario in os.environ[SCENARIOS_VARIABLE].split(","):
        with DAG(
            dag_of(name_of_scenario),
            schedule=None,
            start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
            catchup=False,
            max_active_tasks=1000,
            max_active_runs=50,
            # A worker that dies takes its task with it: that is what retries are for.
            default_args={"retries": 4, "retry_delay": timedelta(seconds=1)},
            params={**{str(kind): [] for kind in Kind}, "batches": [[] for _ in range(BATCHES)]},
        ):
            new_waits(name_of_scenario, number_of_waits)
    new_watchers(number_of_waits)
