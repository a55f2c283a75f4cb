# SPDX-License-Identifier: Apache-2.0
"""A mapped task group: in a file of its own, because its warning is in the log of every task of the file."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task_group

from airflow_provider_alchemy.sensors.reingest import ReingestSensor

DAG_ID = "mapped_group"
ADDRESSES = [f"0x{index:040x}" for index in (1, 2)]

with DAG(DAG_ID, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):

    @task_group
    def refresh(address: str) -> None:
        ReingestSensor(
            task_id="wait",
            contract_address=address,
            poke_interval=2,
            timeout=3600,
            start_from_trigger=True,
            end_from_trigger=True,
        )

    refresh.expand(address=ADDRESSES)
