# SPDX-License-Identifier: Apache-2.0
"""The machine that a figure was measured on: without it, a figure says nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

QUIET_LOAD = 0.5
"""Processes that wanted to run in the last minute, up to which a machine counts as quiet."""


@dataclass(frozen=True)
class Machine:
    """
    What is known of this machine, and how busy it was before anything was measured.

    :param cpu: The processor's model.
    :param cores: Logical cores that this process may use.
    :param system: Operating system and its release.
    :param python: Version of Python.
    :param airflow: Version of Airflow.
    :param load: Processes that wanted to run in the minute before, on average.
    :param measured_at: When, in UTC.
    """

    cpu: str
    cores: int
    system: str
    python: str
    airflow: str
    load: float
    measured_at: str

    @property
    def sentence(self) -> str:
        """Everything in one line, with a warning where others may have disturbed what was measured."""
        line = (
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}, Airflow {self.airflow},"
            f" {self.measured_at}"
        )
        if self.load > QUIET_LOAD:
            line += f" (load {self.load:.1f} before the start: others may have disturbed these figures)"
        return line


def this_machine() -> Machine:
    """
    Look at this machine.

    :return: What was found.
    """
    return Machine(
        cpu=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        airflow=version_of("apache-airflow"),
        load=os.getloadavg()[0],
        measured_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def version_of(distribution: str) -> str:
    """
    Say which version of a distribution is installed, without importing it.

    :param distribution: Its name.
    :return: The version, or ``not installed``.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
