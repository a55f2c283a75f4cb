# SPDX-License-Identifier: Apache-2.0
"""
What a DAG file costs the processes that read it: importing, building tasks, and their size in the metadata database.

Each worker process reads its file, twice for a deferred task, and the DAG processor reads all of them again and again.
Each side is measured in fresh interpreters, after Airflow's SDK and common-compat are loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from dev.benchmarks.command_line import run_benchmark
from dev.benchmarks.tables import Table, spread

TASKS = 1_000
SIDES = ("HttpSensor and HttpOperator", "this package's operators and sensors")
HTTP, OURS = SIDES

_LOADED = """
import json, time
import airflow.sdk
from airflow.sdk import DAG
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator, conf
with DAG("first", schedule=None):
    BaseSensorOperator(task_id="task")
began = time.process_time()
"""
_IMPORTS = {
    HTTP: """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
def build(number):
    HttpSensor(task_id=f"wait_{number}", endpoint=f"jobs/{number:040x}", poke_interval=5, deferrable=True)
""",
    OURS: """
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
def build(number):
    ReingestSensor(task_id=f"wait_{number}", contract_address=f"0x{number:040x}", poke_interval=5, deferrable=True)
""",
}
_BUILDS = f"""
imported = time.process_time()
with DAG("many", schedule=None) as dag:
    for number in range({TASKS}):
        build(number)
built = time.process_time()
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization
size = len(json.dumps(Serialization.to_dict(dag)))
print(json.dumps([imported - began, built - imported, size / {TASKS}]))
"""


def measure(rounds: int = 5) -> dict[str, Any]:
    """
    Measure both sides in turn.

    :param rounds: How often.
    :return: Values for JSON: by side the rounds' seconds of importing, seconds of building and bytes of a task.
    """
    measured: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, values in measured.items():
            script = _LOADED + _IMPORTS[side] + _BUILDS
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - a script of this module
            values.append(json.loads(done.stdout.splitlines()[-1]))
    return measured


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as a table.

    :param figures: What :func:`measure` gave.
    :return: The table: a row for each side, and one for the quotient.
    """
    columns = ("what", "import, CPU ms", f"build {TASKS:,} sensors, CPU ms", "bytes of a task, serialised")
    by_side = {side: list(zip(*figures[side], strict=True)) for side in SIDES}
    rows = [
        (side, spread([1000 * one for one in imports]), spread([1000 * one for one in builds]), spread(sizes))
        for side, (imports, builds, sizes) in by_side.items()
    ]
    shares = [median(ours) / median(theirs) for ours, theirs in zip(by_side[OURS], by_side[HTTP], strict=True)]
    rows.append(("the second against the first", *(f"{share:.2f} times" for share in shares)))  # type: ignore[arg-type]
    return [Table("What a DAG file costs", columns, rows, ["Median, with the lowest and the highest."])]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print a table.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.dag_files", description="What a DAG file costs.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    arguments = parser.parse_args(argv)
    return run_benchmark("dag_files", lambda: measure(arguments.rounds), tables, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
