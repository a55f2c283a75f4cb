# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow, on PostgreSQL, with a task of each kind under way when its triggerer is killed.

Nothing ends before the triggerer was started again; how fast the machine is changes nothing but how long it takes.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY
from dev.local_airflow import DagRun, LocalAirflow, TaskInstance
from dev.local_airflow.waiting import wait_until
from tests.e2e.smoke.dags.smoke import (
    BATCH_CONTRACTS,
    DEFERRED_SENSOR,
    FRESH,
    HELD,
    MINTED,
    OPERATOR,
    REFRESHED,
    TOKENS,
    WAITS,
    WATCHED,
    address_of,
)

DAGS = Path(__file__).parent / "dags"

ENDLESS_SECONDS = 100_000
COLLECTION_SIZE = 50
STALE = range(10)
MINTED_TOKEN, REVEALED_TOKEN = 7, 8
MINED_BLOCKS = 100
"""More than any wait asks for before it takes what is on the chain for settled."""

LIBRARIES_AT_DEBUG = {
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "urllib3=DEBUG aiohttp=DEBUG airflow_provider_alchemy=DEBUG",
}
"""They would show a URL there: the search for the key must find none either."""


class Stage:
    """
    The Airflow, the emulator, and the run of all waits, after the triggerer was killed in their middle.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    """

    def __init__(self, airflow: LocalAirflow, emulator: AlchemyEmulator) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self.run = airflow.trigger_dag(WAITS)
        self._until(lambda: not self._missing(), lambda: f"Not all waits are under way: {self._missing()}")
        airflow.kill("triggerer", signal.SIGKILL)
        self.killed_at = time.time()
        (self.revealed,) = emulator.reveal(address_of(WATCHED), [REVEALED_TOKEN])
        airflow.start("triggerer")
        self._release()
        self.run.wait()
        self.started = self._started_run()

    def _until(self, condition: Callable[[], object], failure: Callable[[], str]) -> None:
        wait_until(condition, moves=self.airflow.progress, failure=failure, interval_seconds=0.25)

    def _missing(self) -> list[str]:
        """List what has not begun, or not been asked for by its trigger: the first call is a worker's."""
        states = {task.task_id: task.state for task in self.run.task_instances()}
        waiting = [f"{task_id} is {states[task_id]}" for task_id in HELD if states[task_id] != "deferred"]
        held = [address_of(OPERATOR), address_of(DEFERRED_SENSOR), *BATCH_CONTRACTS]
        waiting += [f"{one} is not polled" for one in held if self.emulator.count(contract_address=one) < 2]
        waiting += [f"{one} is not asked for" for one in REFRESHED if not self.emulator.count(contract_address=one)]
        return waiting if self.airflow.asset_state(WATCHED, CURSOR_KEY) else [*waiting, "the watcher has not begun"]

    def _release(self) -> None:
        """Let everything end that is waited for, not without trouble."""
        trouble = {"contract_address": address_of(OPERATOR), "times": 1}
        self.emulator.add_fault("http", status=500, body="html", message=f"{self.emulator.api_key} failed", **trouble)
        self.emulator.add_fault("reset", **trouble)
        for contract in REFRESHED:
            self.emulator.set_job(contract, running_seconds=0)
        self.emulator.set_collection(address_of(FRESH), tokens=COLLECTION_SIZE, last_updated=time.time())
        self.emulator.mint(address_of(MINTED), [MINTED_TOKEN])
        self.emulator.mine_blocks(MINED_BLOCKS)

    def _started_run(self) -> DagRun:
        def started() -> DagRun | None:
            return next(iter(self.airflow.runs_of(WATCHED)), None)

        run = wait_until(started, moves=self.airflow.progress, failure=lambda: "The watcher started no DAG")
        run.wait()
        return run

    def task(self, task_id: str) -> TaskInstance:
        return next(one for one in self.run.task_instances() if one.task_id == task_id)

    def result(self, task_id: str, key: str = "return_value") -> Any:
        return self.airflow.xcom(self.run, task_id, key=key)

    def log(self, task_id: str) -> str:
        return self.airflow.task_log(self.run, task_id)


@pytest.fixture(scope="package")
def emulator(api_key: str) -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(api_keys=[api_key], units_per_second=None, block_seconds=None) as running:
        running.set_default_job(running_seconds=ENDLESS_SECONDS)
        for task_id in (TOKENS, FRESH):
            running.set_collection(address_of(task_id), tokens=COLLECTION_SIZE)
        running.set_tokens(address_of(TOKENS), STALE, stale_refreshes=1)
        yield running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, emulator: AlchemyEmulator) -> Iterator[Stage]:
    connections = {"alchemy_default": connection_json(emulator, compute_units_per_second=1_000_000)}
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow(
        home, DAGS, connections=connections, environment=LIBRARIES_AT_DEBUG, database="postgresql"
    ) as airflow:
        yield Stage(airflow, emulator)
