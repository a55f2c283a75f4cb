# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the chain watches: each DAG is unpaused for its own measurement only."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAny
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from dev.benchmarks.chain_plan import (
    ALONE,
    CATCH_UP,
    CONFIRMATIONS,
    CROWD,
    LATENCY,
    LOOP,
    NEVER,
    ONE,
    CatchUpSide,
    contracts_of,
    network_of,
)
from dev.benchmarks.chain_triggers import LoopWatchTrigger, OwnPollTrigger

POLL_SECONDS = float(os.environ["BENCHMARK_POLL_SECONDS"])
CROWD_POLL_SECONDS = float(os.environ["BENCHMARK_CROWD_POLL_SECONDS"])
WATCHERS, CONTRACTS = int(os.environ["BENCHMARK_WATCHERS"]), int(os.environ["BENCHMARK_CONTRACTS"])
NETWORKS = int(os.environ["BENCHMARK_NETWORKS"])
LOOP_FILE = os.environ["BENCHMARK_LOOP_FILE"]
START = pendulum.datetime(2026, 1, 1, tz="UTC")


def watched(name: str, trigger: MetadataUpdateTrigger | LoopWatchTrigger) -> Asset:
    return Asset(name, watchers=[AssetWatcher(name=name, trigger=trigger)])


def crowd(side: str, trigger: type[MetadataUpdateTrigger], watchers: int, contracts: int) -> list[Asset]:
    return [
        watched(
            f"{side}_{number}",
            trigger(
                contracts_of(side, number, contracts),
                network=network_of(side),
                confirmations=CONFIRMATIONS,
                poll_interval=CROWD_POLL_SECONDS,
            ),
        )
        for number in range(watchers)
    ]


def latency(number: int) -> Asset:
    trigger = MetadataUpdateTrigger(
        contracts_of(LATENCY, number, 1),
        network=network_of(LATENCY, number),
        confirmations=CONFIRMATIONS,
        poll_interval=POLL_SECONDS,
    )
    return watched(f"{LATENCY}_{number}", trigger)


def behind(side: CatchUpSide) -> Asset:
    trigger = MetadataUpdateTrigger(
        contracts_of(CATCH_UP, 0, 1), alchemy_conn_id=side.conn_id, confirmations=CONFIRMATIONS, poll_interval=1
    )
    return watched(side.conn_id, trigger)


SIDES = [CatchUpSide.named(name) for name in os.environ["BENCHMARK_CATCH_UP"].split()]
ASSETS = {
    LOOP: [watched(LOOP, LoopWatchTrigger(LOOP_FILE))],
    ONE: crowd(ONE, MetadataUpdateTrigger, 1, 1),
    CROWD: crowd(CROWD, MetadataUpdateTrigger, WATCHERS, CONTRACTS),
    ALONE: crowd(ALONE, OwnPollTrigger, WATCHERS, CONTRACTS),
    CATCH_UP: [behind(side) for side in SIDES],
}

with DAG(LATENCY, schedule=AssetAny(*map(latency, range(NETWORKS))), start_date=START, max_active_runs=100):
    EmptyOperator(task_id="begin")

for dag_id, assets in ASSETS.items():
    # They wait for an asset that nobody ever updates: what is measured here is not the runs of a DAG.
    with DAG(dag_id, schedule=[*assets, Asset(NEVER)], start_date=START):
        EmptyOperator(task_id="begin")
