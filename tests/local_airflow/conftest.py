# SPDX-License-Identifier: Apache-2.0

"""One Airflow for the tests that only use it, and a look at the processes that does not trust the code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.local_airflow import DagRun, LocalAirflow
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAGS = Path(__file__).parent / "dags"
# Seconds after which the tasks of a killed one are taken over.
A_LOST_SCHEDULER = {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "45"}
CONNECTIONS = {
    "somewhere": '{"conn_type": "http", "host": "somewhere.example"}',
    "fs_default": '{"conn_type": "fs"}',
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: runs a real Airflow as processes; needs tens of seconds")


def _running_in(home: Path) -> list[str]:
    """List the command lines of processes with this AIRFLOW_HOME, or that work in it, straight from /proc."""
    wanted = f"AIRFLOW_HOME={home.resolve()}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            is_there = (entry / "cwd").readlink() == home.resolve()
            if is_there or wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture
def running_in() -> Callable[[Path], list[str]]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("looks at processes through /proc")
    return _running_in


@pytest.fixture
def dags_folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DAGS, tmp_path / "dags"))


@pytest.fixture
def end_wait(airflow: LocalAirflow) -> Callable[[DagRun], None]:
    """Let a run of the DAG ``waiting`` end: no sooner than its task is deferred and its worker has ended.

    The scheduler takes a task for killed that goes on before it has heard that.
    """

    def end(run: DagRun) -> None:
        heard = f"TaskInstance Finished: dag_id={run.dag_id}, task_id=wait, run_id={run.run_id},"
        wait_until(
            lambda: heard in airflow.process_logs["scheduler"].read_text(encoding="utf-8"),
            moves=airflow.progress,
            failure=lambda: f"The task does not leave its worker: {run.task_instances()}",
        )
        (airflow.dags_folder / run.run_id).touch()

    return end


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("shared")
    dags_folder = Path(shutil.copytree(DAGS, folder / "dags"))
    with LocalAirflow(folder / "home", dags_folder, connections=CONNECTIONS, environment=A_LOST_SCHEDULER) as started:
        yield started
