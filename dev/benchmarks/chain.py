# SPDX-License-Identifier: Apache-2.0
"""
What it takes to watch the chain: how soon an announcement starts a DAG, which calls it costs, and catching up.

All of it happens in one real Airflow on PostgreSQL with one triggerer, against emulators in this process. The
references are a single watcher, and as many watchers that each poll for themselves.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.benchmarks.chain_plan import ALONE, CROWD, ONE, CatchUpSide, network_of
from dev.benchmarks.chain_runs import (
    CatchUp,
    Latency,
    Load,
    begin_loop_watch,
    measure_catch_up,
    measure_latency,
    measure_load,
)
from dev.benchmarks.chain_stage import Sizes, Stage, open_stage
from dev.benchmarks.chain_tables import tables
from dev.benchmarks.command_line import add_options, run_benchmark, tell_progress
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.machine import version_of
from dev.local_airflow import LocalAirflowError

__all__ = ["Scenario", "measure", "tables"]

REFUSALS = ("hint", "plain")


@dataclass(frozen=True)
class Scenario:
    """
    What is measured.

    :param events: Announcements whose way to a running DAG is timed; 0: none.
    :param poll_seconds: The poll interval then.
    :param networks: Over how many chains they are spread, one watcher each.
    :param watchers: Watchers of the crowd; 0: no load is measured.
    :param contracts: Contracts of each of these.
    :param crowd_poll_seconds: The poll interval of the crowd, and of those who are compared with it.
    :param load_seconds: How long each load is looked at.
    :param behind: Blocks that are mined while the triggerer is down; 0: it is not killed.
    :param limits: Blocks that a call may span then.
    """

    events: int = 20
    poll_seconds: float = 5.0
    networks: int = 5
    watchers: int = 100
    contracts: int = 5
    crowd_poll_seconds: float = 2.0
    load_seconds: float = 40.0
    behind: int = 1_000
    limits: tuple[int, ...] = (10, 100, 2_000)

    @property
    def sizes(self) -> Sizes:
        """What the DAGs watch."""
        sides = [CatchUpSide(limit, refusal) for limit in self.limits for refusal in REFUSALS]
        return Sizes(self.networks, self.watchers, self.contracts, self.poll_seconds, self.crowd_poll_seconds, sides)


def measure(scenario: Scenario | None = None) -> dict[str, Any]:
    """
    Measure everything.

    :param scenario: What; default: that of :class:`Scenario`.
    :return: JSON values: ``scenario``, ``versions``, ``latencies``, ``loads`` and ``catching_up``.
    :raises BenchmarkError: Airflow could not be started, or something was not told.
    """
    scenario = scenario or Scenario()
    tell_progress("Starting PostgreSQL and Airflow …")
    with tempfile.TemporaryDirectory(prefix="benchmark-chain-") as name:
        try:
            with open_stage(Path(name), scenario.sizes) as stage:
                begin_loop_watch(stage)
                latencies = _measure_latencies(stage, scenario)
                loads = _measure_loads(stage, scenario)
                catching_up = _measure_catching_up(stage, scenario)
        except LocalAirflowError as error:
            raise BenchmarkError(str(error)) from error
    return {
        "scenario": asdict(scenario),
        "versions": {one: version_of(one) for one in ("apache-airflow", "aiohttp", "airflow-provider-alchemy")},
        "latencies": [asdict(one) for one in latencies],
        "loads": [asdict(one) for one in loads],
        "catching_up": [asdict(one) for one in catching_up],
    }


def _measure_latencies(stage: Stage, scenario: Scenario) -> list[Latency]:
    if not scenario.events:
        return []
    tell_progress(f"{scenario.events} announcements, polled every {scenario.poll_seconds:g} s …")
    return measure_latency(stage, scenario.sizes, scenario.events)


def _measure_loads(stage: Stage, scenario: Scenario) -> list[Load]:
    if not scenario.watchers:
        return []
    crowd = (scenario.watchers, scenario.contracts)
    loads = []
    for side, (watchers, contracts) in {ONE: (1, 1), CROWD: crowd, ALONE: crowd}.items():
        tell_progress(f"{watchers} watchers of {contracts} contracts each ({side}) …")
        loads.append(measure_load(stage, side, watchers, contracts, scenario.load_seconds))
        stage.end(side, network_of(side), quiet_seconds=3 * scenario.crowd_poll_seconds)
    return loads


def _measure_catching_up(stage: Stage, scenario: Scenario) -> list[CatchUp]:
    if not scenario.behind:
        return []
    tell_progress(f"{scenario.behind:,} blocks while the triggerer is down …")
    return measure_catch_up(stage, scenario.sizes.sides, scenario.behind)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print tables.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    default = Scenario()
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.chain",
        description="Measure what it takes to watch the chain.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options = {
        "events": "announcements whose way to a running DAG is timed; 0: none",
        "poll_seconds": "the poll interval then",
        "networks": "over how many chains they are spread",
        "watchers": "watchers of the crowd; 0: no load is measured",
        "contracts": "contracts of each of these",
        "crowd_poll_seconds": "the poll interval of the crowd",
        "load_seconds": "how long each load is looked at",
        "behind": "blocks that are mined while the triggerer is down; 0: it is not killed",
    }
    add_options(parser, default, options)
    parser.add_argument(
        "--limits", type=int, nargs="+", default=default.limits, help="blocks that a call may span then"
    )
    arguments = vars(parser.parse_args(argv))
    file = arguments.pop("json")
    arguments["limits"] = tuple(arguments["limits"])
    return run_benchmark("chain", lambda: measure(Scenario(**arguments)), tables, file)


if __name__ == "__main__":
    sys.exit(main())
