# SPDX-License-Identifier: Apache-2.0
"""The first scenario: one DAG submits a refresh, waits for it without a worker, and goes on."""

from __future__ import annotations

from rich.console import Console

from dev.demo.service import Commands
from dev.demo.watch import report_failure, show_log, table_of, watch
from dev.local_airflow import DagRun, LocalAirflow

DAG_ID = "alchemy_refresh_after_reveal"


def commands(outcome: str) -> Commands:
    """
    Give what the emulator is told first.

    :param outcome: How the emulated refresh ends.
    :return: Its commands.
    """
    return {"default_job": {"queued_seconds": 4.0, "running_seconds": 20.0, "outcome": outcome}}


def play(console: Console, airflow: LocalAirflow) -> bool:
    """
    Run the DAG and show it.

    :param console: The terminal.
    :param airflow: The Airflow.
    :return: Whether all is well: the run succeeded and its sensor was really deferred.
    """
    run = airflow.trigger_dag(DAG_ID)
    console.print(f"DAG [bold]{DAG_ID}[/] runs: submit a refresh, wait for it, publish.")
    deferred = watch(console, airflow, run)
    succeeded = run.state() == "success"
    show_log(console, airflow, run, "wait" if succeeded else _failed_task(airflow, run))
    if not succeeded:
        report_failure(console, airflow, run)
        return False
    results = {task_id: airflow.xcom(run, task_id) for task_id in ("submit", "wait")}
    console.print(table_of("XCom of the wait", results["wait"]))
    units = sum(result["compute_units"] for result in results.values())
    polls = sum(result["polls"] for result in results.values())
    console.print(f"Spent: [bold]{units:,} compute units[/] in {polls} calls of reingestContract.")
    console.print(f"Next task got: {airflow.xcom(run, 'publish')}", highlight=False, soft_wrap=True)
    if not deferred:
        console.print("[red]The sensor was not deferred, which is what this demonstration is about.[/]")
    return deferred


def _failed_task(airflow: LocalAirflow, run: DagRun) -> str:
    return next((task.task_id for task in airflow.task_instances(run) if task.state == "failed"), "wait")
