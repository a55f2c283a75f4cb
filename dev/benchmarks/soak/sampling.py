# SPDX-License-Identifier: Apache-2.0
"""
What the components of a running Airflow take, read from the kernel every few seconds.

Memory is the resident set. The proportional one would be fairer to pages that processes share, but it halves and comes
back whenever a worker forks a task, which is no news about a leak.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.benchmarks.soak.counting import counted_tasks
from dev.local_airflow import LocalAirflow
from dev.local_airflow.processes import PROC, identity_of

KIB = 1024


@dataclass(frozen=True)
class Reading:
    """
    One process at one moment.

    :param memory: Resident bytes.
    :param open_files: Open file descriptors, sockets among them.
    :param sockets: Those that are sockets.
    :param threads: Threads.
    :param tasks: asyncio tasks that are not done; None where the process does not count them.
    """

    memory: int
    open_files: int
    sockets: int
    threads: int
    tasks: int | None


@dataclass(frozen=True)
class Sample:
    """
    Everything at one moment.

    :param at: Seconds since the clock was started.
    :param under_way: Waits under way.
    :param ended: Waits that have ended so far.
    :param task_logs: Bytes of all files in the folder of task logs.
    :param outputs: Bytes of each component's standard output and error.
    :param readings: By component, and by process there: its number and when it started.
    """

    at: float
    under_way: int
    ended: int
    task_logs: int
    outputs: dict[str, int]
    readings: dict[str, dict[str, Reading]]


class Sampler:
    """
    Reads samples.

    :param airflow: The Airflow.
    :param components: Which of its components.
    """

    def __init__(self, airflow: LocalAirflow, components: Sequence[str]) -> None:
        self._airflow = airflow
        self._components = components
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the clock was started."""
        return time.monotonic() - self._began

    def sample(self, under_way: int, ended: int) -> Sample:
        """
        Read everything once.

        :param under_way: Waits under way.
        :param ended: Waits that have ended.
        :return: The sample.
        """
        outputs = self._airflow.process_logs
        return Sample(
            at=round(self.seconds, 2),
            under_way=under_way,
            ended=ended,
            task_logs=bytes_in(self._airflow.log_folder),
            outputs={name: outputs[name].stat().st_size for name in self._components},
            readings={name: self._read(name) for name in self._components},
        )

    def _read(self, component: str) -> dict[str, Reading]:
        found = {}
        for pid in self._airflow.process_tree(component):
            identity, reading = identity_of(pid), read_process(pid, counted_tasks(self._airflow.home, pid))
            # One that ended while it was read is none.
            if identity and reading:
                found[f"{pid}/{identity.started}"] = reading
        return found


def read_process(pid: int, tasks: int | None) -> Reading | None:
    """
    Read what a process takes.

    :param pid: The process.
    :param tasks: Its asyncio tasks, where they are known.
    :return: The reading; None where the process ended.
    """
    folder = PROC / str(pid)
    try:
        status = (folder / "status").read_text(encoding="utf-8", errors="replace")
        targets = [_target(entry) for entry in (folder / "fd").iterdir()]
    except OSError:
        return None
    fields = dict(line.split(":", maxsplit=1) for line in status.splitlines() if ":" in line)
    if "VmRSS" not in fields:
        # It waits to be reaped.
        return None
    return Reading(
        memory=int(fields["VmRSS"].split()[0]) * KIB,
        open_files=len(targets),
        sockets=sum(target.startswith("socket:") for target in targets),
        threads=int(fields["Threads"]),
        tasks=tasks,
    )


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)  # noqa: PTH115 - no path at all where it is a socket
    except OSError:
        # Closed since the folder was listed.
        return ""


def bytes_in(folder: Path) -> int:
    """
    Add up the files of a folder and of the folders in it.

    :param folder: The folder.
    :return: Bytes; 0 where there is no such folder.
    """
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:
                # Renamed or removed meanwhile.
                continue
    return total
