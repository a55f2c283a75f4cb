# SPDX-License-Identifier: Apache-2.0
"""What SIGKILL of the worker costs: a whole Airflow on PostgreSQL, one task, killed when half of it is answered."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.sides import alchemy_connection
from dev.benchmarks.token_server import ADDRESS, Seen
from dev.benchmarks.token_service import TokenServiceClient
from dev.local_airflow import DagRun, LocalAirflow, LocalAirflowError

DAGS = Path(__file__).parent / "killed" / "dags"
TASK_ID = "refresh"
RUN_SECONDS = 300.0


@dataclass(frozen=True)
class Kill:
    """
    A run whose worker was killed.

    :param is_listed: Whether the collection was listed; else its ids were given.
    :param tokens: Tokens of the collection.
    :param answered_before: How many had had an answer when the worker was killed.
    :param tries: Tries of the task.
    :param counts: The result's counts.
    :param seconds: From the kill until the run had ended.
    :param seen: What the service has seen in both tries.
    """

    is_listed: bool
    tokens: int
    answered_before: int
    tries: int
    counts: dict[str, int]
    seconds: float
    seen: Seen

    @property
    def share_again(self) -> float:
        """Tokens that were asked for again, as a share of all."""
        return self.seen.again / self.tokens

    @property
    def missing(self) -> int:
        """Tokens whose refresh was never asked for."""
        return self.tokens - self.seen.tokens


def measure_kills(service: TokenServiceClient, folder: Path, tokens: int) -> list[Kill]:
    """
    Start an Airflow, and kill the worker of a task that lists a collection, then of one that is given its ids.

    :param service: Whom the tasks ask.
    :param folder: Where the Airflow and its database go.
    :param tokens: How many tokens the collection has.
    :return: What was seen of each.
    :raises BenchmarkError: Airflow could not be started, or a run did not go as it should.
    """
    environment = {
        **alchemy_connection(service.url, service.authority, key=service.key),
        "BENCHMARK_COLLECTION": ADDRESS,
        "BENCHMARK_TOKENS": str(tokens),
    }
    try:
        with LocalAirflow(folder / "airflow", DAGS, database="postgresql", environment=environment) as airflow:
            # The first run of an Airflow is slow, and not what is looked at here.
            service.begin(1)
            airflow.trigger_dag("token_refresh_warm_up").wait()
            return [_kill_in_the_middle(airflow, service, tokens, is_listed=is_listed) for is_listed in (True, False)]
    except LocalAirflowError as error:
        raise BenchmarkError(str(error)) from error


def _kill_in_the_middle(airflow: LocalAirflow, service: TokenServiceClient, tokens: int, *, is_listed: bool) -> Kill:
    service.begin(tokens)
    run = airflow.trigger_dag(f"token_refresh_{'listed' if is_listed else 'given'}")
    service.wait_for_answers(1, RUN_SECONDS)
    # Asked before: meanwhile the task would come to its end.
    worker = worker_of(run, TASK_ID)
    answered = service.wait_for_answers(tokens // 2, RUN_SECONDS)
    os.kill(worker, signal.SIGKILL)
    killed_at = time.monotonic()
    state = run.wait()
    seconds = time.monotonic() - killed_at
    (task,) = airflow.task_instances(run)
    if state != "success" or task.try_number < 2:  # noqa: PLR2004 - the try that was killed, and one more
        msg = f"the killed task ended as {state} in try {task.try_number}: {run.task_log(TASK_ID, -1, task.try_number)}"
        raise BenchmarkError(msg)
    result: dict[str, Any] = airflow.xcom(run, TASK_ID)
    return Kill(is_listed, tokens, answered, task.try_number, result["counts"], seconds, service.seen())


def worker_of(run: DagRun, task_id: str) -> int:
    """
    Find the process that a task runs in: the one that the kernel would kill where memory is short.

    :param run: The task's run.
    :param task_id: The task, which is not mapped.
    :return: The process's number.
    :raises LocalAirflowError: The API server does not know the task.
    :raises BenchmarkError: The task does not run.
    """
    row = run.api.get(f"{run.path}/taskInstances/{task_id}")
    if row["state"] != "running" or not row["pid"]:
        msg = f"the task was to be killed while it runs, and is {row['state']}"
        raise BenchmarkError(msg)
    return int(row["pid"])
