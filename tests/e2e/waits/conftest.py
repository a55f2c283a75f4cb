# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow and one emulator for the tests of single waits.

All DAGs but one are triggered at once and each test waits for its own: they spend their time waiting, so together they
take little longer than the longest.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import DagRun, LocalAirflow, TaskInstance
from dev.local_airflow.waiting import wait_until
from tests.e2e.waits.dags import alchemy_scenarios
from tests.e2e.waits.dags.alchemy_scenarios import MODES, address_of

DAGS = Path(__file__).parent / "dags"

KILLED = "killed_triggerer"
COUNTED = "calls_of_a_wait"
RETRIED = "retry_joins"
ENDLESS_SECONDS = 100_000.0


class Stage:
    """
    The Airflow, the emulator, and the runs of all DAGs.

    :param airflow: The running Airflow.
    :param emulator: The running emulator.
    :param dag_ids: The DAGs to run.
    """

    def __init__(self, airflow: LocalAirflow, emulator: AlchemyEmulator, dag_ids: list[str]) -> None:
        self.airflow = airflow
        self.emulator = emulator
        # Alone: how soon its end is seen is the trigger's doing only where nothing else keeps the machine busy.
        self.runs = {COUNTED: airflow.trigger_dag(COUNTED)}
        self.ended(COUNTED)
        # No task runs meanwhile, and no run is made later: the API server writes its audit log in its event loop,
        # where it can wait for a lock of SQLite whose holder waits for that loop.
        airflow.kill("scheduler", signal.SIGTERM)
        self.runs |= {dag_id: airflow.trigger_dag(dag_id) for dag_id in dag_ids if dag_id != COUNTED}
        airflow.start("scheduler")
        self._end_in_a_second_try()

    def _end_in_a_second_try(self) -> None:
        """Let a refresh end that one try of its task does not live to see."""
        tries = self.runs[RETRIED].task_instances
        wait_until(
            lambda: any(task.try_number > 1 and task.state == "running" for task in tries()),
            moves=self.airflow.progress,
            failure=lambda: f"There is no second try: {tries()}",
        )
        self.emulator.set_job(address_of(RETRIED))

    def ended(self, dag_id: str) -> DagRun:
        run = self.runs[dag_id]
        run.wait()
        return run

    def task(self, dag_id: str, task_id: str | None = None) -> TaskInstance:
        instances = self.airflow.task_instances(self.ended(dag_id))
        return next(instance for instance in instances if task_id in {None, instance.task_id})

    def result(self, dag_id: str, task_id: str, map_index: int = -1) -> Any:
        return self.airflow.xcom(self.ended(dag_id), task_id, map_index=map_index)

    def log(self, dag_id: str, task_id: str, try_number: int = 1) -> str:
        return self.airflow.task_log(self.ended(dag_id), task_id, try_number=try_number)


@pytest.fixture(scope="package")
def emulator(api_key: str) -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(api_keys=[api_key], units_per_second=None) as running:
        running.set_default_job(queued_seconds=1, running_seconds=alchemy_scenarios.PAUSE_SECONDS)
        yield running


@pytest.fixture(scope="package")
def broken_hosts(api_key: str) -> Iterator[dict[str, str]]:
    """Connections that fail on purpose, each in its way, as Airflow's environment takes them."""
    with (
        AlchemyEmulator(api_keys=["another"]) as unauthorized,
        AlchemyEmulator(api_keys=[api_key]) as server_error,
        AlchemyEmulator(api_keys=[api_key]) as hanging,
        AlchemyEmulator(api_keys=[api_key]) as bad_json,
        socket.socket() as unheard,
    ):
        server_error.add_fault("http", status=500, body="html", message=f"key {api_key} failed")
        hanging.add_fault("hang")
        bad_json.add_fault("cut_json")
        # Bound but not listening: nobody else gets the port, and connections to it are refused.
        unheard.bind(("127.0.0.1", 0))
        hosts = {
            "refused": f"http://127.0.0.1:{unheard.getsockname()[1]}",
            "unauthorized": unauthorized.url,
            "server_error": server_error.url,
            "hanging": hanging.url,
            "bad_json": bad_json.url,
        }
        yield {
            f"alchemy_{trouble}": json.dumps(
                {
                    "conn_type": "alchemy",
                    "host": host,
                    "password": api_key,
                    "extra": {"timeout": 1, "max_attempts": 2, "api_version": "v3"},
                }
            )
            for trouble, host in hosts.items()
        }


@pytest.fixture(scope="package")
def stage(
    tmp_path_factory: pytest.TempPathFactory, emulator: AlchemyEmulator, broken_hosts: dict[str, str]
) -> Iterator[Stage]:
    emulator_jobs(emulator)
    connections = {"alchemy_default": connection_json(emulator), **broken_hosts}
    # Libraries that would show a URL do so at DEBUG: the search for the key must find none there either.
    environment = {
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "urllib3=DEBUG aiohttp=DEBUG airflow_provider_alchemy=DEBUG",
    }
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow(home, DAGS, connections=connections, environment=environment) as airflow:
        yield Stage(airflow, emulator, list(alchemy_scenarios.DAG_IDS))


@pytest.fixture(scope="package", autouse=True)
def crash(stage: Stage) -> float:
    """The moment of the triggerer's SIGKILL, in the middle of a wait; it was started again after it."""
    # A wait whose calls are compared with its result must not be moved: the new triggerer counts anew.
    stage.ended("sensor_deferred")
    # The first call is the worker's.
    wait_until(
        lambda: stage.emulator.count(contract_address=address_of(KILLED)) > 1,
        moves=stage.airflow.progress,
        failure=lambda: "The triggerer never polled",
    )
    assert "finished" not in {
        call.state for call in stage.emulator.calls if call.contract_address == address_of(KILLED)
    }
    stage.airflow.kill("triggerer", signal.SIGKILL)
    killed_at = time.time()
    stage.airflow.start("triggerer")
    calls = stage.emulator.count(contract_address=address_of(KILLED))
    wait_until(
        lambda: stage.emulator.count(contract_address=address_of(KILLED)) > calls,
        moves=stage.airflow.progress,
        failure=lambda: "The new triggerer never polled",
    )
    stage.emulator.set_job(address_of(KILLED))
    return killed_at


def emulator_jobs(emulator: AlchemyEmulator) -> None:
    for mode in MODES:
        emulator.set_job(address_of(f"soft_fail_{mode}"), running_seconds=ENDLESS_SECONDS)
        emulator.set_job(address_of(f"timeout_{mode}"), running_seconds=ENDLESS_SECONDS)
        emulator.set_job(address_of(f"not_a_collection_{mode}"), outcome="does_not_exist")
    emulator.set_job(address_of("execution_timeout_deferred"), running_seconds=ENDLESS_SECONDS)
    emulator.set_job(address_of(COUNTED), running_seconds=20)
    # Until a test lets them end.
    emulator.set_job(address_of(KILLED), running_seconds=ENDLESS_SECONDS)
    emulator.set_job(address_of(RETRIED), running_seconds=ENDLESS_SECONDS)
