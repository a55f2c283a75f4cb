# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow, on PostgreSQL, for the tests of tasks that start or end in the triggerer.

All DAGs run at once. Three begin before the others: the triggerer is killed in their middle.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import DagRun, LocalAirflow, TaskInstance
from dev.local_airflow.waiting import wait_until
from tests.e2e.without_worker.dags import without_worker
from tests.e2e.without_worker.dags.without_worker import MOVED, address_of
from tests.e2e.without_worker.statistics import StatisticsServer

DAGS = Path(__file__).parent / "dags"


class Stage:
    """
    The Airflow, the emulator, Airflow's statistics, and the runs of all DAGs.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    :param statistics: What Airflow's processes tell it.
    :param notes: The file that callbacks write into.
    """

    def __init__(
        self, airflow: LocalAirflow, emulator: AlchemyEmulator, statistics: StatisticsServer, notes: Path
    ) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self.statistics = statistics
        self._notes = notes
        self.runs = {dag_id: airflow.trigger_dag(dag_id) for dag_id in MOVED}
        self.killed_at = self._kill_triggerer()
        self.states_at_kill = {dag_id: run.state() for dag_id, run in self.runs.items()}
        airflow.start("triggerer")
        others = {*without_worker.DAG_IDS} - {*MOVED}
        self.runs |= {dag_id: airflow.trigger_dag(dag_id) for dag_id in sorted(others)}

    def _kill_triggerer(self) -> float:
        wait_until(
            lambda: all(self.emulator.count(contract_address=address_of(dag_id)) for dag_id in MOVED),
            moves=self.airflow.progress,
            failure=lambda: "Not all are polled for",
        )
        self.airflow.kill("triggerer", signal.SIGKILL)
        return time.time()

    def ended(self, dag_id: str) -> DagRun:
        run = self.runs[dag_id]
        run.wait()
        return run

    def task(self, dag_id: str, task_id: str = "wait") -> TaskInstance:
        return next(one for one in self.airflow.task_instances(self.ended(dag_id)) if one.task_id == task_id)

    def result(self, dag_id: str, task_id: str = "wait", *, map_index: int = -1, key: str = "return_value") -> Any:
        return self.airflow.xcom(self.ended(dag_id), task_id, map_index=map_index, key=key)

    def log(self, dag_id: str, task_id: str = "wait", *, map_index: int = -1, try_number: int = 1) -> str:
        return self.airflow.task_log(self.ended(dag_id), task_id, map_index=map_index, try_number=try_number)

    def worker_starts(self, dag_id: str, task_id: str = "wait", *, map_index: int = -1, try_number: int = 1) -> int:
        """Count the processes that were started for a try of a task: each begins its log with the same words."""
        run = self.ended(dag_id)
        folder = self.airflow.log_folder / f"dag_id={dag_id}" / f"run_id={run.run_id}" / f"task_id={task_id}"
        if map_index >= 0:
            folder /= f"map_index={map_index}"
        assert any(folder.glob(f"attempt={try_number}.log*")), f"nothing was logged in {folder}"
        log = folder / f"attempt={try_number}.log"
        return log.read_text(encoding="utf-8").count("::group::Pre Execute") if log.exists() else 0

    def callbacks(self, dag_id: str, number: int = 1) -> list[dict[str, Any]]:
        """Give what the callbacks of a DAG's tasks saw; those of an end in the triggerer come after it."""

        def written() -> list[dict[str, Any]]:
            text = self._notes.read_text(encoding="utf-8") if self._notes.exists() else ""
            return [told for told in map(json.loads, text.splitlines()) if told["dag_id"] == dag_id]

        self.ended(dag_id)
        wait_until(
            lambda: len(written()) >= number,
            moves=self.airflow.progress,
            failure=lambda: f"Of {dag_id}: {written()}",
        )
        return written()


@pytest.fixture(scope="package")
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        running.set_default_job(queued_seconds=1, running_seconds=4)
        for dag_id in without_worker.NEVER_ENDS:
            running.set_job(address_of(dag_id), running_seconds=600)
        running.set_job(address_of("moved"), running_seconds=without_worker.LIMIT_SECONDS)
        running.set_job(address_of("queue_failed"), queue_failures=1)
        for dag_id in ("no_collection", "no_collection_soft"):
            running.set_job(address_of(dag_id), outcome="does_not_exist")
        running.add_fault("http", status=429, times=1, contract_address=address_of("throttled"))
        yield running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, emulator: AlchemyEmulator) -> Iterator[Stage]:
    connection = connection_json(emulator, compute_units_per_second=1_000_000)
    home = tmp_path_factory.mktemp("airflow")
    notes = home / "callbacks.jsonl"
    with StatisticsServer() as statistics:
        environment = {
            without_worker.NOTES_VARIABLE: str(notes),
            "AIRFLOW__ALCHEMY__START_FROM_TRIGGER": "True",
            "AIRFLOW__ALCHEMY__END_FROM_TRIGGER": "True",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statistics.port),
        }
        connections = {"alchemy_default": connection}
        with LocalAirflow(
            home, DAGS, connections=connections, environment=environment, database="postgresql"
        ) as airflow:
            yield Stage(airflow, emulator, statistics, notes)
