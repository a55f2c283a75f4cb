# SPDX-License-Identifier: Apache-2.0
"""The DAGs of the end-to-end tests of the operator for many contracts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator

MOVED, THOUSAND, FAILED, RETRIED, KILLED = "moved", "thousand", "failed", "retried", "killed"
COUNTS = {MOVED: 60, THOUSAND: 1000, FAILED: 10, RETRIED: 40, KILLED: 20}


def contracts_of(dag_id: str) -> list[str]:
    first = sorted(COUNTS).index(dag_id) << 32
    return [f"0x{first + number:040x}" for number in range(COUNTS[dag_id])]


def a_dag(dag_id: str, **arguments: Any) -> DAG:
    start = pendulum.datetime(2026, 1, 1, tz="UTC")
    with DAG(dag_id, schedule=None, start_date=start, catchup=False) as dag:
        defaults: dict[str, Any] = {"poll_interval": 1, "timeout": 3600, "retries": 2, "retry_delay": timedelta(0)}
        ReingestContractsOperator(
            task_id="refresh", contract_addresses=contracts_of(dag_id), **{**defaults, **arguments}
        )
    return dag


a_dag(MOVED, adaptive=False)
a_dag(THOUSAND)
a_dag(RETRIED, max_resubmits=0)
a_dag(KILLED, retries=0)

with a_dag(FAILED, multiple_outputs=True) as failed:

    @task(trigger_rule="all_done")
    def report(reasons: dict[str, list[str]]) -> dict[str, int]:
        return {reason: len(contracts) for reason, contracts in reasons.items()}

    report(failed.get_task("refresh").output["failed"])
