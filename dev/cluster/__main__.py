# SPDX-License-Identifier: Apache-2.0
"""
A cluster to try things out on: ``make cluster``.

Everything runs until Ctrl-C, in a throwaway home, with the example DAGs and the web UI.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from dev.cluster.running import EMULATOR, Cluster, open_cluster
from dev.local_airflow import LocalAirflow, LocalAirflowError

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
# The emulator's own pace and spending_limit: what somebody tries here is to look like the real thing.
EMULATOR_OPTIONS = ("--queued-seconds=5", "--running-seconds=20")
ALLOWANCE = 300
REVIVAL_SECONDS = 10.0


def main() -> int:
    """
    Run the cluster until Ctrl-C or SIGTERM.

    :return: The exit status: 0, or 1 where it did not start.
    """
    options = _options()
    console = Console()
    # As Ctrl-C does: everything is ended on the way out. A shell has what it runs in the background ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="alchemy-cluster-"))
    try:
        _run(console, options, folder)
    except LocalAirflowError as error:
        console.print(f"[red]{error}[/]\nIts files are in {folder}.", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        console.print("\nEnded; nothing is left running.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.cluster", description=__doc__.splitlines()[1] if __doc__ else None
    )
    parser.add_argument("--port", type=int, default=0, help="port of the web UI; default: a free one")
    parser.add_argument("--emulator-port", type=int, default=0, help="port of the emulator; default: a free one")
    parser.add_argument("--dags", type=Path, default=EXAMPLES, help="folder of DAG files; default: the examples")
    return parser.parse_args()


def _run(console: Console, options: argparse.Namespace, folder: Path) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        with console.status("Starting PostgreSQL, Redis, the emulator, and Airflow with two workers and triggerers …"):
            cluster = stack.enter_context(
                open_cluster(
                    folder,
                    options.dags,
                    port=options.port or None,
                    emulator_port=options.emulator_port,
                    emulator_options=EMULATOR_OPTIONS,
                    connection_extra={"compute_units_per_second": ALLOWANCE},
                    connections_in_database=True,
                    shares_budget=True,
                )
            )
        _tell(console, cluster, folder, time.monotonic() - began)
        _revive(console, cluster.airflow)


def _tell(console: Console, cluster: Cluster, folder: Path, seconds: float) -> None:
    airflow, emulator = cluster.airflow, cluster.emulator
    table = Table("component", "process", "output")
    for name, pid in airflow.processes.items():
        table.add_row(name, str(pid), str(airflow.process_logs[name].relative_to(folder)))
    console.print(table)
    lines = [
        f"Airflow {version('apache-airflow')} is up after {seconds:.0f} s: {airflow.url}",
        f"Its home, with task logs: {airflow.home}",
        f"The emulator, which the connection alchemy_default leads to: {emulator.url}",
        f"  steer it:    curl --cacert {folder}/authority.pem {emulator.url}/_emulator/counters",
        f"  take it away: kill -USR1 {airflow.processes[EMULATOR]}   and bring it back: kill -USR2 …",
        f"Kill what you like: it is started again {REVIVAL_SECONDS:.0f} s later. Ctrl-C ends everything.",
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _revive(console: Console, airflow: LocalAirflow) -> NoReturn:
    """Start again what ended, as a supervisor of services would, until somebody interrupts it."""
    while True:
        time.sleep(1)
        ended = airflow.ended_by_themselves()
        if not ended:
            continue
        console.print(f"{', '.join(ended)} ended; starting again in {REVIVAL_SECONDS:.0f} s …")
        time.sleep(REVIVAL_SECONDS)
        airflow.start_all(ended)
        console.print(f"{', '.join(ended)} runs again.")


if __name__ == "__main__":
    sys.exit(main())
