# SPDX-License-Identifier: Apache-2.0
"""
What an adaptive interval costs and how late it is, next to a fixed one: ``python -m dev.benchmarks.adaptive_polling``.

The clock is virtual, the interval is the provider's own, and the emulator's jobs answer. What matters is the chance of
how a poll falls into a job, so each case is played many times over.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, pstdev, quantiles
from typing import Any

from airflow_provider_alchemy.api.endpoints import read_progress
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.testing import jobs
from airflow_provider_alchemy.testing.settings import Settings
from airflow_provider_alchemy.waits.interval import Interval, Progress, progress_after
from dev.benchmarks.tables import Table

INTERVAL_SECONDS = 60.0
MAX_INTERVAL_SECONDS = 600.0
FIXED = Interval(seconds=INTERVAL_SECONDS)
ADAPTIVE = Interval(seconds=INTERVAL_SECONDS, max_seconds=MAX_INTERVAL_SECONDS, adaptive=True)

PHASES = 2000
FEWER_PHASES = 400
WAITS_AT_ONCE = 1000
THROUGHPUT_WINDOW_SECONDS = 10
"""Alchemy counts an account's throughput over it."""

_BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
_SETTINGS = Settings()

FirstDelay = Callable[[random.Random, float], float]
"""From the delay that the interval gives, the delay between the submission and the second poll."""

RECOMMENDED = "after() + 0 to 1/2 interval"
FIRST_DELAYS: dict[str, FirstDelay] = {
    "0 to 1 interval": lambda chance, _: chance.uniform(0, INTERVAL_SECONDS),
    "1/2 to 3/2 interval": lambda chance, _: chance.uniform(INTERVAL_SECONDS / 2, INTERVAL_SECONDS * 3 / 2),
    "after()": lambda _, delay: delay,
    RECOMMENDED: lambda chance, delay: delay + chance.uniform(0, INTERVAL_SECONDS / 2),
    "after() + 0 to 1 interval": lambda chance, delay: delay + chance.uniform(0, INTERVAL_SECONDS),
}
OF_THE_FIXED = "0 to 1 interval"


@dataclass(frozen=True)
class Case:
    """
    A kind of refresh.

    :param name: What is special about it.
    :param running: Its shortest and its longest time in progress, in seconds.
    :param queued: The same of its time in the queue.
    :param reported: Gives the progress that is reported from the part of the time in progress that is over; default:
        the emulator's, linear and cut to whole percents.
    """

    name: str
    running: tuple[float, float]
    queued: tuple[float, float] = (0, 0)
    reported: Callable[[float], float | None] | None = None


@dataclass(frozen=True)
class Wait:
    """
    One wait, from the submission to the poll that saw the end.

    :param polls: When it polled, in seconds since the submission.
    :param delay_seconds: How long after the end it saw it.
    :param length_seconds: How long the refresh took, with its time in the queue.
    """

    polls: list[float]
    delay_seconds: float
    length_seconds: float


def play(case: Case, interval: Interval, first_delay: FirstDelay, chance: random.Random) -> Wait:
    """
    Play one wait in virtual time.

    :param case: The refresh.
    :param interval: How often the wait polls.
    :param first_delay: When it polls for the second time.
    :param chance: Where randomness comes from.
    :return: What happened.
    """
    plan = jobs.JobPlan(queued_seconds=chance.uniform(*case.queued), running_seconds=chance.uniform(*case.running))
    polls, now, progress = [0.0], 0.0, None
    job, report = jobs.ask(plan, None, now, _SETTINGS)
    while report.state != RefreshState.FINISHED:
        progress = _progress_after(progress, case, plan, report, now)
        delay = interval.after(len(polls), progress)
        now += first_delay(chance, delay) if len(polls) == 1 else delay
        polls.append(now)
        job, report = jobs.ask(plan, job, now, _SETTINGS)
    end = jobs.ends_at(plan, job)
    return Wait(polls, now - end, end)


