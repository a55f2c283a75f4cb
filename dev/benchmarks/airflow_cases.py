# SPDX-License-Identifier: Apache-2.0
"""The DAGs whose runs are compared, what each has to give, and one measured run of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dev.benchmarks.airflow_cpu import cpu_seconds, of_airflow, used
from dev.benchmarks.airflow_stage import Stage, begin_jobs
from dev.benchmarks.errors import BenchmarkError
from dev.local_airflow import DagRun
from dev.local_airflow.rest import NotFoundError
from dev.local_airflow.runs import TaskInstance

LOOK_SECONDS = 1.0
"""Between two questions whether a run has ended, which take CPU time of the API server."""
REST_SECONDS = 10.0
"""After a run, until what it leaves to do (callbacks, triggers to forget) is done, and counted."""


@dataclass(frozen=True)
class Case:
    """
    A DAG.

    :param name: What waits, for the table.
    :param dag_id: The DAG; with ``_warm_up`` behind it, one that loads what it needs.
    :param job_seconds: How long what it waits for takes.
    :param is_right: Whether a task's XCom is what it has to be; told the task's number and the value.
    :param calls: Counts the calls that the service got since the jobs began.
    """

    name: str
    dag_id: str
    job_seconds: float
    is_right: Callable[[int, Any], bool]
    calls: Callable[[Stage], int]


@dataclass(frozen=True)
class Measurement:
    """
    One run.

    :param dag_id: The DAG.
    :param tasks: How many tasks it has.
    :param succeeded: How many of them ended in success.
    :param right: How many of them had the right XCom.
    :param wall_seconds: From the run's start to its end.
    :param worker_starts: Processes that were started for its tasks.
    :param calls: Calls that the service got.
    :param api_calls: Calls of workers and triggerers that Airflow's API server got.
    :param measured_seconds: From before the run until ``REST_SECONDS`` after it.
    :param cpu_seconds: CPU time by component in these.
    """

    dag_id: str
    tasks: int
    succeeded: int
    right: int
    wall_seconds: float
    worker_starts: int
    calls: int
    api_calls: int
    measured_seconds: float
    cpu_seconds: dict[str, float]

    @property
    def airflow_cpu_seconds(self) -> float:
        """CPU time of all of Airflow's processes."""
        return of_airflow(self.cpu_seconds)


def _is_batch_refreshed(_number: int, value: Any) -> bool:
    counts: dict[str, int] = (value or {}).get("counts", {})
    return bool(counts) and counts["finished"] == counts["contracts"]


def _is_refreshed(number: int, value: Any) -> bool:
    fields = value or {}
    return (fields.get("state"), fields.get("contract_address")) == ("finished", f"0x{number + 1:040x}")


HTTP_SENSORS = Case(
    name="HttpSensor, deferrable",
    dag_id="http_sensors",
    job_seconds=20.0,
    # It gives no value.
    is_right=lambda _, value: value is None,
    calls=lambda stage: stage.service.counters("http")["requests"],
)
REINGEST_DEFERRED = Case(
    name="ReingestSensor, deferrable",
    dag_id="reingest_deferred",
    job_seconds=20.0,
    is_right=_is_refreshed,
    calls=lambda stage: stage.emulator.count(),
)
REINGEST_MAPPED = Case(
    name="ReingestContractOperator, mapped, deferrable",
    dag_id="reingest_mapped",
    job_seconds=20.0,
    is_right=_is_refreshed,
    calls=lambda stage: stage.emulator.count(),
)
REINGEST_SENSORS = Case(
    name="ReingestSensor, all in the triggerer",
    dag_id="reingest_sensors",
    job_seconds=20.0,
    is_right=_is_refreshed,
    calls=lambda stage: stage.emulator.count(),
)
REINGEST_BATCH = Case(
    name="ReingestContractsOperator",
    dag_id="reingest_batch",
    job_seconds=60.0,
    is_right=_is_batch_refreshed,
    calls=lambda stage: stage.emulator.count(),
)


def warm_up(stage: Stage, case: Case) -> None:
    """
    Run a case's DAG of one task, so that no process has to load anything later.

    :param stage: What runs.
    :param case: The case.
    :raises BenchmarkError: The run failed.
    """
    begin_jobs(stage, seconds=6.0)
    _run(stage, f"{case.dag_id}_warm_up")
    time.sleep(REST_SECONDS)


def measure_rest(stage: Stage, seconds: float) -> float:
    """
    Measure what Airflow takes when it has nothing to do.

    :param stage: What runs.
    :param seconds: How long.
    :return: CPU seconds of Airflow in a second.
    """
    before = cpu_seconds(stage.airflow)
    time.sleep(seconds)
    return of_airflow(used(before, cpu_seconds(stage.airflow))) / seconds


def measure_run(stage: Stage, case: Case) -> Measurement:
    """
    Run a case's DAG once.

    :param stage: What runs.
    :param case: The case.
    :return: What was measured.
    :raises BenchmarkError: The run failed.
    """
    begin_jobs(stage, case.job_seconds)
    began, before, api_calls = time.monotonic(), cpu_seconds(stage.airflow), _api_calls(stage)
    run = _run(stage, case.dag_id)
    time.sleep(REST_SECONDS)
    spent, seconds = used(before, cpu_seconds(stage.airflow)), time.monotonic() - began
    calls, api_calls = case.calls(stage), _api_calls(stage) - api_calls
    instances = run.task_instances()
    return Measurement(
        dag_id=case.dag_id,
        tasks=len(instances),
        succeeded=sum(instance.state == "success" for instance in instances),
        right=sum(case.is_right(_number(task), _value(run, task)) for task in instances),
        wall_seconds=run.duration_seconds(),
        worker_starts=run.worker_starts(),
        calls=calls,
        api_calls=api_calls,
        measured_seconds=seconds,
        cpu_seconds=spent,
    )


def _run(stage: Stage, dag_id: str) -> DagRun:
    run = stage.airflow.trigger_dag(dag_id)
    state = run.wait(interval_seconds=LOOK_SECONDS)
    if state != "success":
        failed = ", ".join(task.task_id for task in run.task_instances() if task.state != "success")
        msg = f"The run of {dag_id} ended as {state!r}, for {failed}."
        raise BenchmarkError(msg)
    return run


def _api_calls(stage: Stage) -> int:
    # The API server's log of its requests: those of tasks and triggers come through Airflow's Execution API.
    with (stage.airflow.home / "process_logs" / "api-server.log").open(encoding="utf-8", errors="replace") as log:
        return sum("/execution/" in line for line in log)


def _number(task: TaskInstance) -> int:
    if task.map_index >= 0:
        return task.map_index
    digits = task.task_id.rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def _value(run: DagRun, task: TaskInstance) -> Any:
    try:
        return run.xcom(task.task_id, task.map_index, "return_value")
    except NotFoundError:
        return None
