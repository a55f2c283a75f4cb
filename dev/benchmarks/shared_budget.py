# SPDX-License-Identifier: Apache-2.0
"""
One account's throughput for the processes of two triggerers and four workers, which wait for more than it allows.

Three times: each process with a budget of its own, all with one in Redis (``shared_budget``), and that once more with
a Redis that is killed and started again. The share of the budget that is used is that of the admitted calls, from the
end of the first window of ten seconds, whose burst would flatter it, until the last wait has ended.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.testing import AlchemyEmulator, JobPlan
from dev.benchmarks.command_line import add_options, run_benchmark, tell_progress
from dev.benchmarks.processes import Child, child, clean_environment
from dev.benchmarks.sharing_process import CLIENT, POLLER, address
from dev.benchmarks.tables import Table
from dev.local_airflow.redis_server import RedisServer

REINGEST_UNITS = 480
WINDOW_SECONDS = 10.0
RECOVERY_SECONDS = 60.0
"""After so long with Redis again, nearly no call may be refused any more."""
SPARE_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """
    What is waited for, and what the account allows.

    :param triggerer_contracts: Collections that each triggerer waits for.
    :param worker_contracts: Collections that each worker waits for.
    :param seconds: How long each refresh takes from its first call, while Redis stays.
    :param interval: Seconds between two polls of one wait, if the budget allowed them all.
    :param units_per_second: The account's throughput.
    :param killed_after: Seconds after which Redis is killed.
    :param killed_for: Seconds for which it is gone; the refreshes last two minutes longer than that.
    """

    triggerer_contracts: int = 50
    worker_contracts: int = 10
    seconds: float = 90.0
    interval: float = 1.0
    units_per_second: float = 3_000.0
    killed_after: float = 40.0
    killed_for: float = 30.0

    @property
    def processes(self) -> Sequence[tuple[str, int]]:
        """Each one's kind and collections: two triggerers, two poking sensors, two tasks with the hook."""
        workers = [(kind, self.worker_contracts) for kind in (POLLER, POLLER, CLIENT, CLIENT)]
        return [*((POLLER, self.triggerer_contracts) for _ in range(2)), *workers]


@dataclass(frozen=True)
class Measurement:
    """
    What the service has seen.

    :param way: How the processes shared the account.
    :param contracts: Collections that were waited for.
    :param ended_right: Waits that ended right.
    :param calls: Calls of the API.
    :param refused: Those that were answered with 429.
    :param used_share: Units of the admitted calls, as a share of what the account allows while collections wait.
    :param least_calls: Admitted calls of the process with the fewest, while all had collections to wait for.
    :param most_calls: Those of the process with the most.
    :param later_calls: Calls from a minute after Redis was back; 0 where it was not killed.
    :param later_refused: Those of them that were answered with 429.
    """

    way: str
    contracts: int
    ended_right: int
    calls: int
    refused: int
    used_share: float
    least_calls: int
    most_calls: int
    later_calls: int
    later_refused: int


def measure(plan: Plan | None = None) -> dict[str, Any]:
    """
    Let the processes wait, in each of the three ways.

    :param plan: The plan; default: that of :class:`Plan`.
    :return: JSON values: the plan, and what was seen.
    :raises BenchmarkError: A process could not be run.
    """
    plan = plan or Plan()
    killed = f"shared, Redis killed for {plan.killed_for:g} s"
    with RedisServer(secrets.token_urlsafe(16)) as redis:
        runs = [
            _run(plan, "each its own", plan.seconds),
            _run(plan, "shared", plan.seconds, redis),
            _run(plan, killed, plan.killed_after + plan.killed_for + 2 * RECOVERY_SECONDS, redis, is_killed=True),
        ]
    return {"plan": asdict(plan), "measurements": [asdict(run) for run in runs]}


def _run(
    plan: Plan, way: str, seconds: float, redis: RedisServer | None = None, *, is_killed: bool = False
) -> Measurement:
    tell_progress(f"{way}: {sum(contracts for _, contracts in plan.processes)} collections of {seconds:g} s …")
    job = JobPlan(running_seconds=seconds)
    with (
        AlchemyEmulator(units_per_second=plan.units_per_second, default_job=job) as emulator,
        _processes(plan) as children,
    ):
        settings = {
            "api_key": emulator.api_key,
            "host": emulator.url,
            "compute_units_per_second": plan.units_per_second,
            "shared_budget": redis.url if redis else None,
        }
        began_at = time.time()
        for one in children:
            one.tell(settings)
        back_at = _kill(plan, redis) if redis and is_killed else None
        ends = [one.hear(within_seconds=10 * seconds + SPARE_SECONDS) for one in children]
        ended_at = max(end["ended_at"] for end in ends)
        return _measurement(plan, way, emulator, (began_at, ended_at, back_at), sum(end["ended_right"] for end in ends))


