# SPDX-License-Identifier: Apache-2.0
"""A DAG that cannot work: its sensor is to start in the triggerer with the output of another task."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

with DAG("refused", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    submit = ReingestContractOperator(task_id="submit", contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644")
    ReingestSensor(task_id="wait", contract_address=submit.output["contract_address"], start_from_trigger=True)
