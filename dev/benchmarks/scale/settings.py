# SPDX-License-Identifier: Apache-2.0
"""
How much there is to do, and what Airflow is told for it.

Everything else is Airflow's default: what has to be set for many waits is what this benchmark is to show.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.processes import PROJECT
from dev.benchmarks.scale.plan import DAG_SIZE_VARIABLE, WAITS_VARIABLE, WORKER_WAITS_VARIABLE, XCOMS_VARIABLE

AIRFLOWS_OWN = {
    # The cluster reacts faster than Airflow does by default, for tests that wait for it.
    "TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "15",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "300",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "600",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "120",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}
BUSY_API_SERVER = {
    # The first call of a task's process is not repeated: where the API server is later than this, the task fails.
    "WORKERS__EXECUTION_API_TIMEOUT": "60",
}
DAG_FILES_STAY = {
    # Nobody edits the DAG files here, and to parse 250 DAGs twice a minute takes the cores from what is measured.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
    "CORE__DAGBAG_IMPORT_TIMEOUT": "120",
}


@dataclass(frozen=True)
class Scenario:
    """
    What is measured.

    :param waits: Waits that begin and end in the triggerers.
    :param worker_waits: Waits that workers defer and end; each takes some two seconds of CPU time.
    :param dag_size: Tasks of a DAG of the former.
    :param job_seconds: How long a refresh takes at least: longer than all waits take to begin.
    :param spread_seconds: How much longer one takes at most.
    :param capacity: ``[triggerer] capacity``: room for all waits in one triggerer, should the other one die.
    :param health_seconds: How long a triggerer may be silent before the other one takes its triggers: the first XCom
        of a triggerer loads Airflow's API, for which a busy machine takes longer than the default of 30.
    :param logging_level: ``[logging] logging_level``. At INFO, many triggers that start at once can stop Airflow 3.3's
        triggerer for ever: their lines fill a socket that its supervisor does not read while it hands over more
        triggers, each with its whole DAG, than the other socket takes.
    :param open_files: ``ulimit -n`` of every process.
    :param xcoms: Whether the former push their results, as they do by default. Each XCom is a message to the
        triggerer's supervisor, which reads one of them between two looks at all of its triggers: with 2,500 of them
        two XComs a wait keep it from ending more than a few waits a second.
    :param rest_seconds: For how long Airflow is looked at before there is anything to do.
    :param kill: Whether one of the two triggerers is killed when all waits are under way, and stays away.
    :param limit_seconds: After which the run is over, whatever has not ended.
    """

    waits: int = 5_000
    worker_waits: int = 60
    dag_size: int = 20
    job_seconds: float = 360.0
    spread_seconds: float = 300.0
    capacity: int = 6_000
    health_seconds: int = 120
    logging_level: str = "WARNING"
    open_files: int = 8_192
    xcoms: bool = False
    rest_seconds: float = 20.0
    kill: bool = False
    limit_seconds: float = 2_400.0

    @property
    def name(self) -> str:
        """What its picture is called."""
        return f"scale-{self.waits}{'-xcoms' if self.xcoms else ''}{'-kill' if self.kill else ''}"


def airflow_environment(scenario: Scenario, outer: Mapping[str, str]) -> dict[str, str]:
    """
    Write what Airflow's processes get in their environment.

    :param scenario: How much there is to do.
    :param outer: This process's environment.
    :return: Variables.
    """
    settings = {
        **AIRFLOWS_OWN,
        **BUSY_API_SERVER,
        **DAG_FILES_STAY,
        "LOGGING__LOGGING_LEVEL": scenario.logging_level,
        "TRIGGERER__CAPACITY": str(scenario.capacity),
        # The one is about its whole process, the other about the event loop in it.
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(scenario.health_seconds),
        "TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": str(scenario.health_seconds),
    }
    return {
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        # The DAG files import the plan.
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [outer.get("PYTHONPATH")])]),
        WAITS_VARIABLE: str(scenario.waits),
        DAG_SIZE_VARIABLE: str(scenario.dag_size),
        WORKER_WAITS_VARIABLE: str(scenario.worker_waits),
        XCOMS_VARIABLE: str(int(scenario.xcoms)),
    }


@contextmanager
def open_files_limit(limit: int) -> Iterator[None]:
    """
    Let processes that are started meanwhile open so many files, as ``ulimit -n`` of a service would.

    :param limit: How many.
    :return: Nothing; this process has its old limit after the ``with`` block.
    :raises BenchmarkError: The system allows this user fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and limit > hard:
        msg = f"{limit:,} open files are needed, and the hard limit is {hard:,}: raise it (ulimit -Hn)."
        raise BenchmarkError(msg)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
