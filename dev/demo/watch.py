# SPDX-License-Identifier: Apache-2.0
"""The terminal's view of a run: what each task does while it does it, and what came out of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dev.local_airflow import DagRun, LocalAirflow, LocalAirflowError, TaskInstance
from dev.local_airflow.rest import ApiServerUnreachableError
from dev.local_airflow.runs import FINAL_STATES
from dev.local_airflow.waiting import wait_until

LOOK_SECONDS = 0.5
STILL_SECONDS = 12 * 3600.0
"""How long a run may log nothing: a refresh of the live API may stand in its queue for hours."""
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed"})
WHAT_IT_MEANS = {
    "queued": "waits for a worker",
    "running": "runs in a worker",
    "deferred": "waits in the triggerer; no worker is taken",
}
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "deferred": "magenta", "running": "cyan"}
OUR_LINE = re.compile(r"^(?P<time>\S+) \w+ (?P<text>(Collection|collection) 0x.*?)(?= [a-z_]+=)")


def watch(console: Console, airflow: LocalAirflow, run: DagRun) -> bool:
    """
    Show a run until it has ended.

    :param console: The terminal.
    :param airflow: The Airflow.
    :param run: The run.
    :return: Whether a task was seen deferred.
    :raises LocalAirflowError: It does not get on, or a component ended by itself.
    """
    columns = (TextColumn("  {task.description:<10}"), BarColumn(30), TextColumn("{task.fields[note]}"))
    seen: dict[str, str | None] = {}
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        rows: dict[str, TaskID] = {}

        def has_ended() -> bool:
            # The API server may be too busy for an answer: the next look gets one.
            with suppress(ApiServerUnreachableError):
                is_over = run.state() in FINAL_STATES
                for instance in airflow.task_instances(run):
                    if seen.get(instance.task_id, "") != instance.state:
                        seen[instance.task_id] = instance.state
                        _say_change(console, instance)
                    _show(progress, rows, instance, airflow, run)
                return is_over
            return False

        wait_until(
            has_ended,
            moves=airflow.progress,
            failure=lambda: "The run does not get on",
            interval_seconds=LOOK_SECONDS,
            still_seconds=STILL_SECONDS,
        )
    return _was_deferred(airflow, run)


def _say_change(console: Console, instance: TaskInstance) -> None:
    if instance.state in {None, "scheduled"}:
        return
    colour = COLOURS.get(str(instance.state), "white")
    meaning = WHAT_IT_MEANS.get(str(instance.state), "")
    clock = time.strftime("%H:%M:%S")
    console.print(f"  {clock}  {instance.task_id:<10}[{colour}]{instance.state}[/] [dim]{meaning}[/]")


def _show(
    progress: Progress, rows: dict[str, TaskID], instance: TaskInstance, airflow: LocalAirflow, run: DagRun
) -> None:
    if instance.task_id not in rows:
        rows[instance.task_id] = progress.add_task(instance.task_id, total=100, note="")
    done = 100.0 if instance.state in ENDED else 0.0
    note = instance.state or ""
    if instance.state == "deferred":
        lines = list(our_lines(_log(airflow, run, instance.task_id)))
        found = re.search(r"in_progress, (\d+)", lines[-1]) if lines else None
        done = float(found.group(1)) if found else 0.0
        note = lines[-1].rsplit(": ", 1)[-1] if lines else note
    progress.update(rows[instance.task_id], completed=done, note=note)


def _was_deferred(airflow: LocalAirflow, run: DagRun) -> bool:
    return any("DEFERRED" in _log(airflow, run, task.task_id) for task in airflow.task_instances(run))


def show_log(console: Console, airflow: LocalAirflow, run: DagRun, task_id: str) -> None:
    """
    Show this provider's lines of a task's log.

    :param console: The terminal.
    :param airflow: The Airflow.
    :param run: The run.
    :param task_id: The task.
    """
    console.print(f"\nLog of {task_id}:")
    for line in our_lines(_log(airflow, run, task_id)):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _log(airflow: LocalAirflow, run: DagRun, task_id: str) -> str:
    try:
        return airflow.task_log(run, task_id)
    except LocalAirflowError:
        return ""


def our_lines(log: str) -> Iterator[str]:
    """
    Pick this provider's lines out of a task's log.

    :param log: The log.
    :return: Time and text of each line.
    """
    for line in log.splitlines():
        if found := OUR_LINE.match(line):
            yield f"{found['time'][11:19]}  {found['text']}"


def report_failure(console: Console, airflow: LocalAirflow, run: DagRun) -> None:
    """
    Show why a run failed.

    :param console: The terminal.
    :param airflow: The Airflow.
    :param run: The run, ended.
    """
    for instance in airflow.task_instances(run):
        if instance.state == "failed":
            lines = [line for line in _log(airflow, run, instance.task_id).splitlines() if "Error: " in line]
            reason = lines[-1] if lines else "its log gives no reason"
            console.print(Panel(reason, title=f"Task {instance.task_id} failed", style="red"), highlight=False)


def table_of(title: str, values: dict[str, Any]) -> Table:
    """
    Show a dict.

    :param title: What it is.
    :param values: The dict.
    :return: The table.
    """
    table = Table(title, "value")
    for name, value in values.items():
        table.add_row(name, str(value))
    return table
