# SPDX-License-Identifier: Apache-2.0
"""The DAGs of the end-to-end tests: one for each thing that a user may see. Each has a collection of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

PATIENCE_SECONDS = 3600
"""The time-out of waits that have to end well."""

PAUSE_SECONDS = 20
"""Airflow's scheduler takes a task for killed that goes on before it has heard that the task's worker ended: on a busy
machine it hears that several seconds late."""

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": PAUSE_SECONDS},
    "deferred": {"deferrable": True},
}
WAITS: dict[str, dict[str, Any]] = {
    "submit": {},
    "worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}
DAG_IDS: list[str] = []
BROKEN = ("refused", "unauthorized", "server_error", "hanging", "bad_json")


def address_of(dag_id: str, index: int = 0) -> str:
    """Give each DAG its own collection: a digest of its name would do, its bytes are easier to read in a log."""
    return "0x" + (dag_id.encode().hex() + f"{index:02x}").rjust(40, "0")[-40:]


def a_dag(dag_id: str) -> DAG:
    dag = DAG(dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)
    DAG_IDS.append(dag_id)
    return dag


def sensor(dag_id: str, **arguments: Any) -> None:
    with a_dag(dag_id):
        defaults = {"poke_interval": 2, "timeout": PATIENCE_SECONDS, "contract_address": address_of(dag_id)}
        ReingestSensor(task_id="wait", **(defaults | arguments))


def operator(dag_id: str, **arguments: Any) -> None:
    with a_dag(dag_id):
        defaults = {"poll_interval": 2, "timeout": PATIENCE_SECONDS, "contract_address": address_of(dag_id)}
        ReingestContractOperator(task_id="refresh", **(defaults | arguments))


for mode, arguments in MODES.items():
    sensor(f"sensor_{mode}", **arguments)
    sensor(f"soft_fail_{mode}", **arguments, timeout=PAUSE_SECONDS, soft_fail=True)
    sensor(f"timeout_{mode}", **arguments, timeout=PAUSE_SECONDS, retries=2, retry_delay=timedelta(seconds=1))
    sensor(f"not_a_collection_{mode}", **arguments, retries=2, retry_delay=timedelta(seconds=1))

for form, arguments in WAITS.items():
    operator(f"operator_{form}", **arguments)

sensor("calls_of_a_wait", deferrable=True, poke_interval=5)
# Without progress the adaptive interval grows, and on a slow machine the kill takes minutes.
sensor("killed_triggerer", deferrable=True, poke_interval=2, adaptive=False)
# Long enough for the worker to come to the deferral, however busy the machine is.
sensor("execution_timeout_deferred", deferrable=True, execution_timeout=timedelta(seconds=3 * PAUSE_SECONDS))
operator(
    "retry_joins",
    **WAITS["worker"],
    poll_interval=1,
    execution_timeout=timedelta(seconds=PAUSE_SECONDS),
    retries=10,
    retry_delay=timedelta(seconds=1),
)

for trouble in BROKEN:
    connection = f"alchemy_{trouble}"
    hurried: dict[str, Any] = {"alchemy_conn_id": connection, "max_consecutive_failures": 1}
    operator(f"operator_{trouble}", **hurried)
    sensor(f"sensor_{trouble}", **hurried, deferrable=True, poke_interval=PAUSE_SECONDS)

with a_dag("mapped"):
    refresh = ReingestContractOperator.partial(
        task_id="refresh", wait_for_completion=True, deferrable=True, poll_interval=2
    ).expand(contract_address=[address_of("mapped", index) for index in range(3)])
    again = ReingestSensor.partial(task_id="wait", poke_interval=2, deferrable=True).expand(
        contract_address=[address_of("mapped_wait", index) for index in range(3)]
    )

    @task
    def states(refreshes: list[dict[str, Any]], waits: list[dict[str, Any]]) -> list[str]:
        return [result["state"] for result in [*refreshes, *waits]]

    states(refresh.output, again.output)