def _progress_after(
    earlier: Progress | None, case: Case, plan: jobs.JobPlan, report: jobs.Report, now: float
) -> Progress:
    percent: float | None = report.progress
    is_queued = RefreshState.read(report.state) != RefreshState.IN_PROGRESS
    if case.reported is not None and not is_queued:
        percent = case.reported((now - plan.queued_seconds) / plan.running_seconds)
    return progress_after(earlier, _BEGIN + timedelta(seconds=now), read_progress(percent), is_queued=is_queued)


def _cases() -> tuple[list[Case], list[Case]]:
    """Give the two refreshes that the policy is made for, and all others that it must not fail at."""
    queue = (5.0, 120.0)
    ten_minutes, one_hour = (600.0, 600.0), (3600.0, 3600.0)
    main = [
        Case("10 min", ten_minutes),
        Case("10 min, queued 5 to 120 s", ten_minutes, queue),
        Case("1 h", one_hour),
        Case("1 h, queued 5 to 120 s", one_hour, queue),
    ]
    lengths = {"30 s": 30, "90 s": 90, "5 min": 300, "30 min": 1800, "3 h": 10800}
    others = [Case(f"{name} \u00b1 5 %", (0.95 * length, 1.05 * length), queue) for name, length in lengths.items()]
    others += [
        Case(f"{name} \u00b1 5 %, {what}", (0.95 * length, 1.05 * length), queue, reported)
        for what, reported in _REPORTS.items()
        for name, length in (("10 min", 600), ("1 h", 3600))
    ]
    return main, others


def _in_steps(step: int, progress: Callable[[float], float] = lambda done: done) -> Callable[[float], float]:
    return lambda done: int(100 * progress(done)) // step * step


def _stalled(done: float) -> float:
    """Stand still for a quarter of the time."""
    return 0.8 * min(done, 0.375) + max(done - 0.625, 0) / 0.375 * 0.7


_REPORTS: dict[str, Callable[[float], float | None]] = {
    "steps of 5 %": _in_steps(5),
    "steps of 10 %": _in_steps(10),
    "rounded to the nearest": lambda done: round(100 * done),
    "no progress": lambda _: None,
    "slow start": _in_steps(1, lambda done: done**2),
    "slow end": _in_steps(1, lambda done: 1 - (1 - done) ** 2),
    "slow start and end": _in_steps(1, lambda done: done**2 * (3 - 2 * done)),
    "stalls for 1/4": _in_steps(1, _stalled),
    "0 % for the first 2/5": _in_steps(1, lambda done: max(done - 0.4, 0) / 0.6),
    "99 % for the last 1/5": _in_steps(1, lambda done: 0.99 * min(done / 0.8, 1)),
}


def measure(phases: int = PHASES, fewer_phases: int = FEWER_PHASES) -> dict[str, Any]:
    """
    Play every case.

    :param phases: How often each of the main cases is played.
    :param fewer_phases: How often each of the others is.
    :return: JSON values: ``main``, ``others`` and ``bursts``, a list of rows each.
    """
    main, others = _cases()
    return {
        "interval_seconds": INTERVAL_SECONDS,
        "max_interval_seconds": MAX_INTERVAL_SECONDS,
        "phases": phases,
        "fewer_phases": fewer_phases,
        "main": [_compare(case, first, phases) for case in main for first in FIRST_DELAYS],
        "others": [_compare(case, RECOMMENDED, fewer_phases) for case in others],
        "bursts": [_burst(first) for first in FIRST_DELAYS],
    }


def _compare(case: Case, first: str, phases: int) -> dict[str, Any]:
    fixed = _figures(case, FIXED, FIRST_DELAYS[OF_THE_FIXED], phases)
    adaptive = _figures(case, ADAPTIVE, FIRST_DELAYS[first], phases)
    share = adaptive["calls"]["mean"] / fixed["calls"]["mean"]
    return {"case": case.name, "first_delay": first, "fixed": fixed, "adaptive": adaptive, "share_of_calls": share}


