# SPDX-License-Identifier: Apache-2.0
"""As many waits for refreshes that begin and end in the triggerer: no worker process is started."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG

from airflow_provider_alchemy.sensors.reingest import ReingestSensor

IN_TRIGGERER: dict[str, Any] = {
    "poke_interval": 5,
    # The other sensors poll at fixed intervals too.
    "adaptive": False,
    "start_from_trigger": True,
    "end_from_trigger": True,
}

with DAG("reingest_sensors", schedule=None, max_active_tasks=1_000):
    for number in range(int(os.environ["BENCHMARK_TASKS"])):
        ReingestSensor(task_id=f"wait_{number}", contract_address=f"0x{number + 1:040x}", **IN_TRIGGERER)

with DAG("reingest_sensors_warm_up", schedule=None):
    ReingestSensor(task_id="wait", contract_address=f"0x{0xFFFF:040x}", **IN_TRIGGERER)
