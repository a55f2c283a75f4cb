# SPDX-License-Identifier: Apache-2.0
"""DAGs whose collections are in all the states that the page shows."""

from __future__ import annotations

import hashlib
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator

FRESH, PARTIAL, FAILED, RUNNING, NIGHTLY, NEVER = "fresh", "partial", "failed", "running", "nightly", "never"
DOWNSTREAM = "publish"

TOKENS = {FRESH: 250, PARTIAL: 100, RUNNING: 200}
FAILED_TOKENS = 10
NIGHTLY_CONTRACTS = 500
HOSTILE_NAME = "<img src=x onerror=alert(1)>"


def address_of(name: str) -> str:
    return "0x" + hashlib.sha256(f"page {name}".encode()).hexdigest()[:40]


NIGHTLY_ADDRESSES = [address_of(f"nightly {number}") for number in range(NIGHTLY_CONTRACTS)]
FRESH_ASSET = collection(address_of(FRESH), name=HOSTILE_NAME)


def new_dag(dag_id: str, schedule: Any = None) -> DAG:
    return DAG(dag_id=dag_id, schedule=schedule, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)


def refresh(name: str, outlet: Any, **arguments: Any) -> None:
    RefreshCollectionOperator(
        task_id="refresh", contract_address=address_of(name), deferrable=True, outlets=[outlet], **arguments
    )


with new_dag(FRESH):
    refresh(FRESH, FRESH_ASSET)

with new_dag(PARTIAL):
    refresh(PARTIAL, collection(address_of(PARTIAL)), max_failed=0.5, token_attempts=1)

with new_dag(RUNNING):
    # Half of its tokens stay stale until a test lets them go; between two attempts it waits in the triggerer.
    refresh(RUNNING, collection(address_of(RUNNING)), attempt_interval=10, token_attempts=10_000)

with new_dag(FAILED):
    ReingestContractOperator(
        task_id="refresh",
        contract_address=address_of(FAILED),
        wait_for_completion=True,
        outlets=[collection(address_of(FAILED), "polygon-mainnet")],
    )

with new_dag(NIGHTLY):
    ReingestContractsOperator(
        task_id="refresh",
        contract_addresses=NIGHTLY_ADDRESSES,
        poll_interval=5,
        outlets=[collection(address) for address in NIGHTLY_ADDRESSES],
    )

with new_dag(NEVER):
    refresh(NEVER, collection(address_of(NEVER), "base-mainnet"))

with new_dag(DOWNSTREAM, schedule=[FRESH_ASSET]):
    EmptyOperator(task_id="publish")
