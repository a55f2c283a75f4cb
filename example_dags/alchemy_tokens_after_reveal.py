# SPDX-License-Identifier: Apache-2.0
"""
Refresh every token of a collection after its reveal, and go on only when it is proven.

The first task refreshes and proves each token itself. The second shows the proof alone: put it after any kind of
refresh, also one that another team has started.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_tokens_after_reveal() -> None:
    refresh = RefreshCollectionOperator(
        task_id="refresh",
        contract_address=COLLECTION,
        max_failed=0.01,
        max_compute_units=500_000,
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=15),
    )

    prove = MetadataFreshSensor(
        task_id="prove",
        contract_address=COLLECTION,
        fresh_since="{{ ti.xcom_pull(task_ids='refresh')['submitted_at'] }}",
        sample_size=100,
        min_fresh=0.95,
        deferrable=True,
        poke_interval=60,
        timeout=timedelta(hours=2).total_seconds(),
    )

    @task
    def publish(refreshed: dict[str, Any], proven: dict[str, Any]) -> str:
        counts = refreshed["counts"]
        return (
            f"{counts['refreshed']} of {counts['tokens']} tokens refreshed for {refreshed['compute_units']} compute "
            f"units; {proven['counts']['fresh']} of {proven['counts']['tokens']} sampled ones are fresh."
        )

    refresh >> prove
    publish(refresh.output, prove.output)


alchemy_tokens_after_reveal()
