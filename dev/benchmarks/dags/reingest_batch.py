# SPDX-License-Identifier: Apache-2.0
"""Very many refreshes in one task: one trigger waits for all of them."""

from __future__ import annotations

import os

from airflow.sdk import DAG

COLLECTIONS = int(os.environ.get("BENCHMARK_COLLECTIONS") or 0)

# Where it is not measured, it is not there: parsing it would count as well.
if COLLECTIONS:
    from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator

    for dag_id, count in {"reingest_batch": COLLECTIONS, "reingest_batch_warm_up": 1}.items():
        with DAG(dag_id, schedule=None):
            ReingestContractsOperator(
                task_id="refresh",
                contract_addresses=[f"0x{number + 1:040x}" for number in range(count)],
                poll_interval=30,
                adaptive=False,
            )
