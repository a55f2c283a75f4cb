# SPDX-License-Identifier: Apache-2.0
"""
The rule of a soak, in one place: what counts as flat.

1. The clock starts when the load is steady: a wait of each kind has ended, and the watcher has told something. What an
   Airflow loads and fills on its first waits comes before.
2. The first minute after that does not count.
3. Of each process its floor counts, the least value of a turn, in which each kind of wait starts once: what it holds
   when it does least. While it works it holds more, and how much is a matter of the machine; but what is never given
   back lifts the floor. A component's value is the sum of its processes' floors. All triggerers are judged together, as
   all workers are: which of them gets a trigger or a task is chance, which lifts one floor and lowers another.
4. Logs grow by nature: what has to be flat is how many bytes of them a wait leaves, over as many waits as a turn has.
   Kinds differ in that, and so do waits with and without the service's trouble: it takes five turns to tell.
5. The slope is that of Theil and Sen, the median of all slopes between two moments, in per cent of the mean a minute: a
   single jump or a bad sample does not turn it.
6. More than 1 % a minute is a leak, unless all of the rise is within the measure's grain: what a single wait more, or a
   single cache, makes of it. In half an hour the limit is a rise by 29 %, and the grain plays no part; in the two
   minutes of CI it is what the run can tell at all: a file that every third wait leaves open, some 0.4 MiB a wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

FIRST_SECONDS = 60.0
LEAST_MINUTES = 2.0
"""A shorter soak has too little after its first minute."""
LIMIT_PERCENT = 1.0
LEAST_TURNS = 5
LEAST_MOMENTS = 4
"""Fewer of them have no slope."""
KIB, MIB = 1024, 1024 * 1024


class Measure(StrEnum):
    """What is measured of a component."""

    MEMORY = "memory"
    OPEN_FILES = "open files"
    SOCKETS = "sockets"
    THREADS = "threads"
    TASKS = "asyncio tasks"
    PROCESSES = "processes"
    LOG = "log of a wait"
    WAITS = "waits under way"


GRAINS: dict[Measure, float] = {
    Measure.MEMORY: 5 * MIB,
    Measure.OPEN_FILES: 4,
    Measure.SOCKETS: 4,
    Measure.THREADS: 3,
    Measure.TASKS: 4,
    Measure.PROCESSES: 3,
    Measure.LOG: 4 * KIB,
    Measure.WAITS: 3,
}
"""The rise that is no leak however short the run."""

Moments = Sequence[tuple[float, float]]
"""Seconds and values, in order."""


class State(StrEnum):
    """What is said of a measure."""

    FLAT = "flat"
    GRAIN = "flat, rise within the grain"
    RISING = "RISING"
    NOT_JUDGED = "not judged"
    TOO_SHORT = "too little to tell"


@dataclass(frozen=True)
class Flatness:
    """
    How flat a measure was.

    :param start: Its first value that counts.
    :param end: Its last one.
    :param percent: Its slope, in per cent of its mean a minute.
    :param rise: Its slope over the time between the two, in its own unit.
    :param state: What that means.
    """

    start: float
    end: float
    percent: float
    rise: float
    state: State


def flatness(measure: Measure, values: Moments) -> Flatness | None:
    """
    Apply the rule to what counts of a measure: sums of floors, or logs of a wait.

    :param measure: What was measured.
    :param values: The values.
    :return: How flat they were; None where there are none.
    """
    if not values:
        return None
    start, end = values[0][1], values[-1][1]
    if len(values) < LEAST_MOMENTS:
        return Flatness(start, end, 0.0, 0.0, State.TOO_SHORT)
    mean = fmean(value for _, value in values)
    a_minute = 60 * slope(values)
    percent = 100 * a_minute / mean if mean else 0.0
    rise = a_minute * (values[-1][0] - values[0][0]) / 60
    state = State.FLAT if percent <= LIMIT_PERCENT else State.GRAIN if rise <= GRAINS[measure] else State.RISING
    return Flatness(start, end, percent, rise, state)


def floors(values: Moments, turn_seconds: float) -> list[tuple[float, float]]:
    """
    Give the least value of the turn before each moment, of what counts.

    :param values: What was measured of a process, since the clock was started.
    :param turn_seconds: The length of a turn.
    :return: A floor for each moment that has a turn before it, after the first minute.
    """
    counted = [(at, value) for at, value in values if at >= FIRST_SECONDS]
    found, first = [], 0
    for last, (at, _) in enumerate(counted):
        while counted[first][0] <= at - turn_seconds:
            first += 1
        if at >= FIRST_SECONDS + turn_seconds:
            found.append((at, min(value for _, value in counted[first : last + 1])))
    return found


def logs_of_a_wait(values: Sequence[tuple[float, float, int]], waits: int) -> list[tuple[float, float]]:
    """
    Tell how many bytes of log a wait left, of the waits that ended before each moment.

    :param values: Seconds since the clock was started, bytes, and how many waits had ended.
    :param waits: Over how many waits.
    :return: Bytes of a wait for each moment that has so many waits before it, after the first minute; none where fewer
        than five times as many ended then.
    """
    counted = [value for value in values if value[0] >= FIRST_SECONDS]
    if not counted or not waits or counted[-1][2] - counted[0][2] < LEAST_TURNS * waits:
        return []
    found = []
    for at, size, ended in counted:
        before = [(then_size, then) for _, then_size, then in counted if then <= ended - waits]
        if before:
            then_size, then = before[-1]
            found.append((at, (size - then_size) / (ended - then)))
    return found


def slope(values: Moments) -> float:
    """
    Give the median of all slopes between two moments.

    :param values: At least two of them.
    :return: The slope a second.
    """
    return median(
        (later - value) / (then - at)
        for place, (at, value) in enumerate(values)
        for then, later in values[place + 1 :]
        if then > at
    )


def shown(measure: Measure, value: float) -> str:
    """
    Write a value for people.

    :param measure: What was measured.
    :param value: The value.
    :return: A number, with its unit where it has one.
    """
    if measure is Measure.MEMORY:
        return f"{value / MIB:,.1f} MiB"
    return f"{value / KIB:,.1f} KiB" if measure is Measure.LOG else f"{value:,.0f}"
