# SPDX-License-Identifier: Apache-2.0

"""What stands at the start of a local Airflow and what must be gone after its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from dev.local_airflow import LocalAirflow, LocalAirflowError
from dev.local_airflow.waiting import wait_until

pytestmark = pytest.mark.e2e

RunningIn = Callable[[Path], list[str]]
REPOSITORY = Path(__file__).parents[2]
HARNESS = """
import signal, sys
from pathlib import Path
# What a shell starts in the background inherits that Ctrl-C is ignored, and so may this process.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from dev.local_airflow import LocalAirflow
with LocalAirflow(Path(sys.argv[2]), Path(sys.argv[3])):
    print("up", flush=True)
    sys.stdin.read()
"""


def _harness(home: Path, dags_folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter with our own program
        [sys.executable, "-c", HARNESS, str(REPOSITORY), str(home), str(dags_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_left_after_the_end_even_of_a_task_that_still_runs(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn
) -> None:
    connections = {"somewhere": "http://somewhere.example"}
    home = tmp_path / "home"
    with LocalAirflow(home, dags_folder, connections=connections, connections_in_database=True) as airflow:
        run = airflow.trigger_dag("plain")
        assert run.wait() == "success"
        assert airflow.xcom(run, "produce")["host"] == "somewhere.example"
        # Its child has no environment that would tell whose it is.
        lingering = airflow.trigger_dag("lingering")
        wait_until(
            lambda: any("/bin/sleep 600" in line for line in running_in(home)),
            failure=lambda: f"the task does not run: {airflow.task_instances(lingering)}",
        )
    assert running_in(home) == []
    assert not list(home.glob("connections_to_import*"))


def test_a_component_that_dies_during_the_start_is_named_with_its_last_lines(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn
) -> None:
    home = tmp_path / "home"
    airflow = LocalAirflow(home, dags_folder, executor="no_such_module.NoSuchExecutor")
    with (
        pytest.raises(LocalAirflowError, match=r"The scheduler ended by itself[\s\S]*no_such_module"),
        airflow,
    ):
        pytest.fail("it started")
    assert running_in(home) == []


def test_a_failing_migration_is_shown_with_its_last_lines(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn
) -> None:
    home = tmp_path / "home"
    environment = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:///relative.db"}
    airflow = LocalAirflow(home, dags_folder, environment=environment)
    with pytest.raises(LocalAirflowError, match=r"'airflow db migrate' ended[\s\S]*relative"), airflow:
        pytest.fail("it started")
    assert running_in(home) == []


def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path, dags_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        airflow = LocalAirflow(tmp_path / "home", dags_folder, port=port)
        with pytest.raises(LocalAirflowError, match=f"Port {port} .* cannot be used"), airflow:
            pytest.fail("it started")
    assert not (tmp_path / "home").exists()


def test_two_run_at_once_without_knowing_of_each_other(tmp_path: Path, dags_folder: Path) -> None:
    connections = {"somewhere": "http://somewhere.example"}
    both = [LocalAirflow(tmp_path / name, dags_folder, connections=connections) for name in ("one", "two")]
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        for started in threads.map(lambda airflow: airflow.__enter__(), both):
            stack.push(started)
        assert both[0].url != both[1].url
        runs = [airflow.trigger_dag("plain", conf={"of": airflow.url}) for airflow in both]
        for airflow, run in zip(both, runs, strict=True):
            assert run.wait() == "success"
            assert airflow.xcom(run, "produce")["conf"] == {"of": airflow.url}


def test_a_harness_that_is_killed_leaves_nothing_behind(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn
) -> None:
    home = tmp_path / "home"
    with _harness(home, dags_folder) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "up\n"
        assert running_in(home)
        harness.kill()
    wait_until(lambda: not running_in(home), failure=lambda: f"left: {running_in(home)}")


def test_an_interrupt_during_the_start_leaves_nothing_behind(
    tmp_path: Path, dags_folder: Path, running_in: RunningIn
) -> None:
    home = tmp_path / "home"
    with _harness(home, dags_folder) as harness:
        wait_until(
            lambda: any("scheduler" in line for line in running_in(home)),
            failure=lambda: "it does not start",
        )
        harness.send_signal(signal.SIGINT)
        harness.wait()
    assert running_in(home) == []


def test_a_detached_one_stays_until_it_is_stopped(tmp_path: Path, dags_folder: Path, running_in: RunningIn) -> None:
    home = tmp_path / "home"
    with LocalAirflow(home, dags_folder) as airflow:
        airflow.detach()
    try:
        assert running_in(home)
        with pytest.raises(LocalAirflowError, match="still runs"), LocalAirflow(home, dags_folder):
            pytest.fail("it started")
    finally:
        assert LocalAirflow.stop_kept(home)
    assert running_in(home) == []
    assert not LocalAirflow.stop_kept(home)
