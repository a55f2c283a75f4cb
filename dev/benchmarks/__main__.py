# SPDX-License-Identifier: Apache-2.0
"""
All benchmarks in turn: ``python -m dev.benchmarks``.

What they have measured is written after each one, so that the failure of a later one takes nothing away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.benchmarks import adaptive_polling, airflow_tasks, budget, chain, dag_files, polls, shared_budget, tokens
from dev.benchmarks.command_line import run_command, show, tell_progress, write_json
from dev.benchmarks.machine import Machine, this_machine
from dev.benchmarks.scale.measuring import measure as measure_scale
from dev.benchmarks.scale.tables import tables as scale_tables
from dev.benchmarks.tables import Table

Figures = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """
    One of them.

    :param measure: Measures, and gives JSON values.
    :param tables: Writes them as tables.
    """

    measure: Callable[[], Figures]
    tables: Callable[[Figures], Sequence[Table]]


def _measure_airflow_tasks() -> Figures:
    return airflow_tasks.measure(airflow_tasks.Scenario(rounds=2, collections=1000))


def _airflow_tasks_tables(figures: Figures) -> Sequence[Table]:
    return [airflow_tasks.table(airflow_tasks.Scenario(**figures["scenario"]), figures)]


BENCHMARKS = {
    "adaptive_polling": Benchmark(adaptive_polling.measure, adaptive_polling.tables),
    "polls": Benchmark(polls.measure, polls.tables),
    "budget": Benchmark(budget.measure, budget.tables),
    "shared_budget": Benchmark(shared_budget.measure, shared_budget.tables),
    "tokens": Benchmark(tokens.measure, tokens.tables),
    "chain": Benchmark(chain.measure, chain.tables),
    "dag_files": Benchmark(dag_files.measure, dag_files.tables),
    "airflow_tasks": Benchmark(_measure_airflow_tasks, _airflow_tasks_tables),
    "scale": Benchmark(measure_scale, scale_tables),
}
"""All of them, in the order in which they run."""
RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the benchmarks, print their tables, and write ``results.json`` and ``results.md``.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks",
        description="Run all benchmarks in turn, and write their figures and tables.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="which to run")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the results go")
    arguments = parser.parse_args(argv)
    return run_command(lambda: _run_all(arguments.only, arguments.folder))


def _run_all(names: Sequence[str], folder: Path) -> None:
    machine = this_machine()
    figures: Figures = {"machine": asdict(machine)}
    tables: list[Table] = []
    for name in names:
        tell_progress(f"— {name} —")
        benchmark = BENCHMARKS[name]
        figures[name] = benchmark.measure()
        tables += benchmark.tables(figures[name])
        write_json(folder / "results.json", figures)
        (folder / "results.md").write_text(_page(tables, machine), encoding="utf-8")
    show(tables, machine)


def _page(tables: Sequence[Table], machine: Machine) -> str:
    return "\n".join(["## Benchmarks", "", f"Measured on: {machine.sentence}", "", *map(Table.markdown, tables)])


if __name__ == "__main__":
    sys.exit(main())
