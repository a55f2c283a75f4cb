# SPDX-License-Identifier: Apache-2.0
"""
What a poll costs: two other providers' triggers and this package's, in turn, on one server over TLS.

Polls and TLS connections are the server's counts. CPU time is that of the triggers' process while they wait, divided
by the polls. Memory is its largest resident size while they wait, less that just before they were made, divided by
the waits; it and the event loop's delay are seen by a coroutine in that loop (see ``loop_watch``), so that both are
rather too small for a loop that is late.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dev.benchmarks.command_line import run_benchmark, tell_progress
from dev.benchmarks.machine import version_of
from dev.benchmarks.one_side import run_one_side
from dev.benchmarks.polled_service import PolledServiceClient, polled_service
from dev.benchmarks.sides import SIDES
from dev.benchmarks.tables import Table, spread
from dev.benchmarks.waiting_process import Outcome, Waits
from dev.local_airflow.certificates import Certificates, write_certificates

WARM_UP_WAITS = 10
WARM_UP_SECONDS = 0.3
SPARE_SECONDS = 300.0


@dataclass(frozen=True)
class Scenario:
    """
    What is compared.

    :param waits: Waits at once, in one process.
    :param seconds: How long each job takes from its first poll.
    :param interval: Seconds between two polls of one wait.
    :param rounds: How often each side is measured.
    :param sides: The names of the sides, in turn.
    :param starts_per_second: How many triggers start in each second; 0: all at once.
    """

    waits: int = 1_000
    seconds: float = 20.0
    interval: float = 5.0
    rounds: int = 3
    sides: Sequence[str] = tuple(SIDES)
    starts_per_second: int = 0

    @property
    def sentence(self) -> str:
        """What is compared, in words."""
        starts = f", {self.starts_per_second} started in each second" if self.starts_per_second else ""
        return f"{self.waits:,} waits of {self.seconds:g} s, polled every {self.interval:g} s over TLS{starts}"


SCENARIOS = (
    Scenario(),
    Scenario(starts_per_second=50),
    Scenario(waits=10_000, seconds=60.0, interval=30.0, sides=("alchemy",)),
)
"""
All waits at once; as slowly as a triggerer takes them, which turns at least once a second and takes 50 in each turn
by default; and, for this package alone, as many as a nightly run has.
"""


@dataclass(frozen=True)
class Measurement:
    """
    One round of one side.

    :param side: The side's name.
    :param outcome: What its process has seen.
    :param polls: The requests that the server has counted.
    :param connections: The TLS connections that carried them.
    """

    side: str
    outcome: Outcome
    polls: int
    connections: int

    @property
    def cpu_ms_per_poll(self) -> float:
        """CPU time of a poll in milliseconds."""
        return 1000 * self.outcome.cpu_seconds / self.polls if self.polls else 0.0

    @property
    def peak_bytes(self) -> int:
        """Memory that the waits have taken."""
        return self.outcome.peak_bytes - self.outcome.idle_bytes


def measure(scenarios: Sequence[Scenario] = SCENARIOS) -> dict[str, Any]:
    """
    Run scenarios.

    :param scenarios: The scenarios.
    :return: JSON values: for each scenario its arguments, the versions that were compared, and all measurements.
    :raises BenchmarkError: A process could not be run.
    """
    return {
        "scenarios": [
            {
                "scenario": asdict(scenario),
                "versions": {side: version_of(SIDES[side].distribution) for side in scenario.sides},
                "measurements": [asdict(one) for one in compare(scenario)],
            }
            for scenario in scenarios
        ]
    }


def compare(scenario: Scenario) -> list[Measurement]:
    """
    Run a scenario: all sides in turn, round after round.

    :param scenario: The scenario.
    :return: A measurement for each side and round.
    :raises BenchmarkError: A process could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-polls-") as name:
        folder = Path(name)
        certificates = write_certificates(folder)
        with polled_service(certificates, folder) as service:
            return [
                _measure_once(scenario, side, service, certificates, folder)
                for _ in range(scenario.rounds)
                for side in scenario.sides
            ]


def _measure_once(
    scenario: Scenario, side: str, service: PolledServiceClient, certificates: Certificates, folder: Path
) -> Measurement:
    tell_progress(f"{SIDES[side].trigger}: {scenario.sentence} …")
    service.begin(WARM_UP_SECONDS)
    starts = scenario.waits / scenario.starts_per_second if scenario.starts_per_second else 0.0
    outcome = run_one_side(
        Waits(side, scenario.waits, scenario.interval, scenario.starts_per_second, WARM_UP_WAITS),
        connection=SIDES[side].connect(service.url, certificates.authority),
        folder=folder,
        within_seconds=3 * scenario.seconds + 3 * scenario.interval + starts + SPARE_SECONDS,
        begin=lambda: service.begin(scenario.seconds),
    )
    counts = service.counters(side)
    return Measurement(side, outcome, polls=counts["requests"], connections=counts["connections"])


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as tables: one for each scenario, a row for each side.

    :param figures: What ``measure`` gave.
    :return: The tables.
    """
    return [_table(each) for each in figures["scenarios"]]


def _table(figures: dict[str, Any]) -> Table:
    scenario = Scenario(**figures["scenario"])
    measurements = [Measurement(**{**each, "outcome": Outcome(**each["outcome"])}) for each in figures["measurements"]]
    columns = (
        "trigger",
        "ended right",
        "polls",
        "CPU ms per poll",
        "TLS connections",
        "peak kB per wait",
        "peak MB more than idle",
        "loop late by, s",
    )
    rows = [
        _row(side, figures["versions"][side], [one for one in measurements if one.side == side])
        for side in scenario.sides
    ]
    notes = [f"Failed: {failure}" for one in measurements for failure in one.outcome.failures]
    if scenario.rounds > 1:
        notes.insert(0, f"Median of {scenario.rounds} rounds, with the lowest and the highest.")
    return Table(scenario.sentence, columns, rows, notes)


def _row(side: str, version: str, rounds: Sequence[Measurement]) -> tuple[str, ...]:
    distribution = SIDES[side].distribution.removeprefix("apache-airflow-providers-")
    return (
        f"{SIDES[side].trigger} ({distribution} {version})",
        spread([one.outcome.ended_right for one in rounds]),
        spread([one.polls for one in rounds]),
        spread([one.cpu_ms_per_poll for one in rounds], 2),
        spread([one.connections for one in rounds]),
        spread([one.peak_bytes / 1000 / max(one.outcome.ended_right, 1) for one in rounds], 1),
        spread([one.peak_bytes / 1e6 for one in rounds], 1),
        spread([one.outcome.latest_seconds for one in rounds], 2),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print a table.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    default = Scenario()
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.polls",
        description="Compare what a poll costs in the triggers of three providers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--waits", type=int, default=default.waits, help="waits at once")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="how long each job takes")
    parser.add_argument("--interval", type=float, default=default.interval, help="seconds between two polls of a wait")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="how often each side is measured")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="whom to measure")
    parser.add_argument(
        "--starts-per-second", type=int, default=0, help="triggers started in each second; 0: all at once"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    arguments = parser.parse_args(argv)

    def measured() -> dict[str, Any]:
        scenario = Scenario(
            waits=arguments.waits,
            seconds=arguments.seconds,
            interval=arguments.interval,
            rounds=arguments.rounds,
            sides=arguments.sides,
            starts_per_second=arguments.starts_per_second,
        )
        return measure([scenario])

    return run_benchmark("polls", measured, tables, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
