# SPDX-License-Identifier: Apache-2.0
"""DAGs whose assets are watched on the chain: each scenario has a network of its own, so that none meets another."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple

import pendulum
from airflow.providers.common.compat.sdk import Asset, AssetAny, dag, task
from airflow.sdk import AssetWatcher

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger

POLL_SECONDS = 1.0
CALM, EACH, TWO, DAY, KILLED, TEN, HUNDRED = "calm", "each", "two", "day", "killed", "ten", "hundred"
BOTH = ("metadata", "mint")


class Watched(NamedTuple):
    """A watcher and its asset."""

    asset: str
    contracts: tuple[str, ...]
    network: str
    events: tuple[str, ...] = ("metadata",)
    confirmations: int = 2
    alchemy_conn_id: str = "alchemy_default"


def addresses_of(name: str, count: int) -> tuple[str, ...]:
    return tuple("0x" + hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:40] for number in range(count))


CALM_CONTRACTS = addresses_of(CALM, 4)
TWO_CONTRACTS = addresses_of(TWO, 2)
KILLED_CONTRACTS = addresses_of(KILLED, 8)

SCENARIOS: dict[str, tuple[Watched, ...]] = {
    CALM: (
        Watched("calm_name", CALM_CONTRACTS[:2], "calm-mainnet"),
        Watched("calm_bucket", CALM_CONTRACTS[1:3], "calm-mainnet", BOTH),
        Watched("calm_collection", CALM_CONTRACTS[3:], "calm-mainnet", ("mint",), confirmations=3),
    ),
    EACH: tuple(
        Watched(f"each_{number}", (address,), "each-mainnet") for number, address in enumerate(addresses_of(EACH, 3))
    ),
    TWO: (
        Watched("two", TWO_CONTRACTS, "two-mainnet", confirmations=1),
        Watched("two", TWO_CONTRACTS, "two-mainnet", confirmations=5),
    ),
    DAY: (Watched("day", addresses_of(DAY, 3), "day-mainnet", BOTH),),
    # Neighbours have a contract in common.
    KILLED: tuple(
        Watched(
            f"killed_{number}",
            (*KILLED_CONTRACTS[2 * number : 2 * number + 2], KILLED_CONTRACTS[(2 * number + 2) % 8]),
            "killed-mainnet",
            BOTH if number % 2 else ("metadata",),
            confirmations=2 + number // 2,
        )
        for number in range(4)
    ),
    TEN: (Watched("ten", addresses_of(TEN, 2), "eth-mainnet", alchemy_conn_id="alchemy_ten"),),
    HUNDRED: (Watched("hundred", addresses_of(HUNDRED, 2), "eth-mainnet", alchemy_conn_id="alchemy_hundred"),),
}

PLACES = {"calm_bucket": "s3://pictures/revealed", "two": "https://example.org/two"}
"""Assets with a URI; the others but the collection have a name only."""


def watcher_of(watched: Watched) -> AssetWatcher:
    trigger = MetadataUpdateTrigger(
        watched.contracts,
        network=watched.network,
        alchemy_conn_id=watched.alchemy_conn_id,
        events=watched.events,
        confirmations=watched.confirmations,
        poll_interval=POLL_SECONDS,
    )
    return AssetWatcher(name=f"{watched.asset}_{watched.confirmations}", trigger=trigger)


def asset_of(name: str, watches: list[Watched]) -> Asset:
    watchers = [watcher_of(watched) for watched in watches]
    if name == "calm_collection":
        (watched,) = watches
        return collection(watched.contracts[0], watched.network, name=name, watchers=watchers)
    return Asset(name, uri=PLACES.get(name), watchers=watchers)


def assets_of(watches: tuple[Watched, ...]) -> list[Asset]:
    names = dict.fromkeys(watched.asset for watched in watches)
    return [asset_of(name, [watched for watched in watches if watched.asset == name]) for name in names]


def new_dag(scenario: str, schedule: Any) -> None:
    @dag(dag_id=scenario, schedule=schedule, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)
    def told() -> None:
        @task(retries=2, retry_delay=timedelta(seconds=1))
        def announced(triggering_asset_events: Any = None) -> list[str]:
            return [
                event_id
                for events in triggering_asset_events.values()
                for event in events
                for event_id in event.extra["payload"]["event_ids"]
            ]

        announced()

    told()


for scenario, watches in SCENARIOS.items():
    assets = assets_of(watches)
    # Two scenarios are about the runs of their DAGs: the others wait for an asset that nobody ever updates.
    new_dag(scenario, AssetAny(*assets) if scenario in {CALM, EACH} else [*assets, Asset("never")])
