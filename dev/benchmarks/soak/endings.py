# SPDX-License-Identifier: Apache-2.0
"""Whether a wait of a soak ended as it had to: with the right state, result and reason, and not too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dev.benchmarks.soak.kinds import TASK, Ending
from dev.benchmarks.soak.plans import Plan
from dev.local_airflow import DagRun
from dev.local_airflow.rest import NotFoundError


def trouble_with(run: DagRun, state: str, ending: Ending, plan: Plan, started: float) -> str | None:
    """
    Check the end of a wait.

    :param run: Its run.
    :param state: The run's state, a final one.
    :param ending: How its kind ends.
    :param plan: How it was prepared.
    :param started: When it was started, in seconds since the epoch.
    :return: What is wrong, as a sentence; None where all is right.
    :raises LocalAirflowError: The API server gives no good answer.
    """
    if state != ending.state:
        return f"run {run.run_id} ended as {state!r}, not as {ending.state!r}: {_last_words(run)}"
    (task,) = run.task_instances()
    # One clock: all of it runs on this machine.
    took = task.end_date.timestamp() - started if task.end_date else 0.0
    if took < plan.earliest_seconds:
        return f"run {run.run_id} ended after {took:.1f} s, before the {plan.earliest_seconds:g} s that it had to take."
    if ending.reason and ending.reason not in run.task_log(TASK, -1, task.try_number):
        return f"run {run.run_id} failed for another reason than {ending.reason!r}: {_last_words(run)}"
    result = _result(run) if plan.is_right else None
    if plan.is_right and not _is_right(plan.is_right, result):
        return f"run {run.run_id} returned {result}, which is not what it had to."
    return None


def _result(run: DagRun) -> Any:
    try:
        return run.xcom(TASK, -1, "return_value")
    except NotFoundError:
        # A task that returned nothing.
        return None


def _is_right(check: Callable[[Any], bool], result: Any) -> bool:
    try:
        return check(result)
    except (KeyError, TypeError, AttributeError):
        # A result of another form.
        return False


def _last_words(run: DagRun) -> str:
    lines = [
        line
        for task in run.task_instances()
        for line in run.task_log(task.task_id, task.map_index, max(task.try_number, 1)).splitlines()
        # Groups, and the files in which the log stands.
        if "::" not in line and not line.startswith("/")
    ]
    return lines[-1] if lines else "its log is empty: Airflow gave it up before it began, as the scheduler's log says."
