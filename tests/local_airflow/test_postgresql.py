# SPDX-License-Identifier: Apache-2.0

"""An Airflow on PostgreSQL: it runs what one on SQLite runs, and its server ends with it, and after it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.local_airflow import LocalAirflow, LocalAirflowError, packages, postgresql
from dev.local_airflow.processes import HAS_PROC
from dev.local_airflow.waiting import wait_until

RunningIn = Callable[[Path], list[str]]
REPOSITORY = Path(__file__).parents[2]
HARNESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dev.local_airflow import LocalAirflow
with LocalAirflow(Path(sys.argv[2]), Path(sys.argv[3]), database="postgresql") as airflow:
    if sys.argv[4:]:
        airflow.detach()
    else:
        print("up", flush=True)
        sys.stdin.read()
"""


def _harness(home: Path, dags_folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter with our own program
        [sys.executable, "-c", HARNESS, str(REPOSITORY), str(home), str(dags_folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def served_from() -> Callable[[Path], list[int]]:
    """Look for the server's processes: all of them work in the folder of their data."""
    if not HAS_PROC:
        pytest.skip("looks at processes through /proc")

    def find(home: Path) -> list[int]:
        folder = home.resolve() / "postgresql"
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    return find


@pytest.mark.e2e
def test_a_run_succeeds_and_the_server_ends_after_everything_else(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn, served_from: Callable[[Path], list[int]]
) -> None:
    home = tmp_path / "home"
    connections = {"somewhere": "http://somewhere.example"}
    airflow = LocalAirflow(
        home, dags_folder, database="postgresql", connections=connections, connections_in_database=True
    )
    with airflow:
        run = airflow.trigger_dag("plain")
        assert run.wait() == "success"
        assert [airflow.xcom(run, "square", map_index=index) for index in range(3)] == [1, 4, 9]
        assert airflow.processes["postgresql"] in served_from(home)
        assert not (home / "airflow.db").exists()
    assert running_in(home) == []
    assert served_from(home) == []
    log = airflow.process_logs["postgresql"].read_text()
    assert "database system is shut down" in log
    # It was still there when the last of Airflow ended.
    assert "terminating connection" not in log


@pytest.mark.e2e
def test_a_server_whose_harness_is_killed_is_ended_in_good_order(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn, served_from: Callable[[Path], list[int]]
) -> None:
    home = tmp_path / "home"
    with _harness(home, dags_folder) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "up\n"
        assert served_from(home)
        harness.kill()
    wait_until(
        lambda: not running_in(home) and not served_from(home),
        failure=lambda: f"left: {running_in(home)}, {served_from(home)}",
    )
    assert "database system is shut down" in (home / "process_logs" / "postgresql.log").read_text()


@pytest.mark.e2e
def test_a_kept_one_keeps_its_server_and_a_used_home_its_database(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn, served_from: Callable[[Path], list[int]]
) -> None:
    home = tmp_path / "home"
    with _harness(home, dags_folder, "detach") as harness:
        assert harness.wait() == 0
    try:
        assert served_from(home)
    finally:
        assert LocalAirflow.stop_kept(home)
    assert running_in(home) == []
    assert served_from(home) == []
    password = (home / "postgresql_password").read_text()
    with LocalAirflow(home, dags_folder, database="postgresql") as airflow:
        assert airflow.trigger_dag("plain").path
        assert (home / "postgresql_password").read_text() == password
        # Not SIGKILL, after which the system keeps a few bytes of shared memory for whoever starts it again.
        airflow.kill("postgresql", signal.SIGQUIT)
        assert served_from(home) == []


def test_missing_packages_are_named_before_anything_is_started(
    tmp_path: Path, dags_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "psycopg2" else there(name))
    with pytest.raises(LocalAirflowError, match="needs the packages psycopg2-binary, which are not installed"):
        LocalAirflow(tmp_path / "home", dags_folder, database="postgresql")


def test_an_unknown_database_is_refused_with_the_known_ones(tmp_path: Path, dags_folder: Path) -> None:
    with pytest.raises(LocalAirflowError, match="no database 'mysql'; there are sqlite, postgresql"):
        LocalAirflow(tmp_path / "home", dags_folder, database="mysql")  # type: ignore[arg-type]


def test_root_without_the_program_to_be_somebody_else_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    database = postgresql.PostgresqlDatabase(tmp_path)
    try:
        with pytest.raises(LocalAirflowError, match="refuses to run as root, and there is no setpriv"):
            assert database.servers
    finally:
        database.release()
