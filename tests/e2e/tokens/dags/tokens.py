# SPDX-License-Identifier: Apache-2.0
"""DAGs that refresh tokens, each with a contract of its own."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor

NOTES_VARIABLE = "TESTS_WORKER_NOTES"

KILLED, PAUSED, QUEUED, MINTED, FAILED, FALLBACK, GONE = (
    "killed",
    "paused",
    "queued",
    "minted",
    "failed",
    "fallback",
    "gone",
)
MODES = ("poke", "reschedule", "deferred")
FRESH = tuple(f"fresh_{mode}" for mode in MODES)
DAG_IDS = (KILLED, PAUSED, QUEUED, MINTED, FAILED, FALLBACK, GONE, *FRESH)

TOKENS = {KILLED: 10_000, PAUSED: 250, QUEUED: 30, MINTED: 50, FAILED: 120, FALLBACK: 150} | dict.fromkeys(FRESH, 300)
MINTED_IDS = ["7", "0x8", 9, "9"]


def address_of(dag_id: str) -> str:
    return "0x" + hashlib.sha256(f"tokens {dag_id}".encode()).hexdigest()[:40]


def note_the_process(context: Any) -> None:
    path = Path(os.environ[NOTES_VARIABLE]) / f"{context['ti'].dag_id}-{context['ti'].try_number}"
    path.write_text(str(os.getpid()), encoding="utf-8")


def new_dag(dag_id: str) -> DAG:
    return DAG(dag_id=dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)


def refresh(dag_id: str, **arguments: Any) -> RefreshCollectionOperator:
    return RefreshCollectionOperator(task_id="refresh", contract_address=address_of(dag_id), **arguments)


with new_dag(KILLED):
    refresh(KILLED, retries=2, retry_delay=timedelta(seconds=1), pre_execute=note_the_process)

with new_dag(PAUSED):
    # Longer than a busy scheduler takes to hear that the worker ended: it takes a task for killed that goes on before.
    refresh(PAUSED, deferrable=True, attempt_interval=30)

with new_dag(QUEUED):
    refresh(QUEUED, method="queue")

with new_dag(MINTED):

    @task
    def mint() -> list[int | str]:
        return MINTED_IDS

    refresh(MINTED, token_ids=mint())

with new_dag(FAILED):
    refresh(FAILED, retries=2, retry_delay=timedelta(seconds=1))

with new_dag(FALLBACK):
    ReingestContractOperator(
        task_id="refresh",
        contract_address=address_of(FALLBACK),
        wait_for_completion=True,
        deferrable=True,
        fallback="tokens",
    )

with new_dag(GONE):
    ReingestContractOperator(task_id="refresh", contract_address=address_of(GONE), retries=2)

for dag_id in FRESH:
    mode = dag_id.removeprefix("fresh_")
    with new_dag(dag_id):
        refresh(dag_id) >> MetadataFreshSensor(
            task_id="prove",
            contract_address=address_of(dag_id),
            fresh_since="{{ dag_run.start_date }}",
            sample_size=50,
            poke_interval=2,
            timeout=3600,
            mode="reschedule" if mode == "reschedule" else "poke",
            deferrable=mode == "deferred",
        )
