# SPDX-License-Identifier: Apache-2.0
"""What is said of the machine."""

from __future__ import annotations

import platform
from dataclasses import replace

from dev.benchmarks.machine import this_machine, version_of


def test_the_machine_is_named_with_processor_cores_and_versions() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert f"Python {platform.python_version()}, Airflow {version_of('apache-airflow')}" in machine.sentence


def test_a_busy_machine_is_told_from_a_quiet_one() -> None:
    machine = this_machine()
    assert "disturbed" in replace(machine, load=2.0).sentence
    assert "disturbed" not in replace(machine, load=0.1).sentence


def test_a_distribution_that_is_not_there_has_no_version() -> None:
    assert version_of("airflow-provider-that-nobody-wrote") == "not installed"
