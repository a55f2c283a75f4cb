# SPDX-License-Identifier: Apache-2.0
"""Waits for refreshes as most people run them: each deferred by a worker process, and ended by another one."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_alchemy.sensors.reingest import ReingestSensor

with DAG("reingest_deferred", schedule=None, max_active_tasks=1_000):
    for number in range(int(os.environ["BENCHMARK_TASKS"])):
        ReingestSensor(
            task_id=f"wait_{number}",
            contract_address=f"0x{number + 1:040x}",
            poke_interval=5,
            adaptive=False,
            deferrable=True,
        )

with DAG("reingest_deferred_warm_up", schedule=None):
    ReingestSensor(task_id="wait", contract_address=f"0x{0xFFFF:040x}", poke_interval=5, deferrable=True)
