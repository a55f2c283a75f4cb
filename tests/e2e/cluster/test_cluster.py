# SPDX-License-Identifier: Apache-2.0
"""The cluster itself: what runs, and that work is shared."""

from __future__ import annotations

import pytest

from dev.cluster import Cluster
from dev.cluster.running import TRIGGERERS, WORKERS
from tests.e2e.cluster.stage import SHARED, Stage

"""On a busy machine one triggerer may be so slow that the other takes all triggers of a scenario."""

pytestmark = pytest.mark.e2e


def test_everything_of_it_is_a_process_of_its_own(cluster: Cluster) -> None:
    expected = {"api-server", "scheduler", "dag-processor", *TRIGGERERS, *WORKERS, "postgresql", "redis", "emulator"}

    assert cluster.airflow.processes.keys() == expected
    assert len(set(cluster.airflow.processes.values())) == len(expected)


def test_the_emulator_is_asked_over_tls(cluster: Cluster) -> None:
    assert cluster.emulator.url.startswith("https://")


def test_tasks_pass_through_both_workers_and_triggers_through_both_triggerers(stage: Stage) -> None:
    airflow = stage.cluster.airflow

    def at_work() -> set[str]:
        workers = {one for one in WORKERS if "succeeded in" in airflow.process_logs[one].read_text()}
        # A trigger writes into a log file of its task that has the number of the triggerer's job in its name.
        return workers | {file.name.split(".")[-2] for file in airflow.log_folder.rglob("*.trigger.*.log")}

    for scenario in SHARED:
        verdict = stage.play(scenario, [])
        assert (verdict.wrong, verdict.early, verdict.late) == ([], [], [])
        # A triggerer that is late to say that it lives loses its triggers to the other, which asks once more.
        assert max(verdict.again.values(), default=0) <= 1
        if len(at_work()) == len(WORKERS) + len(TRIGGERERS):
            return
    pytest.fail(f"After {len(SHARED)} scenarios only these have worked: {at_work()}")
