# SPDX-License-Identifier: Apache-2.0
"""
What a wait costs a whole Airflow: tasks that a worker defers and ends, and tasks that only the triggerer sees.

A trigger's own polls are the small part (see ``polls``): a deferred task starts two worker processes, and each of them
loads Airflow and the DAG. All runs are of one Airflow on PostgreSQL, one after another, with a rest in between.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from dev.benchmarks.airflow_cases import (
    HTTP_SENSORS,
    REINGEST_BATCH,
    REINGEST_DEFERRED,
    REINGEST_MAPPED,
    REINGEST_SENSORS,
    Case,
    Measurement,
    measure_rest,
    measure_run,
    warm_up,
)
from dev.benchmarks.airflow_stage import PARALLELISM, TRIGGERERS, open_stage
from dev.benchmarks.command_line import run_benchmark, tell_progress
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.machine import version_of
from dev.benchmarks.tables import Table, spread
from dev.local_airflow import LocalAirflowError

REST_SECONDS = 30.0
KINDS = {
    "API server": ("api-server",),
    "scheduler and workers": ("scheduler",),
    "DAG processor": ("dag-processor",),
    "triggerers": tuple(f"triggerer-{number}" for number in range(1, TRIGGERERS + 1)),
    "PostgreSQL": ("postgresql",),
}
"""What processes are counted together: workers are children of the scheduler."""


@dataclass(frozen=True)
class Scenario:
    """
    What is compared.

    :param tasks: Tasks of each DAG of sensors.
    :param rounds: How often each DAG is run.
    :param collections: Collections of the one task of the batch's DAG; 0: it is not run.
    """

    tasks: int = 100
    rounds: int = 1
    collections: int = 0

    @property
    def cases(self) -> tuple[Case, ...]:
        """The DAGs, in turn."""
        return (
            HTTP_SENSORS,
            REINGEST_DEFERRED,
            REINGEST_MAPPED,
            REINGEST_SENSORS,
            *((REINGEST_BATCH,) if self.collections else ()),
        )


def measure(scenario: Scenario) -> dict[str, Any]:
    """
    Run all DAGs in turn, round after round, in one Airflow.

    :param scenario: The scenario.
    :return: Values for JSON: ``scenario``, ``versions``, ``cpu_seconds_a_second_at_rest`` and ``measurements``.
    :raises BenchmarkError: A run failed, or Airflow could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-tasks-") as name:
        try:
            rest, measurements = _measure(scenario, Path(name))
        except LocalAirflowError as error:
            raise BenchmarkError(str(error)) from error
    distributions = ("apache-airflow", "apache-airflow-providers-http", "airflow-provider-alchemy")
    return {
        "scenario": asdict(scenario),
        "versions": {distribution: version_of(distribution) for distribution in distributions},
        "cpu_seconds_a_second_at_rest": rest,
        "measurements": [asdict(one) for one in measurements],
    }


def _measure(scenario: Scenario, folder: Path) -> tuple[float, list[Measurement]]:
    tell_progress("Starting PostgreSQL and Airflow …")
    with open_stage(folder, tasks=scenario.tasks, collections=scenario.collections) as stage:
        for case in scenario.cases:
            tell_progress(f"Warming up for {case.name} …")
            warm_up(stage, case)
        rest = measure_rest(stage, REST_SECONDS)
        measurements = []
        for _ in range(scenario.rounds):
            for case in scenario.cases:
                tell_progress(f"Running {case.dag_id} …")
                measurements.append(measure_run(stage, case))
        return rest, measurements


def table(scenario: Scenario, figures: dict[str, Any]) -> Table:
    """
    Write what was measured as a table: a row for each DAG.

    :param scenario: What was compared.
    :param figures: What :func:`measure` gave.
    :return: The table.
    """
    by_case = {
        case: [Measurement(**one) for one in figures["measurements"] if one["dag_id"] == case.dag_id]
        for case in scenario.cases
    }
    columns = (
        "what waits",
        "tasks",
        "ended right",
        "waits",
        "polls",
        "wall s",
        "worker starts",
        "API calls",
        "CPU s of Airflow",
        "at rest",
        "ms a wait",
        *KINDS,
    )
    rest = figures["cpu_seconds_a_second_at_rest"]
    notes = [
        "CPU seconds are those of all processes, tasks and triggers included; PostgreSQL is not part of Airflow's.",
        f"Airflow at rest takes {rest:.3f} of them a second, which are in these figures; what is left is shared out.",
        f"LocalExecutor with {PARALLELISM} workers; Airflow's own intervals, {TRIGGERERS} triggerers.",
        "API calls are those of workers and triggerers to Airflow's API server.",
        *_comparison(by_case),
    ]
    if scenario.rounds > 1:
        notes.insert(0, f"Median of {scenario.rounds} runs, with the lowest and the highest.")
    jobs = f"{scenario.tasks} tasks that wait 20 s each, polled every 5 s"
    batch = f", and one that waits for {scenario.collections:,} contracts of 60 s, polled every 30 s"
    title = f"{jobs}{batch if scenario.collections else ''}; all in one Airflow on PostgreSQL, over TLS"
    rows = [_row(case, _waits(case, scenario), runs, rest) for case, runs in by_case.items()]
    return Table(title, columns, rows, notes)


def _waits(case: Case, scenario: Scenario) -> int:
    return scenario.collections if case is REINGEST_BATCH else scenario.tasks


def _row(case: Case, waits: int, runs: Sequence[Measurement], rest: float) -> tuple[str, ...]:
    at_rest = [rest * run.measured_seconds for run in runs]
    shares = [1000 * (run.airflow_cpu_seconds - idle) / waits for run, idle in zip(runs, at_rest, strict=True)]
    return (
        case.name,
        f"{runs[0].tasks}",
        spread([min(run.succeeded, run.right) for run in runs]),
        f"{waits:,}",
        spread([run.calls for run in runs]),
        spread([run.wall_seconds for run in runs]),
        spread([run.worker_starts for run in runs]),
        spread([run.api_calls for run in runs]),
        spread([run.airflow_cpu_seconds for run in runs], 1),
        spread(at_rest, 1),
        spread(shares),
        *(spread([sum(map(run.cpu_seconds.__getitem__, names)) for run in runs], 1) for names in KINDS.values()),
    )


def _comparison(by_case: Mapping[Case, Sequence[Measurement]]) -> list[str]:
    spent = {case: median(run.airflow_cpu_seconds for run in runs) for case, runs in by_case.items()}
    ours = (REINGEST_DEFERRED, REINGEST_MAPPED, REINGEST_SENSORS)
    return [f"{case.name}: {spent[case] / spent[HTTP_SENSORS]:.2f} times {HTTP_SENSORS.name}." for case in ours]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print a table.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    default = Scenario()
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.airflow_tasks",
        description="Compare what deferred tasks cost a whole Airflow.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--tasks", type=int, default=default.tasks, help="tasks of each DAG of sensors")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="how often each DAG is run")
    parser.add_argument(
        "--batch", type=int, nargs="?", const=1_000, default=0, metavar="COLLECTIONS", help="run the batch's DAG too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    arguments = parser.parse_args(argv)
    scenario = Scenario(arguments.tasks, arguments.rounds, arguments.batch)
    return run_benchmark(
        "airflow_tasks", lambda: measure(scenario), lambda figures: [table(scenario, figures)], arguments.json
    )


if __name__ == "__main__":
    sys.exit(main())
