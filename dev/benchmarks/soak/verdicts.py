# SPDX-License-Identifier: Apache-2.0
"""
From samples to verdicts: which values make a component's series, and which series are judged.

A component is the processes of it that lived through the whole soak: the triggerer with its runner, a Celery worker
with its pool. The process of a task lives for a second, and is counted with the processes only. What is judged are all
components of a kind together; each alone is shown.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dev.benchmarks.soak.flatness import (
    LIMIT_PERCENT,
    Flatness,
    Measure,
    Moments,
    State,
    flatness,
    floors,
    logs_of_a_wait,
    shown,
)
from dev.benchmarks.soak.sampling import Reading, Sample

LOGS = "logs"
STREAM = "stream"
OF_PROCESSES: dict[Measure, Callable[[Reading], int | None]] = {
    Measure.MEMORY: lambda reading: reading.memory,
    Measure.OPEN_FILES: lambda reading: reading.open_files,
    Measure.SOCKETS: lambda reading: reading.sockets,
    Measure.THREADS: lambda reading: reading.threads,
    Measure.TASKS: lambda reading: reading.tasks,
}


@dataclass(frozen=True)
class Series:
    """
    A measure of a component over time.

    :param component: The component, ``logs`` or ``stream``.
    :param measure: The measure.
    :param values: Seconds since the clock was started, and values: all of the component's processes together.
    :param counted: What of it counts by the rule of ``flatness``.
    """

    component: str
    measure: Measure
    values: Moments
    counted: Moments


@dataclass(frozen=True)
class Verdict:
    """
    What is said of a measure of a component.

    :param component: The component.
    :param measure: The measure.
    :param flatness: How flat it was.
    """

    component: str
    measure: Measure
    flatness: Flatness

    @property
    def is_leak(self) -> bool:
        """Whether it rises by more than the limit."""
        return self.flatness.state is State.RISING

    @property
    def is_judged(self) -> bool:
        """Whether it counts at all."""
        return self.flatness.state is not State.NOT_JUDGED

    @property
    def sentence(self) -> str:
        """What it says, as a sentence."""
        one = self.flatness
        span = f"{shown(self.measure, one.start)} to {shown(self.measure, one.end)}"
        slope = f"{one.percent:+.2f} % a minute, which is more than {LIMIT_PERCENT:g}"
        return f"{self.component}: {self.measure} went from {span}, {slope}."


def kinds_of(components: Sequence[str]) -> dict[str, list[str]]:
    """
    Group components by their kind.

    :param components: Such as ``triggerer-1`` and ``triggerer-2``.
    :return: Such as ``all triggerers``, with the components.
    """
    kinds: dict[str, list[str]] = {}
    for name in components:
        kinds.setdefault(f"all {name.partition('-')[0]}s", []).append(name)
    return kinds


def series_of(samples: Sequence[Sample], judged: Sequence[str], *, turn_seconds: float, waits: int) -> list[Series]:
    """
    Make all series of a soak.

    :param samples: The samples, at least one.
    :param judged: The components that are judged.
    :param turn_seconds: The length of a turn.
    :param waits: The number of its waits.
    :return: The series, by kind of component and by component; a measure that nobody took is not among them.
    """
    groups = {**kinds_of(judged), **{name: [name] for name in samples[0].readings}}
    series = [one for name, members in groups.items() for one in _series_of(name, members, samples, turn_seconds)]
    sizes = [float(one.task_logs + sum(one.outputs[name] for name in judged)) for one in samples]
    logs = [(one.at, size) for one, size in zip(samples, sizes, strict=True)]
    by_wait = logs_of_a_wait([(one.at, size, one.ended) for one, size in zip(samples, sizes, strict=True)], waits)
    under_way = [(one.at, float(one.under_way)) for one in samples]
    return [
        *series,
        Series(LOGS, Measure.LOG, logs, by_wait),
        Series(STREAM, Measure.WAITS, under_way, floors(under_way, turn_seconds)),
    ]


def verdicts_of(series: Sequence[Series], judged: Sequence[str]) -> list[Verdict]:
    """
    Apply the rule to all series.

    :param series: The series.
    :param judged: The components that are judged, with the others of their kind.
    :return: A verdict for each series that has values that count; of what is not judged it only tells how flat it was.
    """
    verdicts = []
    for one in series:
        found = flatness(one.measure, one.counted)
        if found is None:
            continue
        if one.component not in {*kinds_of(judged), LOGS}:
            found = replace(found, state=State.NOT_JUDGED)
        verdicts.append(Verdict(one.component, one.measure, found))
    return verdicts


def steady_processes(component: str, samples: Sequence[Sample]) -> set[str]:
    """
    Find the processes of a component that lived through all samples.

    :param component: The component.
    :param samples: The samples.
    :return: The processes.
    """
    return samples[0].readings[component].keys() & samples[-1].readings[component].keys()


def _series_of(name: str, members: Sequence[str], samples: Sequence[Sample], turn_seconds: float) -> Iterator[Series]:
    steady = {process for component in members for process in steady_processes(component, samples)}
    # No two processes of a machine have the same number and start.
    readings = [(one.at, dict(ChainMap(*(one.readings[component] for component in members)))) for one in samples]
    for measure, read in OF_PROCESSES.items():
        processes = _by_process(readings, steady, read)
        if processes:
            counted = [floors(values, turn_seconds) for values in processes]
            yield Series(name, measure, _sum(processes), _sum(counted))
    count = [(at, float(len(found))) for at, found in readings]
    if steady:
        yield Series(name, Measure.PROCESSES, count, floors(count, turn_seconds))


def _by_process(
    readings: Sequence[tuple[float, Mapping[str, Reading]]],
    steady: Collection[str],
    read: Callable[[Reading], int | None],
) -> list[Moments]:
    known = [(at, {process: read(found[process]) for process in steady if process in found}) for at, found in readings]
    # Only some of the processes count their tasks.
    counting = {process for _, values in known for process, value in values.items() if value is not None}
    # A moment at which one is missing was while its file was written.
    whole = [(at, values) for at, values in known if all(values.get(process) is not None for process in counting)]
    return [[(at, float(values[process] or 0)) for at, values in whole] for process in counting]


def _sum(processes: Sequence[Moments]) -> list[tuple[float, float]]:
    return [(moments[0][0], sum(value for _, value in moments)) for moments in zip(*processes, strict=True)]
