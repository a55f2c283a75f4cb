# SPDX-License-Identifier: Apache-2.0
"""
How well one account's throughput is used: 100 refreshes at once, with a key that has room for a third of their polls.

The emulator serves over TLS in this process, the triggers run in another. A call that the service refuses for the
account's throughput (429) is lost time for everybody; so are units of the budget that nobody uses while collections
wait. The share that is used is the units of all admitted calls, divided by the plan's units in the seconds until the
last wait has ended; what the window of ten seconds lets through at the beginning can bring it above 100 %.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.testing import AlchemyEmulator, JobPlan
from dev.benchmarks.command_line import run_benchmark, tell_progress
from dev.benchmarks.one_side import run_one_side
from dev.benchmarks.sides import SIDES, alchemy_connection
from dev.benchmarks.tables import Table
from dev.benchmarks.waiting_process import Outcome, Waits
from dev.local_airflow.certificates import Certificates, write_certificates

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing import Call

REINGEST_UNITS = 480
"""What one call of ``reingestContract`` counts in the throughput window."""
SPARE_SECONDS = 300.0


@dataclass(frozen=True)
class Plan:
    """
    What is waited for, and what the account allows.

    :param contracts: Collections that are refreshed at once.
    :param seconds: How long each refresh takes from its first call.
    :param interval: Seconds between two polls of one wait, if the budget allowed them all.
    :param units_per_second: The account's throughput.
    """

    contracts: int = 100
    seconds: float = 60.0
    interval: float = 5.0
    units_per_second: float = 3_000.0

    @property
    def sentence(self) -> str:
        """What is waited for, in words."""
        return (
            f"{self.contracts} collections of {self.seconds:g} s, polled every {self.interval:g} s, with"
            f" {self.units_per_second:,.0f} units a second"
        )


@dataclass(frozen=True)
class Measurement:
    """
    What the service and the triggers have seen.

    :param outcome: What the triggers' process has seen.
    :param calls: Calls of the API.
    :param refused: Those that were answered with 429.
    :param used_share: Units of the admitted calls, as a share of what the account allows while collections wait.
    :param seen_after_seconds: How long after each refresh had ended a call learnt it, in the order of time.
    """

    outcome: Outcome
    calls: int
    refused: int
    used_share: float
    seen_after_seconds: list[float]


def measure(plan: Plan | None = None) -> dict[str, Any]:
    """
    Let the triggers wait for all collections.

    :param plan: The plan; default: that of :class:`Plan`.
    :return: JSON values: the plan, and what was seen.
    :raises BenchmarkError: The triggers' process could not be run.
    """
    plan = plan or Plan()
    return {"plan": asdict(plan), "measurement": asdict(wait_for_all(plan))}


def wait_for_all(plan: Plan) -> Measurement:
    """
    Let the triggers wait for all collections.

    :param plan: The plan.
    :return: What was seen.
    :raises BenchmarkError: The triggers' process could not be run.
    """
    tell_progress(f"ReingestTrigger: {plan.sentence} …")
    with tempfile.TemporaryDirectory(prefix="benchmark-budget-") as name:
        folder = Path(name)
        certificates = write_certificates(folder)
        with _emulator(plan, certificates) as emulator:
            outcome = run_one_side(
                Waits("alchemy", plan.contracts, plan.interval),
                connection=alchemy_connection(
                    emulator.url, certificates.authority, plan.units_per_second, emulator.api_key
                ),
                folder=folder,
                within_seconds=10 * plan.seconds + SPARE_SECONDS,
            )
            return _measurement(plan, outcome, emulator)


def _emulator(plan: Plan, certificates: Certificates) -> AlchemyEmulator:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.private_key)
    job = JobPlan(running_seconds=plan.seconds)
    return AlchemyEmulator(ssl_context=context, units_per_second=plan.units_per_second, default_job=job)


def _measurement(plan: Plan, outcome: Outcome, emulator: AlchemyEmulator) -> Measurement:
    calls = emulator.calls
    refused = sum(call.http_status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
    allowed = plan.units_per_second * outcome.seconds
    return Measurement(
        outcome=outcome,
        calls=len(calls),
        refused=refused,
        used_share=(len(calls) - refused) * REINGEST_UNITS / allowed,
        seen_after_seconds=[_seen_after(call, emulator) for call in calls if call.state == "finished"],
    )


def _seen_after(call: Call, emulator: AlchemyEmulator) -> float:
    ended_at = emulator.finished_at(call.contract_address or "")
    return call.at - (ended_at or call.at)


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as a table.

    :param figures: What ``measure`` gave.
    :return: The one table.
    """
    plan, seen = Plan(**figures["plan"]), figures["measurement"]
    measurement = Measurement(**{**seen, "outcome": Outcome(**seen["outcome"])})
    columns = ("trigger", "ended right", "calls", "429", "429 of all", "budget used", "seen after, s", "the latest, s")
    delays = measurement.seen_after_seconds or [0.0]
    row = (
        SIDES["alchemy"].trigger,
        f"{measurement.outcome.ended_right:,}",
        f"{measurement.calls:,}",
        f"{measurement.refused:,}",
        f"{measurement.refused / max(measurement.calls, 1):.1%}",
        f"{measurement.used_share:.1%}",
        f"{median(delays):.1f}",
        f"{max(delays):.1f}",
    )
    return [Table(plan.sentence, columns, [row], [f"Failed: {failure}" for failure in measurement.outcome.failures])]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print a table.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    default = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.budget",
        description="Measure how well this package's triggers use one account's throughput.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--contracts", type=int, default=default.contracts, help="collections that are refreshed")
    parser.add_argument("--seconds", type=float, default=default.seconds, help="how long each refresh takes")
    parser.add_argument("--interval", type=float, default=default.interval, help="seconds between two polls of a wait")
    parser.add_argument(
        "--units-per-second", type=float, default=default.units_per_second, help="the account's throughput"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    arguments = parser.parse_args(argv)

    def measured() -> dict[str, Any]:
        return measure(Plan(arguments.contracts, arguments.seconds, arguments.interval, arguments.units_per_second))

    return run_benchmark("budget", measured, tables, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