@contextmanager
def _processes(plan: Plan) -> Iterator[list[Child]]:
    first, children = 1, list[Child]()
    with tempfile.TemporaryDirectory(prefix="benchmark-shared-") as name, ExitStack() as stack:
        for kind, contracts in plan.processes:
            numbers = [f"--first={first}", f"--contracts={contracts}", f"--interval={plan.interval:g}"]
            environment = clean_environment()
            options = [f"--kind={kind}", *numbers]
            started = child("dev.benchmarks.sharing_process", *options, folder=Path(name), environment=environment)
            children.append(stack.enter_context(started))
            first += contracts
        for one in children:
            one.hear(within_seconds=SPARE_SECONDS)
        yield children


def _kill(plan: Plan, redis: RedisServer) -> float:
    time.sleep(plan.killed_after)
    redis.send(signal.SIGKILL)
    tell_progress("Redis is killed …")
    time.sleep(plan.killed_for)
    redis.start()
    tell_progress("Redis is back …")
    return time.time()


def _measurement(
    plan: Plan, way: str, emulator: AlchemyEmulator, moments: tuple[float, float, float | None], ended_right: int
) -> Measurement:
    began_at, ended_at, back_at = moments
    calls = emulator.calls
    admitted = [call for call in calls if call.http_status == HTTPStatus.OK]
    counted = [call for call in admitted if began_at + WINDOW_SECONDS <= call.at <= ended_at]
    allowed = plan.units_per_second * max(ended_at - began_at - WINDOW_SECONDS, 0.001)
    first_end = min((call.at for call in admitted if call.state == "finished"), default=ended_at)
    later = [call for call in calls if back_at is not None and call.at >= back_at + RECOVERY_SECONDS]
    by_process, first = [], 1
    for _, contracts in plan.processes:
        own = {address(first + number) for number in range(contracts)}
        by_process.append(sum(call.contract_address in own for call in admitted if call.at < first_end))
        first += contracts
    return Measurement(
        way=way,
        contracts=first - 1,
        ended_right=ended_right,
        calls=len(calls),
        refused=_refused(calls),
        used_share=len(counted) * REINGEST_UNITS / allowed,
        least_calls=min(by_process),
        most_calls=max(by_process),
        later_calls=len(later),
        later_refused=_refused(later),
    )


def _refused(calls: Sequence[Any]) -> int:
    return sum(call.http_status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as a table.

    :param figures: What ``measure`` gave.
    :return: The one table.
    """
    plan, runs = Plan(**figures["plan"]), [Measurement(**run) for run in figures["measurements"]]
    title = f"Two triggerers and four workers on one key of {plan.units_per_second:,.0f} units a second"
    columns = (
        "budget",
        "ended right",
        "calls",
        "429",
        "429 a minute after",
        "budget used",
        "calls of a process",
    )
    rows = [
        (
            run.way,
            f"{run.ended_right:,} of {run.contracts:,}",
            f"{run.calls:,}",
            f"{run.refused / max(run.calls, 1):.2%}",
            f"{run.later_refused / run.later_calls:.2%}" if run.later_calls else "-",
            f"{run.used_share:.1%}",
            f"{run.least_calls:,} to {run.most_calls:,}",
        )
        for run in runs
    ]
    notes = ["429 a minute after: of the calls from a minute after Redis was back."]
    return [Table(title, columns, rows, notes)]


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, and print a table.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dev.benchmarks.shared_budget",
        description="Measure how well several processes share one account's throughput.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options = {
        "triggerer_contracts": "collections that each triggerer waits for",
        "worker_contracts": "collections that each worker waits for",
        "seconds": "how long each refresh takes",
        "interval": "seconds between two polls of a wait",
        "units_per_second": "the account's throughput",
        "killed_after": "seconds after which Redis is killed",
        "killed_for": "seconds for which it is gone",
    }
    add_options(parser, Plan(), options)
    arguments = vars(parser.parse_args(argv))
    file = arguments.pop("json")
    return run_benchmark("shared_budget", lambda: measure(Plan(**arguments)), tables, file)


if __name__ == "__main__":
    sys.exit(main())
