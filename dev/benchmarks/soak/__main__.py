# SPDX-License-Identifier: Apache-2.0
"""A cluster of its own for a soak: ``python -m dev.benchmarks.soak --minutes 30``, or ``make soak``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from dev.benchmarks.command_line import add_options, run_command, tell_progress, write_json
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.machine import Machine, this_machine
from dev.benchmarks.soak.counting import counting_environment
from dev.benchmarks.soak.kinds import Load
from dev.benchmarks.soak.picture import draw
from dev.benchmarks.soak.results import Scenario, SoakResult
from dev.benchmarks.soak.soaking import DAGS, soak
from dev.benchmarks.soak.tables import curves, slope_table, wait_sentence, wait_table
from dev.cluster import open_cluster
from dev.local_airflow import LocalAirflowError

RESULTS = Path(__file__).parents[1] / "results"
PATIENCE = {
    # Nobody is killed here: no task is to be given up since the machine is busy. These are Airflow's own values.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "600",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Start a cluster, let it work, and say what grew.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status: 1 where something grew, or a wait did not end as it had to.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.soak",
        description="Let a cluster work under a steady stream of waits and failures, and look what grows.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options = {
        "minutes": "how long the time is that counts, after the warm-up",
        "load": f"what is started: {', '.join(Load)}; core are waits of Airflow's own, for comparison",
        "pace_seconds": "between two starts",
        "wait_seconds": "how long a wait takes",
        "sample_seconds": "between two samples",
        "fault_probability": "how likely each kind of fault is for a call",
    }
    add_options(parser, Scenario(), options)
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the figures and the picture go")
    arguments = vars(parser.parse_args(argv))
    folder, file = arguments.pop("folder"), arguments.pop("json")
    name = "soak" if arguments["load"] is Load.ALCHEMY else f"soak_{arguments['load']}"
    return run_command(lambda: _soak(Scenario(**arguments), file or folder / f"{name}.json", folder / f"{name}.png"))


def _soak(scenario: Scenario, figures: Path, picture: Path) -> None:
    machine = this_machine()
    result = _in_a_cluster(scenario)
    write_json(figures, {"machine": asdict(machine), "soak": _as_json(result)})
    draw(result, picture)
    _show(result, machine)
    tell_progress(f"Figures: {figures}\nPicture: {picture}")
    if result.complaints:
        raise BenchmarkError("\n".join(["The soak failed:", *result.complaints]))


def _in_a_cluster(scenario: Scenario) -> SoakResult:
    folder, is_needed = Path(tempfile.mkdtemp(prefix="soak-")), True
    environment = {**counting_environment(os.environ), **PATIENCE}
    try:
        tell_progress("Starting PostgreSQL, Redis, Airflow with two triggerers and two workers, and the emulator …")
        with open_cluster(folder, DAGS, environment=environment) as cluster:
            result = soak(cluster, scenario=scenario, tell=tell_progress)
        is_needed = bool(result.complaints)
    except LocalAirflowError as error:
        raise BenchmarkError(str(error)) from error
    finally:
        if is_needed:
            tell_progress(f"The cluster's logs are kept in {folder}")
        else:
            shutil.rmtree(folder)
    return result


def _show(result: SoakResult, machine: Machine) -> None:
    # A pipe is as wide as the tables need.
    console = Console(width=None if sys.stdout.isatty() else 130)
    judged = {verdict.component for verdict in result.verdicts if verdict.is_judged}
    sys.stdout.write(curves(result, judged, is_coloured=console.is_terminal))
    console.print(wait_table(result))
    console.print(wait_sentence(result), highlight=False)
    console.print(slope_table(result))
    console.print(f"Measured on: {machine.sentence}", highlight=False)


def _as_json(result: SoakResult) -> dict[str, Any]:
    figures = asdict(result)
    # The samples say the same.
    del figures["series"]
    return {**figures, "complaints": result.complaints}


if __name__ == "__main__":
    sys.exit(main())
