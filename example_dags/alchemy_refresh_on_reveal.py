# SPDX-License-Identifier: Apache-2.0
"""
Refresh a collection when its contract announces on the chain that metadata changed. Needs Airflow 3.

A watcher in the triggerer reads the chain; no task waits for it and no clock starts this DAG. What it refreshes is told
as the collection's asset, which starts `alchemy_publish_revealed`. The asset that starts this DAG is another one: a DAG
whose outlet were its own schedule would start itself for ever.

A run refreshes the whole collection, so what is announced while one is under way needs one more run, however often it
is announced: that is `max_active_runs=1`. A DAG that refreshes only what an event names has to leave room for more runs
(README, "Reveals and mints that start DAGs").
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Asset, dag, task
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

ANNOUNCED = Asset(
    "announced_on_chain",
    watchers=[AssetWatcher(name="metadata_updates", trigger=MetadataUpdateTrigger([COLLECTION]))],
)


@dag(
    schedule=[ANNOUNCED],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_refresh_on_reveal() -> None:
    @task
    def announced(triggering_asset_events: Any = None) -> list[str]:
        payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return [
            f"block {one['last_block']}: tokens {one['first_id']} to {one['last_id']} changed "
            f"({', '.join(one['event_ids'][:3])})"
            for one in payloads
        ]

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
        outlets=[collection(COLLECTION)],
    )

    announced() >> refresh >> prove


alchemy_refresh_on_reveal()
