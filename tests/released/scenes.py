# SPDX-License-Identifier: Apache-2.0
"""
The tasks whose traces in Airflow's database are kept for each version: one scene for each way to leave a worker.

They are named by class path and by arguments that are JSON, because a kept scene has to be played by later versions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_alchemy.testing import AlchemyEmulator

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
BATCH = [f"0x{number:040x}" for number in range(1, 4)]
CENTURY = 3_155_760_000.0
"""Seconds: the deadlines in what is kept are moments, and must not be over when they are read."""

FIRST_BLOCK = 20_000_000
CONFIRMATIONS = 3
TOKENS = 5

Service = Callable[[AlchemyEmulator], object]


def nothing(emulator: AlchemyEmulator) -> None:
    """Leave the service as it is."""


@dataclass(frozen=True)
class Scene:
    """
    A task, and what the service does meanwhile.

    :param task: Its class.
    :param arguments: Its arguments, as JSON values.
    :param before: What the service does before the task begins.
    :param meanwhile: What it does while the task is deferred.
    :param has_store: Whether Airflow has a store for the task (3.3).
    """

    task: str
    arguments: Mapping[str, Any]
    before: Service = nothing
    meanwhile: Service = nothing
    has_store: bool = True
    defaults: Mapping[str, Any] = field(default_factory=lambda: {"task_id": "kept", "retries": 2})


def _runs(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0.1)


def _queue_fails(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, outcome="queue_failed")


def _batch_runs(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0.1)
    emulator.set_job(BATCH[1], outcome="does_not_exist")
    emulator.set_job(BATCH[2], outcome="queue_failed")


def _is_stale_once(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=TOKENS)
    emulator.set_tokens(ADDRESS, [1], stale_refreshes=1)
    emulator.set_tokens(ADDRESS, [2], error="Token does not exist")


def _is_stale(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=TOKENS)


def _is_fresh(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=TOKENS, last_updated=time.time())


def _mints_one(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)
    emulator.mint(ADDRESS, [1])
    emulator.mine_blocks(CONFIRMATIONS)


def _mints_another(emulator: AlchemyEmulator) -> None:
    emulator.mint(ADDRESS, [2])
    emulator.mine_blocks(CONFIRMATIONS)


_SENSOR = "airflow_provider_alchemy.sensors.reingest.ReingestSensor"
_OPERATOR = "airflow_provider_alchemy.operators.reingest.ReingestContractOperator"
_BATCH = "airflow_provider_alchemy.operators.reingest.ReingestContractsOperator"
_TOKENS = "airflow_provider_alchemy.operators.collection.RefreshCollectionOperator"
_FRESH = "airflow_provider_alchemy.sensors.freshness.MetadataFreshSensor"
_MINTED = "airflow_provider_alchemy.sensors.new_tokens.NewTokensSensor"

_ONE = {"contract_address": ADDRESS, "deferrable": True, "timeout": CENTURY}
_LOOKS = {**_ONE, "poke_interval": 0.05}
_FRESH_SINCE = {**_LOOKS, "fresh_since": "2026-11-01T00:00:00+00:00"}
_MINTED_SINCE = {**_LOOKS, "since_block": FIRST_BLOCK, "min_tokens": 2, "confirmations": CONFIRMATIONS}
_WITHOUT_TIMEOUT = {"contract_address": ADDRESS, "deferrable": True}
_LIMITS = {"max_compute_units": 1_000_000, "max_consecutive_failures": 7, "execution_timeout": CENTURY}
_HERE = {"network": "eth-mainnet", "alchemy_conn_id": "alchemy_default"}
_GROWING = {"exponential_backoff": True, "max_wait": 0.2}

SCENES: dict[str, Scene] = {
    "reingest_sensor": Scene(_SENSOR, _ONE, _runs),
    "reingest_sensor_with_all_arguments": Scene(
        _SENSOR, {**_LOOKS, **_LIMITS, **_HERE, **_GROWING, "multiple_outputs": False, "do_xcom_push": False}, _runs
    ),
    "reingest_sensor_that_starts_in_the_triggerer": Scene(_SENSOR, {**_LOOKS, "start_from_trigger": True}, _runs),
    "reingest_operator": Scene(_OPERATOR, {**_ONE, "wait_for_completion": True}, _runs),
    "reingest_operator_with_all_arguments": Scene(
        _OPERATOR,
        {
            **_ONE,
            **_LIMITS,
            **_HERE,
            "wait_for_completion": True,
            "poll_interval": 0.05,
            "max_poll_interval": 0.1,
            "max_resubmits": 1,
            "multiple_outputs": True,
            "fallback": "tokens",
        },
        _runs,
    ),
    "reingest_operator_that_starts_in_the_triggerer": Scene(
        _OPERATOR, {**_ONE, "start_from_trigger": True, "execution_timeout": CENTURY}, _runs
    ),
    "reingest_operator_that_fails": Scene(
        _OPERATOR,
        {**_ONE, "wait_for_completion": True, "poll_interval": 0.05, "max_resubmits": 0, "adaptive": False},
        _queue_fails,
    ),
    "reingest_contracts": Scene(
        _BATCH,
        {
            **_LIMITS,
            "contract_addresses": BATCH,
            "timeout": CENTURY,
            "poll_interval": 0.05,
            "max_poll_interval": 0.1,
            "max_failed": 2,
            "max_resubmits": 0,
        },
        _batch_runs,
    ),
    "refresh_collection": Scene(_TOKENS, {**_WITHOUT_TIMEOUT, "max_failed": 1}, _is_stale_once),
    "refresh_collection_of_given_tokens": Scene(
        _TOKENS, {**_WITHOUT_TIMEOUT, "token_ids": [0, 1, 3], "execution_timeout": CENTURY}, _is_stale_once
    ),
    "refresh_collection_without_a_store": Scene(
        _TOKENS, {**_WITHOUT_TIMEOUT, "max_failed": 1}, _is_stale_once, has_store=False
    ),
    "metadata_fresh_sample": Scene(_FRESH, {**_FRESH_SINCE, "sample_size": 3, "seed": 7}, _is_stale, _is_fresh),
    "metadata_fresh_of_given_tokens": Scene(
        _FRESH,
        {**_FRESH_SINCE, **_LIMITS, **_HERE, **_GROWING, "token_ids": [0, 1, 2], "min_fresh": 0.5},
        _is_stale,
        _is_fresh,
    ),
    "new_tokens": Scene(_MINTED, _MINTED_SINCE, _mints_one, _mints_another),
    "new_tokens_with_all_arguments": Scene(
        _MINTED, {**_MINTED_SINCE, **_LIMITS, **_HERE, **_GROWING}, _mints_one, _mints_another
    ),
}
