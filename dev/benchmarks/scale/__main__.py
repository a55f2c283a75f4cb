# SPDX-License-Identifier: Apache-2.0
"""The command: ``python -m dev.benchmarks.scale``; as a trial ``--waits 200 --worker-waits 10 --job-seconds 60``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dev.benchmarks.command_line import add_options, run_benchmark
from dev.benchmarks.scale.measuring import measure
from dev.benchmarks.scale.settings import Scenario
from dev.benchmarks.scale.tables import tables


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, print tables, and draw a picture.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.scale",
        description="Wait for thousands of refreshes at once in a whole cluster with two triggerers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options = {
        "waits": "waits that begin and end in the triggerers",
        "worker_waits": "waits that workers defer and end, some two CPU seconds each",
        "dag_size": "tasks of a DAG of the former",
        "job_seconds": "how long a refresh takes at least",
        "spread_seconds": "how much longer one takes at most",
        "capacity": "[triggerer] capacity; Airflow's default is 1000",
        "health_seconds": "how long a triggerer may be silent before the other takes over; Airflow's default is 30",
        "open_files": "ulimit -n of every process; most systems' default is 1024",
        "logging_level": "[logging] logging_level; Airflow's default is INFO",
        "limit_seconds": "after which the run is over, whatever has not ended",
    }
    add_options(parser, Scenario(), options)
    parser.add_argument("--xcoms", action="store_true", help="let the waits in the triggerers push their results")
    parser.add_argument("--kill", action="store_true", help="kill a triggerer when all waits are under way")
    arguments = vars(parser.parse_args(argv))
    file = arguments.pop("json")
    return run_benchmark("scale", lambda: measure(Scenario(**arguments)), tables, file)


if __name__ == "__main__":
    sys.exit(main())
