# SPDX-License-Identifier: Apache-2.0
"""Collections whose metadata becomes fresh, and the sensor that waits for it, in each of its modes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.api.endpoints import get_nft_metadata_batch
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS

BATCH, LIST, CONTRACT = "getNFTMetadataBatch", "getNFTsForContract", "getContractMetadata"
RESULT_KEYS = {
    "contract_address",
    "network",
    "state",
    "progress",
    "fresh_since",
    "seed",
    "token_ids",
    "counts",
    "failures",
    "submitted_at",
    "finished_at",
    "polls",
    "compute_units",
    "usd",
}


def minutes_ago(minutes: float) -> datetime:
    """Give a moment in the past, aware."""
    return datetime.now(UTC) - timedelta(minutes=minutes)


def sensor_in(mode: str, **arguments: Any) -> MetadataFreshSensor:
    """Build a sensor for one of the three modes; what it waits for is newer than a minute ago."""
    defaults: dict[str, Any] = {
        "task_id": "fresh",
        "contract_address": ADDRESS,
        "fresh_since": minutes_ago(1),
        "poke_interval": 0.05,
        "timeout": 3600,
    }
    mode_arguments = {"mode": "reschedule" if mode == "reschedule" else "poke", "deferrable": mode == "deferred"}
    return MetadataFreshSensor(**{**defaults, **mode_arguments, **arguments})


def set_fresh(emulator: AlchemyEmulator, tokens: int = 10, **plan: Any) -> None:
    """Let a collection be refreshed just now, all of it."""
    emulator.set_collection(ADDRESS, tokens=tokens, last_updated=time.time(), **plan)


def refresh(emulator: AlchemyEmulator, token_ids: Iterable[int]) -> None:
    """Refresh some tokens, as somebody else would."""
    settings = ClientSettings(
        api_key=emulator.api_key, host=emulator.url, compute_units_per_second=1_000_000, verify=False, max_attempts=20
    )
    ids = list(token_ids)
    with AlchemyClient(settings) as client:
        for start in range(0, len(ids), 100):
            client.send(get_nft_metadata_batch(ADDRESS, ids[start : start + 100], settings, refresh=True))


def looks_of(emulator: AlchemyEmulator) -> list[tuple[int, ...]]:
    """Give the tokens of each call that only looked."""
    return [call.token_ids for call in emulator.calls if call.endpoint == BATCH and not call.refreshes]


def spent_on_looking(emulator: AlchemyEmulator) -> tuple[int, int]:
    """Give the number and the compute units of the calls that refreshed nothing: the sensor's."""
    calls = [call for call in emulator.calls if not call.refreshes]
    return len(calls), sum(call.compute_units for call in calls)
