# SPDX-License-Identifier: Apache-2.0
"""The same waits as one mapped operator, which submits too."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator

DEFERRED: dict[str, Any] = {"poll_interval": 5, "adaptive": False, "deferrable": True, "wait_for_completion": True}

with DAG("reingest_mapped", schedule=None, max_active_tasks=1_000):
    ReingestContractOperator.partial(task_id="refresh", **DEFERRED).expand(
        contract_address=[f"0x{number + 1:040x}" for number in range(int(os.environ["BENCHMARK_TASKS"]))]
    )

with DAG("reingest_mapped_warm_up", schedule=None):
    ReingestContractOperator(task_id="refresh", contract_address=f"0x{0xFFFF:040x}", **DEFERRED)
