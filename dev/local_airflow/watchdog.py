# SPDX-License-Identifier: Apache-2.0
"""Ends a local Airflow when the process that started it died without doing so.

It exists because ``kill -9`` of a test run, or the end of a CI step, would leave Airflow running for ever.
It is a process of its own and not ``PR_SET_PDEATHSIG``: that one reaches direct children only, and fires
when the *thread* that started them ends. The watchdog reads its standard input, whose other end only the
starting process holds: the end of it is that process's death.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dev.local_airflow.processes import ProcessIdentity

RELEASE = "release"
LEAVE_SECONDS = 10.0


class Watchdog:
    """The watchdog as its starter sees it.

    :param instance_id: Which local Airflow it guards.
    """

    def __init__(self, instance_id: str) -> None:
        package_parent = str(Path(__file__).resolve().parents[2])
        search_path = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            [sys.executable, "-m", "dev.local_airflow.watchdog_process", instance_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
            # Ctrl-C and the killing of the starter's process group must not reach it.
            start_new_session=True,
            text=True,
        )

    def guard(self, name: str, process: ProcessIdentity) -> None:
        """Tell it about a process that was started.

        :param name: Its component.
        :param process: The process.
        """
        self._write(f"{name} {process.pid} {process.started}")

    def release(self) -> None:
        """Send it away, since nothing is left to guard or what runs is meant to stay."""
        self._write(RELEASE)
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(timeout=LEAVE_SECONDS)

    def _write(self, line: str) -> None:
        # Without a watchdog Airflow works as well; that somebody ended it is no reason to fail.
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
