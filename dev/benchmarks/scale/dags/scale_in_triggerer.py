# SPDX-License-Identifier: Apache-2.0
"""Waits that begin and end in the triggerer: no worker process is started."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from dev.benchmarks.scale.plan import (
    DAG_SIZE_VARIABLE,
    WAITS_VARIABLE,
    XCOMS_VARIABLE,
    Side,
    contract_of,
    dags_of,
    task_of,
)

for dag_id, numbers in dags_of(int(os.environ[WAITS_VARIABLE]), int(os.environ[DAG_SIZE_VARIABLE])).items():
    with DAG(dag_id, schedule=None):
        for number in numbers:
            ReingestSensor(
                task_id=task_of(number),
                contract_address=contract_of(Side.TRIGGERER, number),
                start_from_trigger=True,
                end_from_trigger=True,
                do_xcom_push=bool(int(os.environ[XCOMS_VARIABLE])),
            )
