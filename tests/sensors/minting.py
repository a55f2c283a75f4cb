# SPDX-License-Identifier: Apache-2.0
"""Collections that are minted, and the sensor that waits for it, in each of its modes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS

NEWEST, LOGS, BLOCK = "eth_blockNumber", "eth_getLogs", "eth_getBlockByNumber"
FIRST = 20_000_000
"""The newest block of an emulated chain when it is first asked for."""

CONFIRMATIONS = 3
"""Fewer than the default, so that a test's log can be read."""

RESULT_KEYS = {
    "contract_address",
    "network",
    "state",
    "progress",
    "token_ids",
    "token_count",
    "since_block",
    "until_block",
    "next_block",
    "submitted_at",
    "finished_at",
    "polls",
    "compute_units",
    "usd",
}


def sensor_in(mode: str, **arguments: Any) -> NewTokensSensor:
    """Build a sensor for one of the three modes."""
    defaults: dict[str, Any] = {
        "task_id": "minted",
        "contract_address": ADDRESS,
        "confirmations": CONFIRMATIONS,
        "poke_interval": 0.05,
        "timeout": 3600,
    }
    mode_arguments = {"mode": "reschedule" if mode == "reschedule" else "poke", "deferrable": mode == "deferred"}
    return NewTokensSensor(**{**defaults, **mode_arguments, **arguments})


def mint(emulator: AlchemyEmulator, token_ids: Iterable[int], confirmations: int = CONFIRMATIONS) -> int:
    """Mint tokens in one block, and let enough blocks follow; give the block."""
    (first, *_) = emulator.mint(ADDRESS, list(token_ids))
    if confirmations:
        emulator.mine_blocks(confirmations)
    return first.block_number


def has_looked(emulator: AlchemyEmulator, looks: int = 1, endpoint: str = NEWEST) -> Callable[[], bool]:
    """Whether the service has answered so many calls."""
    return lambda: emulator.count(endpoint) >= looks


def windows_of(emulator: AlchemyEmulator) -> list[tuple[int, int]]:
    """Give the blocks of each call for logs that was answered well."""
    return [call.blocks for call in emulator.calls if call.endpoint == LOGS and call.http_status == 200 and call.blocks]


def are_read_once(windows: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether windows cover some blocks without a gap, and none of them twice."""
    read = [number for start, end in windows for number in range(start, end + 1)]
    return read == list(range(first, last + 1))


def spent(emulator: AlchemyEmulator) -> tuple[int, int]:
    """Give the number and the compute units of all calls."""
    return emulator.count(), emulator.compute_units
