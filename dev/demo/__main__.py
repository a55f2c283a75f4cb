# SPDX-License-Identifier: Apache-2.0
"""
Run example DAGs on a real Airflow: ``make demo``, and ``make demo SCENARIO=reveal``.

Scheduler, DAG processor, triggerer and API server, in a throwaway home, against the emulator or the live API.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from dev.demo import refresh, reveal
from dev.demo.emulator_process import stop_emulator
from dev.demo.service import KEY_VARIABLE, open_service
from dev.local_airflow import LocalAirflow, LocalAirflowError

PROJECT = Path(__file__).resolve().parents[2]
KEPT_HOME = PROJECT / ".demo"
REFRESH, REVEAL = "refresh", "reveal"


def main() -> int:
    """
    Run the demonstration.

    :return: The exit status: 0 where the DAG succeeded with its sensor really deferred, else 1.
    """
    options = _options()
    console = Console()
    try:
        if options.stop:
            return _stop(console)
        return _demonstrate(console, options)
    except LocalAirflowError as error:
        console.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; nothing is left running.")
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.demo", description=__doc__.splitlines()[1] if __doc__ else None
    )
    parser.add_argument("--keep", action="store_true", help="leave Airflow and its web UI running")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument("--port", type=int, default=0, help="port of the web UI; default: a free one")
    parser.add_argument("--emulator-port", type=int, default=0, help="port of the emulator; default: a free one")
    parser.add_argument(
        "--scenario",
        choices=(REFRESH, REVEAL),
        default=REFRESH,
        help="refresh: a DAG refreshes a collection; reveal: a block of the chain starts two DAGs",
    )
    parser.add_argument("--outcome", default="finished", help="how the emulated refresh ends, such as does_not_exist")
    options = parser.parse_args()
    if options.scenario == REVEAL and KEY_VARIABLE in os.environ:
        parser.error(f"the scenario reveal needs the emulator, which makes the blocks: unset {KEY_VARIABLE}")
    return options


def _demonstrate(console: Console, options: argparse.Namespace) -> int:
    began = time.monotonic()
    airflow_version = version("apache-airflow")
    home = _home(keep=options.keep)
    is_reveal = options.scenario == REVEAL
    commands = reveal.commands() if is_reveal else refresh.commands(options.outcome)
    is_well = False
    try:
        with (
            open_service(home, port=options.emulator_port, commands=commands, stays=options.keep) as service,
            console.status("") as status,
        ):
            console.print(f"Alchemy is [bold]{service.description}[/].", highlight=False)
            status.update(f"Starting Airflow {airflow_version}: scheduler, DAG processor, triggerer, API server …")
            with LocalAirflow(
                home / "airflow",
                PROJECT / "example_dags",
                connections={"alchemy_default": service.connection},
                port=options.port or None,
                # Triggerer, scheduler and API server write at once there, which SQLite takes badly.
                database="postgresql" if is_reveal else "sqlite",
            ) as airflow:
                console.print(f"Airflow {airflow_version} is up after {time.monotonic() - began:.0f} s.")
                status.stop()
                is_well = reveal.play(console, airflow, service) if is_reveal else refresh.play(console, airflow)
                if options.keep:
                    airflow.detach()
                    console.print(f"\nThe web UI stays up at {airflow.url}; end it with: make demo-stop")
    finally:
        if not options.keep:
            shutil.rmtree(home, ignore_errors=True)
    took = f"{time.monotonic() - began:.0f} s"
    left = "" if options.keep else "; nothing is left running"
    console.print(f"[green]Done in {took}{left}.[/]" if is_well else f"[red]Failed after {took}{left}.[/]")
    return 0 if is_well else 1


def _home(*, keep: bool) -> Path:
    if not keep:
        return Path(tempfile.mkdtemp(prefix="alchemy-demo-"))
    if KEPT_HOME.exists():
        LocalAirflow.stop_kept(KEPT_HOME / "airflow")
        stop_emulator(KEPT_HOME)
        shutil.rmtree(KEPT_HOME)
    KEPT_HOME.mkdir()
    return KEPT_HOME


def _stop(console: Console) -> int:
    ran = KEPT_HOME.exists() and LocalAirflow.stop_kept(KEPT_HOME / "airflow")
    stop_emulator(KEPT_HOME)
    shutil.rmtree(KEPT_HOME, ignore_errors=True)
    console.print("Ended; nothing is left running." if ran else "Nothing was running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
