# SPDX-License-Identifier: Apache-2.0
"""Waits that a worker process defers and another one ends; a file of its own, which each of them has to parse."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from dev.benchmarks.scale.plan import TASK, WORKER_DAG, WORKER_WAITS_VARIABLE, Side, contract_of

WAITS = int(os.environ[WORKER_WAITS_VARIABLE])

if WAITS:
    with DAG(WORKER_DAG, schedule=None):
        ReingestSensor.partial(task_id=TASK, deferrable=True).expand(
            contract_address=[contract_of(Side.WORKERS, number) for number in range(WAITS)]
        )
