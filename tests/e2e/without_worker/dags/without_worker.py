# SPDX-License-Identifier: Apache-2.0
"""The DAGs of the end-to-end tests of tasks that start and end in the triggerer. Each has a collection of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import pendulum
from airflow.sdk import DAG, Asset, task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

NOTES_VARIABLE = "ALCHEMY_TEST_CALLBACKS"
"""Names the file into which callbacks write: they run in several processes."""

BOTH: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": True}
START: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": False}
END: dict[str, Any] = {"start_from_trigger": False, "end_from_trigger": True}
WORKER: dict[str, Any] = {"start_from_trigger": False, "end_from_trigger": False, "deferrable": False}
PATIENCE_SECONDS = 3600
"""The time-out of waits that have to end well."""

POLL_SECONDS = 2
LIMIT_SECONDS = 60
"""The time-outs of the waits that are moved: longer than a triggerer takes to be replaced."""

DAG_IDS: list[str] = []
NEVER_ENDS: list[str] = []
"""Those whose refresh outlasts every wait."""


def address_of(name: str) -> str:
    return f"0x{crc32(name.encode()):040x}"


def a_dag(dag_id: str, **arguments: Any) -> DAG:
    DAG_IDS.append(dag_id)
    return DAG(dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, **arguments)


def note(kind: str) -> Callable[[Any], None]:
    def write(context: Any) -> None:
        exception = context.get("exception")
        told = {
            "kind": kind,
            "dag_id": context["ti"].dag_id,
            "try_number": context["ti"].try_number,
            "exception": [base.__name__ for base in type(exception).__mro__],
        }
        with Path(os.environ[NOTES_VARIABLE]).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(told) + "\n")

    return write


CALLBACKS: dict[str, Any] = {f"on_{kind}_callback": note(kind) for kind in ("failure", "retry", "skipped")}
SUCCESS: dict[str, Any] = {"on_success_callback": note("success")}


def sensor(dag_id: str, **arguments: Any) -> ReingestSensor:
    defaults = {
        "task_id": "wait",
        "poke_interval": POLL_SECONDS,
        "timeout": PATIENCE_SECONDS,
        "contract_address": address_of(dag_id),
    }
    return ReingestSensor(**(defaults | CALLBACKS | arguments))


def operator(dag_id: str, **arguments: Any) -> ReingestContractOperator:
    defaults = {
        "task_id": "wait",
        "poll_interval": POLL_SECONDS,
        "timeout": PATIENCE_SECONDS,
        "contract_address": address_of(dag_id),
    }
    return ReingestContractOperator(**(defaults | CALLBACKS | {"wait_for_completion": True} | arguments))


@task
def read(whole: Any, address: Any) -> dict[str, Any]:
    """What the next task gets."""
    return {"type": type(whole).__name__, "keys": list(whole), "state": whole["state"], "address": address}


for dag_id, placement in {
    "both": BOTH,
    "start_only": START | SUCCESS | {"multiple_outputs": True},
    "end_only": END | {"multiple_outputs": True},
}.items():
    with a_dag(dag_id):
        result: Any = sensor(dag_id, **placement).output
        read(result, result["contract_address"])

with a_dag("both_operator"):
    operator("both_operator", **BOTH)

with a_dag("only_submits"):
    operator("only_submits", **BOTH, wait_for_completion=False)

with a_dag("in_worker"):
    operator("in_worker", **WORKER, wait_for_completion=False)

with a_dag("throttled"):
    sensor("throttled", **BOTH)

with a_dag("no_xcom"):
    sensor("no_xcom", **BOTH, do_xcom_push=False)

with a_dag("mapped"):
    mapped: Any = ReingestSensor.partial(
        task_id="wait", poke_interval=POLL_SECONDS, timeout=PATIENCE_SECONDS, **BOTH, **CALLBACKS
    ).expand(contract_address=[address_of("mapped_0"), address_of("mapped_1")])

    @task
    def addresses(results: Any) -> list[str]:
        return [one["contract_address"] for one in results]

    addresses(mapped.output)

# What the installation is configured for: both, in the Airflow of these tests.
with a_dag("configured"):
    sensor("configured", deferrable=True)

with a_dag("configured_xcom"):

    @task
    def contract() -> str:
        return address_of("configured_xcom")

    sensor("configured_xcom", deferrable=True, contract_address=contract())

with a_dag("configured_outlets"):
    sensor("configured_outlets", deferrable=True, outlets=[Asset("configured_outlets")])

with a_dag("configured_callback"):
    sensor("configured_callback", deferrable=True, **SUCCESS)

# Failures.
with a_dag("queue_failed"):
    operator("queue_failed", **BOTH, max_resubmits=0, retries=2, retry_delay=timedelta(seconds=1))

with a_dag("no_collection"):
    sensor("no_collection", **BOTH, retries=2, retry_delay=timedelta(seconds=1))

with a_dag("no_collection_soft"):
    sensor("no_collection_soft", **BOTH, soft_fail=True)

for dag_id, arguments in {
    "timed_out": {"timeout": 5, "retries": 2, "retry_delay": timedelta(seconds=1)},
    "timed_out_soft": {"timeout": 5, "soft_fail": True},
    "execution_timed_out": {"execution_timeout": timedelta(seconds=5)},
    "moved_timeout": {"timeout": LIMIT_SECONDS},
    "moved_execution_timeout": {"execution_timeout": timedelta(seconds=LIMIT_SECONDS)},
}.items():
    NEVER_ENDS.append(dag_id)
    with a_dag(dag_id):
        sensor(dag_id, **BOTH, **arguments)

with a_dag("moved"):
    sensor("moved", **BOTH)

MOVED = ("moved", "moved_timeout", "moved_execution_timeout")
"""Those in whose middle the triggerer is killed."""
