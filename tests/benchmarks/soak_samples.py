# SPDX-License-Identifier: Apache-2.0
"""Samples and results of a soak, made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dev.benchmarks.soak.kinds import Kind
from dev.benchmarks.soak.results import Scenario, SoakResult
from dev.benchmarks.soak.sampling import Reading, Sample
from dev.benchmarks.soak.verdicts import series_of, verdicts_of

MIB = 1024 * 1024
TRIGGERER, SCHEDULER = "triggerer-1", "scheduler"
SUPERVISOR = Reading(memory=200 * MIB, open_files=10, sockets=4, threads=2, tasks=None)
RUNNER = Reading(memory=150 * MIB, open_files=12, sockets=6, threads=3, tasks=9)
EVERY_SECONDS = 3.0

Change = Callable[[Sample], Sample]


def sample_at(at: float) -> Sample:
    """Make a sample of an Airflow in which nothing but the logs grows."""
    return Sample(
        at=at,
        under_way=10,
        ended=int(at / 2.5),
        task_logs=int(1_000 * at),
        outputs={TRIGGERER: int(100 * at), SCHEDULER: int(999 * at)},
        readings={TRIGGERER: {"7/1": SUPERVISOR, "8/2": RUNNER}, SCHEDULER: {"9/3": SUPERVISOR}},
    )


def samples_of(minutes: float, change: Change = lambda sample: sample) -> list[Sample]:
    count = int(60 * minutes / EVERY_SECONDS) + 1
    return [change(sample_at(number * EVERY_SECONDS)) for number in range(count)]


def leaking(component: str) -> Change:
    """Let a component open a file every three seconds."""

    def change(sample: Sample) -> Sample:
        more = {
            process: replace(reading, open_files=reading.open_files + int(sample.at / 3))
            for process, reading in sample.readings[component].items()
        }
        return replace(sample, readings={**sample.readings, component: more})

    return change


def result_of(samples: Sequence[Sample], troubles: Sequence[str] = (), minutes: float = 2.0) -> SoakResult:
    scenario = Scenario(minutes=minutes)
    series = series_of(samples, [TRIGGERER], turn_seconds=scenario.turn_seconds, waits=12)
    return SoakResult(
        scenario=scenario,
        ended={Kind.SENSOR.value: 5, Kind.TIMED_OUT.value: 4},
        held_back=0,
        samples=samples,
        series=series,
        verdicts=verdicts_of(series, [TRIGGERER]),
        troubles=troubles,
    )
