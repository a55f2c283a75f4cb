# SPDX-License-Identifier: Apache-2.0
"""
What became of each wait, put together from three witnesses: the plan, the emulator's calls and Airflow's database.

No I/O here: what was read is only compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from airflow_provider_alchemy.testing.calls import Call
from dev.benchmarks.scale.plan import Place, Side, side_of

FINISHED = "finished"
SUCCESS = "success"
WIDTHS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""The widths that a histogram's classes may have, in seconds."""


@dataclass(frozen=True)
class TaskEnd:
    """
    A task instance as the database has it.

    :param state: Its state.
    :param ended_at: When it ended, in seconds since the epoch; None: it has not.
    """

    state: str | None
    ended_at: float | None


@dataclass(frozen=True)
class Wait:
    """
    One wait. Moments are seconds since the epoch, all of one machine's clock.

    :param side: Where it began and ended.
    :param state: The state of its task.
    :param submitted_at: When its first call arrived; None: there was none.
    :param job_ended_at: When the refresh ended, whoever saw it.
    :param seen_at: When the first call arrived that was told so.
    :param ended_at: When its task ended.
    :param calls: How many calls there were.
    :param calls_after: How many came after the one that was told the end.
    """

    side: Side
    state: str | None
    submitted_at: float | None
    job_ended_at: float | None
    seen_at: float | None
    ended_at: float | None
    calls: int
    calls_after: int

    @property
    def is_right(self) -> bool:
        """Whether its task succeeded, and not before the refresh had ended."""
        return self.state == SUCCESS and self.to_end is not None and self.to_end >= 0

    @property
    def to_seen(self) -> float | None:
        """Seconds from the refresh's end to the call that was told of it."""
        return _between(self.job_ended_at, self.seen_at)

    @property
    def seen_to_end(self) -> float | None:
        """Seconds from there to the task's end."""
        return _between(self.seen_at, self.ended_at)

    @property
    def to_end(self) -> float | None:
        """Seconds from the refresh's end to the task's."""
        return _between(self.job_ended_at, self.ended_at)


def _between(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else second - first


def put_together(
    places: Mapping[Place, str],
    seconds: Mapping[str, float],
    calls: Iterable[Call],
    ends: Mapping[Place, TaskEnd],
) -> list[Wait]:
    """
    Tell what became of each wait.

    :param places: Task instance to contract address: the waits that there should be.
    :param seconds: Contract address to how long its refresh took from its submission, which is the first call.
    :param calls: What the emulator was asked, in order.
    :param ends: Task instances as the database has them.
    :return: The waits, in the order of ``places``.
    """
    by_contract: dict[str | None, list[Call]] = defaultdict(list)
    for call in calls:
        by_contract[call.contract_address].append(call)
    return [
        _wait(side_of(place), seconds[contract], by_contract[contract], ends.get(place, TaskEnd(None, None)))
        for place, contract in places.items()
    ]


def _wait(side: Side, seconds: float, calls: Sequence[Call], end: TaskEnd) -> Wait:
    told = next((number for number, call in enumerate(calls) if call.state == FINISHED), None)
    submitted_at = calls[0].at if calls else None
    return Wait(
        side=side,
        state=end.state,
        submitted_at=submitted_at,
        job_ended_at=None if submitted_at is None else submitted_at + seconds,
        seen_at=None if told is None else calls[told].at,
        ended_at=end.ended_at,
        calls=len(calls),
        calls_after=0 if told is None else len(calls) - told - 1,
    )


@dataclass(frozen=True)
class Delays:
    """
    How late something was, over many waits, in seconds.

    :param count: How many.
    :param median: The middle one.
    :param p95: What 95 of 100 are below.
    :param p99: What 99 of 100 are below.
    :param longest: The longest.
    """

    count: int
    median: float
    p95: float
    p99: float
    longest: float


def delays_of(waits: Iterable[Wait], which: Callable[[Wait], float | None]) -> Delays | None:
    """
    Sum a delay up.

    :param waits: The waits.
    :param which: Reads the delay of one; None: it has none, and does not count.
    :return: The figures; None where no wait has one.
    """
    values = [value for value in map(which, waits) if value is not None]
    if not values:
        return None
    # It wants two values at least, and of one value every quantile is that value.
    hundredths = quantiles(values * 2 if len(values) == 1 else values, n=100, method="inclusive")
    return Delays(len(values), median(values), hundredths[94], hundredths[98], max(values))


def histogram(values: Iterable[float]) -> list[int]:
    """
    Count delays by their whole seconds.

    :param values: Seconds; less than 0 counts as 0.
    :return: The numbers of delays of 0 s, of 1 s and so on, up to the last second that has one.
    """
    counts = Counter(max(int(value), 0) for value in values)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def widened(counts: Sequence[int], classes: int) -> tuple[int, list[int]]:
    """
    Make a histogram coarser, until there are few enough classes to look at.

    :param counts: The numbers of each second.
    :param classes: How many classes there may be; for a longer histogram the widest class has to do.
    :return: How wide a class is now, in seconds, and the numbers.
    """
    width = next((width for width in WIDTHS if width * classes >= len(counts)), WIDTHS[-1])
    return width, [sum(counts[first : first + width]) for first in range(0, len(counts), width)]
