# SPDX-License-Identifier: Apache-2.0
"""The cluster itself: what runs, and that work is shared."""

from __future__ import annotations

import pytest

from cluster import Cluster
from cluster.running import TRIGGERERS, WORKERS
from tests.e2e.cluster.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_everything_of_it_is_a_process_of_its_own(cluster: Cluster) -> None:
    expected = {"api-server", "scheduler", "dag-processor", *TRIGGERERS, *WORKERS, "postgresql", "redis", "emulator"}

    assert cluster.airflow.processes.keys() == expected
    assert len(set(cluster.airflow.processes.values())) == len(expected)


def test_the_emulator_is_asked_over_tls(cluster: Cluster) -> None:
    assert cluster.emulator.url.startswith("https://")


def test_tasks_pass_through_both_workers_and_triggers_through_both_triggerers(stage: Stage) -> None:
    verdict = stage.play("shared", [])

    assert (verdict.wrong, verdict.early, verdict.late) == ([], [], [])
    airflow = stage.cluster.airflow
    assert [one for one in WORKERS if "succeeded in" not in airflow.process_logs[one].read_text()] == []
    # A trigger writes into a log file of its task that has the number of the triggerer's job in its name.
    triggerers = {file.name.split(".")[-2] for file in airflow.log_folder.rglob("*.trigger.*.log")}
    assert len(triggerers) == len(TRIGGERERS)
