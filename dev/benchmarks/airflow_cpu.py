# SPDX-License-Identifier: Apache-2.0
"""
The CPU time of a running Airflow, from the kernel's own account of its processes.

Every process counts with what its children have used by the time it waited for them, so that a task's process, which
lives for a second, is found again at the worker that started it. That holds as long as nobody's children are left to
the system: all of Airflow's processes wait for theirs (seen with a look at all processes every tenth of a second).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dev.local_airflow import LocalAirflow

DATABASE = "postgresql"
"""The component that is none of Airflow's."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
TIMES = slice(11, 15)
"""Where ``/proc/PID/stat`` has, after the command's name: utime, stime, cutime and cstime."""


def cpu_seconds(airflow: LocalAirflow) -> dict[str, float]:
    """
    Read the CPU time that each component has used since it was started.

    :param airflow: The Airflow.
    :return: Seconds by component, of all its processes together.
    """
    return {component: _total(airflow.process_tree(component)) for component in airflow.processes}


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """
    Compare two readings.

    :param before: The earlier one.
    :param after: The later one.
    :return: Seconds by component that were used in between.
    """
    return {component: round(seconds - before[component], 2) for component, seconds in after.items()}


def of_airflow(by_component: Mapping[str, float]) -> float:
    """
    Add up what Airflow has used, without its database server.

    :param by_component: Seconds by component.
    :return: Seconds.
    """
    return sum(seconds for component, seconds in by_component.items() if component != DATABASE)


def _total(pids: Iterable[int]) -> float:
    return sum(map(_ticks, pids)) / TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # It ended since the list was made; whoever started it has its times by now, or very soon.
        return 0
    # The command's name stands in brackets and may hold spaces and brackets.
    return sum(map(int, text.rpartition(")")[2].split()[TIMES]))
