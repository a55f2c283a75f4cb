# SPDX-License-Identifier: Apache-2.0
"""A hundred watchers of five contracts each, and one watcher beside them, of one contract."""

from __future__ import annotations

import hashlib

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

CROWD, ONE = "crowd", "one"
WATCHERS = {CROWD: 100, ONE: 1}
CONTRACTS = {CROWD: 5, ONE: 1}


def contracts_of(dag_id: str, watcher: int) -> list[str]:
    names = [f"{dag_id} {watcher} {number}" for number in range(CONTRACTS[dag_id])]
    return ["0x" + hashlib.sha256(name.encode()).hexdigest()[:40] for name in names]


def network_of(dag_id: str) -> str:
    return f"{dag_id}-mainnet"


def asset_of(dag_id: str, watcher: int) -> Asset:
    name = f"{dag_id}_{watcher}"
    trigger = MetadataUpdateTrigger(
        contracts_of(dag_id, watcher), network=network_of(dag_id), confirmations=0, poll_interval=1
    )
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])


for one_dag_id, count in WATCHERS.items():
    with DAG(
        dag_id=one_dag_id,
        schedule=[*(asset_of(one_dag_id, watcher) for watcher in range(count)), Asset("never")],
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
    ):
        pass
