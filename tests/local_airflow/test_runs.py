# SPDX-License-Identifier: Apache-2.0

"""A run of a DAG on real processes, and what can be read about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from dev.local_airflow import DagRun, LocalAirflow, LocalAirflowError, waiting
from dev.local_airflow.processes import HAS_PROC
from dev.local_airflow.rest import REQUEST_SECONDS
from dev.local_airflow.waiting import wait_until

pytestmark = pytest.mark.e2e

EndWait = Callable[[DagRun], None]


def test_every_component_runs_and_the_web_page_opens_without_a_login(airflow: LocalAirflow) -> None:
    assert set(airflow.processes) == {"api-server", "scheduler", "dag-processor", "triggerer"}
    page = requests.get(airflow.url, timeout=REQUEST_SECONDS)
    assert page.ok
    assert "login" not in page.url
    logged_in = requests.get(f"{airflow.url}/auth/token/login", timeout=REQUEST_SECONDS)
    assert logged_in.url.rstrip("/") == airflow.url


def test_a_run_succeeds_and_its_values_come_back_as_they_were_returned(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("plain", conf={"address": "0x1"})
    assert run.wait() == "success"
    assert airflow.xcom(run, "produce") == {
        "number": 1,
        "list": [1, "two", None],
        "conf": {"address": "0x1"},
        "host": "somewhere.example",
    }
    assert [airflow.xcom(run, "square", map_index=index) for index in range(3)] == [1, 4, 9]
    with pytest.raises(LocalAirflowError, match="404"):
        airflow.xcom(run, "end")


def test_task_instances_tell_states_tries_times_and_names_of_mapped_tasks(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("plain")
    run.wait()
    instances = airflow.task_instances(run)
    assert [(ti.task_id, ti.map_index) for ti in instances] == [
        ("end", -1),
        ("produce", -1),
        ("square", 0),
        ("square", 1),
        ("square", 2),
    ]
    assert [ti.rendered_map_index for ti in instances[2:]] == ["number 1", "number 2", "number 3"]
    for instance in instances:
        assert instance.state == "success"
        assert instance.try_number == 1
        assert instance.start_date is not None
        assert instance.end_date is not None
        assert instance.start_date <= instance.end_date


def test_a_run_tells_its_duration_and_how_many_processes_its_tasks_took(
    airflow: LocalAirflow, end_wait: EndWait
) -> None:
    plain, waiting = airflow.trigger_dag("plain"), airflow.trigger_dag("waiting")
    with pytest.raises(LocalAirflowError, match="has not ended"):
        waiting.duration_seconds()
    end_wait(waiting)
    assert plain.wait() == waiting.wait() == "success"
    (task,) = waiting.task_instances()
    assert task.start_date
    assert task.end_date
    assert waiting.duration_seconds() >= (task.end_date - task.start_date).total_seconds() > 0
    # The scheduler itself ends a task that does nothing; a deferred one is started twice.
    assert plain.worker_starts() == 4
    assert waiting.worker_starts() == 2


def test_the_workers_of_the_scheduler_are_in_its_process_tree(airflow: LocalAirflow) -> None:
    if not HAS_PROC:
        pytest.skip("looks at processes through /proc")
    tree = airflow.process_tree("scheduler")
    assert airflow.processes["scheduler"] in tree
    assert len(tree) > 8
    assert not tree & airflow.process_tree("triggerer")


def test_the_log_of_a_task_is_read_as_lines_of_text(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("plain")
    run.wait()
    lines = airflow.task_log(run, "produce").splitlines()
    assert any("a line from the task" in line for line in lines)
    assert list(airflow.log_folder.rglob("*.log"))
    assert airflow.database_path.exists()
    assert all(file.stat().st_size for file in airflow.process_logs.values())


def test_a_failing_task_fails_the_run_and_its_log_has_the_exception(airflow: LocalAirflow) -> None:
    run = airflow.trigger_dag("failing")
    assert run.wait() == "failed"
    assert "ValueError: this task always fails" in airflow.task_log(run, "fail")


def test_a_run_that_gets_nowhere_is_reported_with_its_task_states(
    airflow: LocalAirflow, end_wait: EndWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = airflow.trigger_dag("waiting")
    with monkeypatch.context() as impatient:
        impatient.setattr(waiting, "STILL_SECONDS", 0)
        with pytest.raises(LocalAirflowError, match=r"did not end; wait\[-1\]: .*nothing moved for 0 seconds"):
            run.wait()
    end_wait(run)
    assert run.wait() == "success"


def test_a_dag_that_cannot_be_imported_is_reported_with_its_traceback(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = airflow.dags_folder / "broken.py"
    broken.write_text("from airflow.sdk import DAG\nimport no_such_module\n")
    try:
        wait_until(airflow.import_errors, failure=lambda: "no import error was reported")
        monkeypatch.setattr(waiting, "STILL_SECONDS", 0)
        with pytest.raises(LocalAirflowError, match=r"'broken' did not become known[\s\S]*no_such_module"):
            airflow.trigger_dag("broken")
    finally:
        monkeypatch.undo()
        broken.unlink()
    wait_until(lambda: not airflow.import_errors(), failure=lambda: "the import error stayed")
