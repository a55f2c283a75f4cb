# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow, on PostgreSQL, for the tests of the refresh of tokens.

One refresh begins before the others: its worker is killed when half of its tokens were answered for.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import DagRun, LocalAirflow, TaskInstance
from dev.local_airflow.waiting import wait_until
from tests.e2e.tokens.dags.tokens import DAG_IDS, FAILED, KILLED, NOTES_VARIABLE, PAUSED, QUEUED, TOKENS, address_of

DAGS = Path(__file__).parent / "dags"

LATENCY_SECONDS = 0.2
"""Long enough for calls to be under way at any time, and short enough for a hundred pages one after the other."""

LATENCY_BEFORE_THE_KILL_SECONDS = 0.5
"""It comes when half is done: the other half is to last longer than a busy machine takes to see that."""

BATCH = "getNFTMetadataBatch"


class Stage:
    """
    The Airflow, the emulator, and the runs of all DAGs.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    :param notes: The folder into which tasks write the number of their process.
    """

    def __init__(self, airflow: LocalAirflow, emulator: AlchemyEmulator, notes: Path) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self._notes = notes
        self.runs = {KILLED: airflow.trigger_dag(KILLED)}
        self._kill_worker()
        emulator.configure(latency_seconds=LATENCY_SECONDS)
        self.runs |= {dag_id: airflow.trigger_dag(dag_id) for dag_id in DAG_IDS if dag_id != KILLED}

    def _kill_worker(self) -> None:
        wait_until(
            lambda: self.asked(KILLED) >= TOKENS[KILLED] // 2,
            moves=lambda: (self.airflow.progress(), self.asked(KILLED)),
            failure=lambda: f"{self.asked(KILLED)} tokens of {KILLED} were asked for",
        )
        os.kill(int((self._notes / f"{KILLED}-1").read_text(encoding="utf-8")), signal.SIGKILL)

    def asked(self, dag_id: str) -> int:
        """Count the tokens that were asked for."""
        return len(self.emulator.asked_tokens(BATCH, address_of(dag_id)))

    def ended(self, dag_id: str) -> DagRun:
        run = self.runs[dag_id]
        run.wait()
        return run

    def task(self, dag_id: str, task_id: str = "refresh") -> TaskInstance:
        return next(one for one in self.airflow.task_instances(self.ended(dag_id)) if one.task_id == task_id)

    def result(self, dag_id: str, task_id: str = "refresh", key: str = "return_value") -> Any:
        return self.airflow.xcom(self.ended(dag_id), task_id, key=key)

    def log(self, dag_id: str, task_id: str = "refresh", try_number: int = 1) -> str:
        return self.airflow.task_log(self.ended(dag_id), task_id, try_number=try_number)


@pytest.fixture(scope="package")
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(
        units_per_second=None, latency_seconds=LATENCY_BEFORE_THE_KILL_SECONDS, reingest_gone=410
    ) as running:
        for dag_id, tokens in TOKENS.items():
            running.set_collection(address_of(dag_id), tokens=tokens)
        running.set_tokens(address_of(PAUSED), range(20), stale_refreshes=1)
        running.set_tokens(address_of(FAILED), [3], error="Token does not exist")
        running.set_collection(address_of(QUEUED), tokens=TOKENS[QUEUED], queue_seconds=2)
        yield running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, emulator: AlchemyEmulator) -> Iterator[Stage]:
    connections = {"alchemy_default": connection_json(emulator, compute_units_per_second=1_000_000)}
    home, notes = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("notes")
    with LocalAirflow(
        home, DAGS, connections=connections, environment={NOTES_VARIABLE: str(notes)}, database="postgresql"
    ) as airflow:
        yield Stage(airflow, emulator, notes)
