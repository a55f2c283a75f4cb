# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow, on PostgreSQL, for the tests of the operator for many contracts.

One batch begins before the others: half of its refreshes end one by one, then the triggerer is killed. The others end
after that.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import DagRun, LocalAirflow, TaskInstance
from dev.local_airflow.waiting import wait_until
from tests.e2e.contracts.dags.many_contracts import COUNTS, FAILED, KILLED, MOVED, RETRIED, contracts_of

DAGS = Path(__file__).parent / "dags"

PAUSE_SECONDS = 20
"""Airflow's scheduler takes a task for killed that goes on before it has heard that the task's worker ended: on a busy
machine it hears that several seconds late."""

ENDLESS_SECONDS = 100_000.0
BEFORE_THE_KILL = contracts_of(MOVED)[: COUNTS[MOVED] // 2]
"""Those whose refresh ends before it."""


class Stage:
    """
    The Airflow, the emulator, and the runs of all DAGs.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    """

    def __init__(self, airflow: LocalAirflow, emulator: AlchemyEmulator) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self.runs = {MOVED: airflow.trigger_dag(MOVED)}
        self.api = self.runs[MOVED].api
        self._kill_triggerer()
        self.restarted_at = time.time()
        airflow.start("triggerer")
        for contract in contracts_of(MOVED)[len(BEFORE_THE_KILL) :]:
            emulator.set_job(contract)
        self.runs |= {dag_id: airflow.trigger_dag(dag_id) for dag_id in COUNTS if dag_id != MOVED}
        self._kill_task()

    def _kill_triggerer(self) -> None:
        for contract in BEFORE_THE_KILL:
            self._await_poll(contract)
            self.emulator.set_job(contract)
            self._await_poll(contract, "finished")
        self.airflow.kill("triggerer", signal.SIGKILL)

    def _await_poll(self, contract: str, state: str | None = None) -> None:
        wait_until(
            lambda: any(state in (None, call.state) for call in self.calls(MOVED) if call.contract_address == contract),
            moves=self.airflow.progress,
            failure=lambda: f"{contract} was never {state or 'polled'}; {len(self.ends(MOVED))} have ended",
            interval_seconds=0.1,
        )

    def _kill_task(self) -> None:
        """Mark a deferred task as failed, as a user does who does not want to wait."""
        wait_until(
            lambda: self.emulator.count(contract_address=contracts_of(KILLED)[0]) > 1,
            moves=self.airflow.progress,
            failure=lambda: f"{KILLED} never polled",
        )
        run = self.runs[KILLED]
        self.api.send("PATCH", f"{run.path}/taskInstances/refresh", {"new_state": "failed"})

    def variables(self) -> list[str]:
        """Give the names of all Variables."""
        return [row["key"] for row in self.api.pages("variables", "variables")]

    def calls(self, dag_id: str) -> list[Call]:
        contracts = set(contracts_of(dag_id))
        return [call for call in self.emulator.calls if call.contract_address in contracts]

    def ends(self, dag_id: str) -> list[Call]:
        return [call for call in self.calls(dag_id) if call.state == "finished"]

    def ended(self, dag_id: str) -> DagRun:
        run = self.runs[dag_id]
        run.wait()
        return run

    def task(self, dag_id: str, task_id: str = "refresh") -> TaskInstance:
        return next(one for one in self.airflow.task_instances(self.ended(dag_id)) if one.task_id == task_id)

    def result(self, dag_id: str, task_id: str = "refresh", key: str = "return_value") -> Any:
        return self.airflow.xcom(self.ended(dag_id), task_id, key=key)

    def log(self, dag_id: str, try_number: int = 1) -> str:
        return self.airflow.task_log(self.ended(dag_id), "refresh", try_number=try_number)


@pytest.fixture(scope="package")
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        running.set_default_job(running_seconds=PAUSE_SECONDS)
        for contract in contracts_of(MOVED):
            running.set_job(contract, running_seconds=ENDLESS_SECONDS)
        for contract in contracts_of(FAILED)[:3]:
            running.set_job(contract, outcome="does_not_exist")
        for contract in contracts_of(RETRIED)[:5]:
            running.set_job(contract, queue_failures=1, running_seconds=PAUSE_SECONDS)
        for contract in contracts_of(KILLED):
            running.set_job(contract, running_seconds=ENDLESS_SECONDS)
        yield running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, emulator: AlchemyEmulator) -> Iterator[Stage]:
    connections = {"alchemy_default": connection_json(emulator, compute_units_per_second=1_000_000)}
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow(home, DAGS, connections=connections, database="postgresql") as airflow:
        yield Stage(airflow, emulator)
