# SPDX-License-Identifier: Apache-2.0
"""
Publish a collection whenever somebody has proven that it is fresh.

It is scheduled on the collection's asset: whichever DAG refreshes the collection starts it, and the event says how the
refresh went. A refresh that failed in part says so.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.assets import collection

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


@dag(
    schedule=[collection(COLLECTION)],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_publish_revealed() -> None:
    @task
    def publish(triggering_asset_events: Any = None) -> str:
        refreshed = [event.extra for events in triggering_asset_events.values() for event in events][-1]
        rest = " (in part)" if refreshed["failed_in_part"] else ""
        return f"{refreshed['contract_address']} is fresh since {refreshed['finished_at']}{rest}"

    publish()


alchemy_publish_revealed()
