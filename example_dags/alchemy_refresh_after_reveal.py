# SPDX-License-Identifier: Apache-2.0
"""
Refresh a collection's metadata after its reveal: submit, wait for the end, go on.

The wait is deferred: it takes no worker while Alchemy works, which can be hours for a large collection.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_refresh_after_reveal() -> None:
    submit = ReingestContractOperator(
        task_id="submit",
        contract_address="0xE9FCa552b9eb110c2d170962aF740725F71F5644",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    wait = ReingestSensor(
        task_id="wait",
        contract_address=submit.output["contract_address"],
        deferrable=True,
        poke_interval=30,
        timeout=timedelta(hours=12).total_seconds(),
    )

    @task
    def publish(refresh: dict[str, Any]) -> str:
        return (
            f"Collection {refresh['contract_address']} is fresh since {refresh['finished_at']}: "
            f"{refresh['polls']} polls, {refresh['compute_units']} compute units."
        )

    publish(wait.output)


alchemy_refresh_after_reveal()
