# SPDX-License-Identifier: Apache-2.0
"""The asyncio tasks of a triggerer, counted from inside its event loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.benchmarks.soak.counting import FOLDER, LOCAL_SETTINGS, counted_tasks, counting_environment
from tests.waiting import eventually

pytestmark = pytest.mark.integration

PROGRAM = """
import asyncio, sys
import airflow_local_settings

async def many():
    waiting = [asyncio.create_task(asyncio.sleep(600)) for _ in range(5)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in waiting:
        task.cancel()

asyncio.run(many())
"""


def start(home: Path, command: str) -> subprocess.Popen[str]:
    # Airflow finds its settings on the path, and the command's name stands where Airflow's own stands.
    environment = {**os.environ, **counting_environment(os.environ), "AIRFLOW_HOME": str(home)}
    process = subprocess.Popen(  # noqa: S603 - fixed text
        [sys.executable, "-c", PROGRAM, command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_event_loop_of_a_triggerer_counts_its_tasks(tmp_path: Path) -> None:
    with start(tmp_path, "triggerer") as process:
        # The five that sleep, and the one that made them.
        eventually(lambda: counted_tasks(tmp_path, process.pid) == 6)
        process.communicate("")


def test_no_other_process_counts(tmp_path: Path) -> None:
    with start(tmp_path, "scheduler") as process:
        process.communicate("")

    assert process.returncode == 0
    assert not (tmp_path / FOLDER).exists()
    assert counted_tasks(tmp_path, process.pid) is None


def test_a_number_that_is_being_written_is_none(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "5").write_text("", encoding="utf-8")

    assert counted_tasks(tmp_path, 5) is None


def test_what_airflow_finds_on_its_path_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)

    assert counting_environment(os.environ)["PYTHONPATH"].split(os.pathsep)[0] == str(LOCAL_SETTINGS)
    assert counting_environment({"PYTHONPATH": "/mine"})["PYTHONPATH"].endswith(f"{os.pathsep}/mine")
