# SPDX-License-Identifier: Apache-2.0
"""
After a mint, refresh only the new tokens, and read their metadata once it is fresh.

The ids come from whoever minted: the run's parameters here, another task or an event elsewhere. They may be ints, or
decimal or hexadecimal texts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator

COLLECTION = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"token_ids": [7, 8, 9]},
    tags=["alchemy", "example"],
    doc_md=__doc__,
)
def alchemy_refresh_minted() -> None:
    @task
    def minted(params: Any = None) -> list[int]:
        return list(params["token_ids"])

    @task
    def export(token_ids: list[int]) -> dict[str, str | None]:
        with AlchemyHook() as hook:
            tokens = hook.get_nft_metadata_batch(COLLECTION, token_ids[:100])
        return {str(token_id): metadata.name for token_id, metadata in tokens.items()}

    token_ids = minted()
    refresh = RefreshCollectionOperator(
        task_id="refresh",
        contract_address=COLLECTION,
        token_ids=token_ids,
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    refresh >> export(token_ids)


alchemy_refresh_minted()
