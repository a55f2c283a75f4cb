# SPDX-License-Identifier: Apache-2.0
"""The cluster for people: it says where everything is, starts again what is killed, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dev.local_airflow.rest import REQUEST_SECONDS
from dev.local_airflow.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.e2e


class Terminal:
    """
    The command, and what it wrote.

    :param process: Its process.
    :param output: The file that it writes to.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def text(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def until(self, pattern: str) -> str:
        found = wait_until(
            lambda: self._said(pattern),
            moves=self._progress,
            failure=lambda: f"It did not say {pattern!r} but:\n{self.text}\n",
        )
        return found[1] if found.lastindex else found[0]

    def _progress(self) -> object:
        """Read what it has said, and how many processes it has started: it says nothing until all are up."""
        return self.text, len(list(self._output.parent.glob("alchemy-cluster-*/airflow/process_logs/*")))

    def _said(self, pattern: str) -> re.Match[str] | None:
        is_over, said = self.process.poll() is not None, re.search(pattern, self.text)
        if is_over and not said:
            pytest.fail(f"It ended with {self.process.returncode}:\n{self.text}")
        return said


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    output = tmp_path / "terminal"
    with output.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "dev.cluster"],
            cwd=PROJECT,
            stdout=written,
            stderr=subprocess.STDOUT,
            # Wide enough for no line to be broken.
            env={**os.environ, "COLUMNS": "200", "TMPDIR": str(tmp_path)},
        )
    yield Terminal(process, output)
    process.send_signal(signal.SIGINT)
    process.wait()


def processes_below(folder: Path) -> list[str]:
    wanted = f"AIRFLOW_HOME={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_it_is_used_killed_and_ended(terminal: Terminal, tmp_path: Path) -> None:
    url = terminal.until(r"is up after \d+ s: (http://\S+)")
    triggerer = int(terminal.until(r"triggerer-1 *│ *(\d+)"))
    assert (
        requests.get(f"{url}/api/v2/monitor/health", timeout=REQUEST_SECONDS).json()["triggerer"]["status"] == "healthy"
    )
    assert processes_below(tmp_path)

    os.kill(triggerer, signal.SIGKILL)
    terminal.until("triggerer-1 runs again")

    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait() == 0
    assert "nothing is left running" in terminal.text
    assert processes_below(tmp_path) == []
    assert not list(tmp_path.glob("alchemy-cluster-*"))
