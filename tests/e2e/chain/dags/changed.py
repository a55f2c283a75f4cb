# SPDX-License-Identifier: Apache-2.0
"""A DAG whose author adds a contract: Airflow makes a new trigger of a watcher with other arguments."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

CHANGED = "changed"
NETWORK = "changed-mainnet"
CONFIRMATIONS = 2
OLD_CONTRACT, NEW_CONTRACT = f"0x{'0d' * 20}", f"0x{'0e' * 20}"
CONTRACTS = [OLD_CONTRACT]

with DAG(
    dag_id=CHANGED,
    schedule=[
        Asset(
            CHANGED,
            watchers=[
                AssetWatcher(
                    name=CHANGED,
                    trigger=MetadataUpdateTrigger(
                        CONTRACTS, network=NETWORK, confirmations=CONFIRMATIONS, poll_interval=1
                    ),
                )
            ],
        ),
        Asset("never"),
    ],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
):
    pass