def _figures(case: Case, interval: Interval, first_delay: FirstDelay, phases: int) -> dict[str, Any]:
    chance = random.Random(case.name)  # noqa: S311 - a simulation
    waits = [play(case, interval, first_delay, chance) for _ in range(phases)]
    return {
        "calls": _spread([len(wait.polls) for wait in waits]),
        "delay_seconds": _spread([wait.delay_seconds for wait in waits]),
        "relative_delay": fmean(wait.delay_seconds / wait.length_seconds for wait in waits),
    }


def _spread(values: list[float] | list[int]) -> dict[str, float]:
    return {
        "mean": fmean(values),
        "deviation": pstdev(values),
        "least": min(values),
        "95 %": quantiles(values, n=20)[-1],
        "most": max(values),
    }


def _burst(first: str) -> dict[str, Any]:
    """Let many waits begin at once, on refreshes of 8 to 12 minutes, and find the time at which most calls come."""
    chance = random.Random(first)  # noqa: S311 - a simulation
    case = Case("8 to 12 min", (480, 720))
    waits = [play(case, ADAPTIVE, FIRST_DELAYS[first], chance) for _ in range(WAITS_AT_ONCE)]
    return {
        "first_delay": first,
        "second_polls": _most_in_a_window([wait.polls[1] for wait in waits]),
        "all_later_polls": _most_in_a_window([poll for wait in waits for poll in wait.polls[2:]]),
    }


def _most_in_a_window(moments: list[float]) -> int:
    return max(Counter(moment // THROUGHPUT_WINDOW_SECONDS for moment in moments).values())


def tables(figures: dict[str, Any]) -> list[Table]:
    """
    Write what was measured as tables.

    :param figures: What ``measure`` gave.
    :return: The tables.
    """
    heads = ("calls, fixed", "adaptive", "share", "delay, fixed", "adaptive", "95 % within", "of the length, fixed")
    note = (
        f"Fixed: every {INTERVAL_SECONDS:g} s, the second poll after {OF_THE_FIXED}. Adaptive: {INTERVAL_SECONDS:g} to "
        f"{MAX_INTERVAL_SECONDS:g} s. Mean \u00b1 standard deviation; calls with the submission; delay in seconds from "
        "the end of the refresh to the poll that sees it."
    )
    return [
        Table(
            f"The refreshes that matter, {figures['phases']:,} phases each, by the rule for the second poll",
            ("refresh", "second poll", *heads, "adaptive"),
            [(row["case"], row["first_delay"], *_cells(row)) for row in figures["main"]],
            (note,),
        ),
        Table(
            f"All others, {figures['fewer_phases']:,} phases each, second poll {RECOMMENDED}, queued 5 to 120 s",
            ("refresh", *heads, "adaptive"),
            [(row["case"], *_cells(row)) for row in figures["others"]],
        ),
        Table(
            f"{WAITS_AT_ONCE:,} waits that begin at once: most calls in {THROUGHPUT_WINDOW_SECONDS} s",
            ("second poll", "second polls", "later polls"),
            [(row["first_delay"], f"{row['second_polls']}", f"{row['all_later_polls']}") for row in figures["bursts"]],
        ),
    ]


def _cells(row: dict[str, Any]) -> list[str]:
    fixed, adaptive = row["fixed"], row["adaptive"]
    return [
        f"{fixed['calls']['mean']:.1f}",
        f"{adaptive['calls']['mean']:.2f} ({adaptive['calls']['least']} to {adaptive['calls']['most']})",
        f"{row['share_of_calls']:.0%}",
        *(
            f"{each['delay_seconds']['mean']:.1f} \u00b1 {each['delay_seconds']['deviation']:.1f}"
            for each in (fixed, adaptive)
        ),
        f"{adaptive['delay_seconds']['95 %']:.1f}",
        *(f"{each['relative_delay']:.1%}" for each in (fixed, adaptive)),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.adaptive_polling", description="Adaptive polling")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON too")
    options = parser.parse_args()
    figures = measure()
    for table in tables(figures):
        print(table.text())  # noqa: T201 - a command
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
