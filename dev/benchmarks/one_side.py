# SPDX-License-Identifier: Apache-2.0
"""Starting the process of one side's waits, seen from the benchmark that compares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dev.benchmarks.processes import child, clean_environment
from dev.benchmarks.waiting_process import Outcome, Waits

START_SECONDS = 120.0


def run_one_side(
    waits: Waits,
    *,
    connection: Mapping[str, str],
    folder: Path,
    within_seconds: float,
    begin: Callable[[], object] = lambda: None,
) -> Outcome:
    """
    Run one side's waits in a fresh process, in an Airflow home of their own.

    :param waits: What to wait for.
    :param connection: The environment with which it finds the server.
    :param folder: Where its home and its logs go.
    :param within_seconds: How long the waits may take.
    :param begin: Called after the warm-up, just before the waits begin.
    :return: What the process has seen.
    :raises BenchmarkError: It ended too early, or too late.
    """
    home = folder / f"airflow-{waits.side}"
    home.mkdir(exist_ok=True)
    environment = clean_environment(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
    )
    arguments = {
        "--side": waits.side,
        "--waits": waits.waits,
        "--interval": waits.interval,
        "--starts-per-second": waits.starts_per_second,
        "--warm-up-waits": waits.warm_up_waits,
        "--log": home / "triggers.log",
    }
    command_line = [str(part) for pair in arguments.items() for part in pair]
    with child(
        "dev.benchmarks.waiting_process", *command_line, folder=folder, environment={**environment, **connection}
    ) as process:
        process.hear(within_seconds=START_SECONDS)
        begin()
        process.tell({"begin": True})
        outcome: dict[str, Any] = process.hear(within_seconds=within_seconds)
    return Outcome(**outcome)
