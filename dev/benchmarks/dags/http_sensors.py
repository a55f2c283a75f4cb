# SPDX-License-Identifier: Apache-2.0
"""Many waits as most providers write them: each deferred by a worker process, and ended by another one."""

from __future__ import annotations

import os

from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

with DAG("http_sensors", schedule=None, max_active_tasks=1_000):
    for number in range(int(os.environ["BENCHMARK_TASKS"])):
        HttpSensor(task_id=f"wait_{number}", endpoint=f"jobs/{number}", poke_interval=5, deferrable=True)

with DAG("http_sensors_warm_up", schedule=None):
    HttpSensor(task_id="wait", endpoint="jobs/warm_up", poke_interval=5, deferrable=True)
