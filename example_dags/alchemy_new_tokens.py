# SPDX-License-Identifier: Apache-2.0
"""
Wait for the next mint, refresh only the new tokens, and export their metadata.

The sensor waits in the triggerer and reads the chain; what it returns goes straight into the refresh. It counts what
was minted since the last good run began: a token may be refreshed by two runs, and none is missed between them.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_new_tokens() -> None:
    minted = NewTokensSensor(
        task_id="minted",
        contract_address=COLLECTION,
        since="{{ prev_start_date_success or dag_run.start_date }}",
        min_tokens=1,
        deferrable=True,
        timeout=timedelta(days=1).total_seconds(),
        soft_fail=True,
    )

    refresh = RefreshCollectionOperator(
        task_id="refresh",
        contract_address=COLLECTION,
        token_ids=minted.output["token_ids"],
        max_compute_units=500_000,
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=5),
        outlets=[collection(COLLECTION)],
    )

    @task
    def export(token_ids: list[str]) -> dict[str, str | None]:
        names: dict[str, str | None] = {}
        with AlchemyHook() as hook:
            for at in range(0, len(token_ids), 100):
                tokens = hook.get_nft_metadata_batch(COLLECTION, token_ids[at : at + 100])
                names |= {str(token_id): metadata.name for token_id, metadata in tokens.items()}
        return names

    refresh >> export(minted.output["token_ids"])


alchemy_new_tokens()
