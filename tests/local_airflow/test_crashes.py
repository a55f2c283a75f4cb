# SPDX-License-Identifier: Apache-2.0

"""Components that are killed while they work, and their successors that take the work over."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.local_airflow import DagRun, LocalAirflow, LocalAirflowError, TaskInstance
from dev.local_airflow.processes import identity_of
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    EndWait = Callable[[DagRun], None]

pytestmark = pytest.mark.e2e


def _only_task(airflow: LocalAirflow, run: DagRun, when: Callable[[TaskInstance], bool]) -> TaskInstance:
    def found() -> TaskInstance | None:
        return next(filter(when, airflow.task_instances(run)), None)

    return wait_until(found, moves=airflow.progress, failure=lambda: f"the task stays {airflow.task_instances(run)}")


def test_a_killed_triggerer_leaves_its_trigger_to_the_next_one(
    airflow: LocalAirflow, end_wait: EndWait, record_property: Callable[[str, object], None]
) -> None:
    run = airflow.trigger_dag("waiting")
    before = _only_task(airflow, run, lambda ti: ti.state == "deferred" and ti.triggerer_id is not None)
    old_pid = airflow.processes["triggerer"]

    killed_at = time.monotonic()
    airflow.kill("triggerer", signal.SIGKILL)
    assert "triggerer" not in airflow.processes
    airflow.start("triggerer")
    after = _only_task(airflow, run, lambda ti: ti.triggerer_id not in (None, before.triggerer_id))
    taken_over_seconds = time.monotonic() - killed_at
    record_property("triggerer_taken_over_seconds", round(taken_over_seconds, 2))

    assert after.state == "deferred"
    assert airflow.processes["triggerer"] != old_pid
    end_wait(run)
    assert run.wait() == "success"


def test_a_kill_takes_the_runner_of_the_triggerer_with_it(airflow: LocalAirflow) -> None:
    def tree() -> set[int]:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        if not children.exists():
            pytest.skip("the system does not list children")
        return {int(child) for child in children.read_text().split()}

    pid = airflow.processes["triggerer"]
    runners = wait_until(tree, failure=lambda: "the triggerer has no runner")
    airflow.kill("triggerer")
    assert [identity_of(runner) for runner in runners] == [None] * len(runners)
    airflow.start("triggerer")


def test_a_run_survives_the_killing_of_the_scheduler_and_its_workers(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("lingering")
    _only_task(airflow, run, lambda ti: ti.state == "running")
    airflow.kill("scheduler")
    airflow.start("scheduler")
    assert run.wait() == "success"
    assert airflow.xcom(run, "linger") == "lingered"


def test_a_run_survives_the_killing_of_the_api_server(airflow: LocalAirflow, end_wait: EndWait) -> None:
    run = airflow.trigger_dag("waiting")
    _only_task(airflow, run, lambda ti: ti.state == "deferred")
    airflow.kill("api-server", signal.SIGTERM)
    airflow.start("api-server")
    end_wait(run)
    assert run.wait() == "success"


def test_a_stopped_component_is_still_there_and_can_be_continued(airflow: LocalAirflow) -> None:
    pid = airflow.processes["dag-processor"]
    airflow.kill("dag-processor", signal.SIGSTOP)
    airflow.kill("dag-processor", signal.SIGCONT)
    assert airflow.processes["dag-processor"] == pid


def test_what_cannot_be_killed_or_started_is_refused_with_a_sentence(airflow: LocalAirflow) -> None:
    with pytest.raises(LocalAirflowError, match="The triggerer runs already"):
        airflow.start("triggerer")
    with pytest.raises(LocalAirflowError, match="There is no component 'flower'"):
        airflow.start("flower")
    with pytest.raises(LocalAirflowError, match="The flower does not run"):
        airflow.kill("flower")
