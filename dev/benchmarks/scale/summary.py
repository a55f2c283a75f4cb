# SPDX-License-Identifier: Apache-2.0
"""What a run's waits and samples come to: JSON values, from which its tables and its picture are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from dev.benchmarks.airflow_cpu import DATABASE
from dev.benchmarks.machine import version_of
from dev.benchmarks.scale.plan import Side
from dev.benchmarks.scale.run import Run
from dev.benchmarks.scale.settings import Scenario
from dev.benchmarks.scale.waits import Wait, delays_of, histogram
from dev.benchmarks.scale.watch import DEFERRED, UNASSIGNED, Sample
from dev.cluster.running import EMULATOR
from dev.local_airflow.ending import QUEUE_SERVER

NOT_AIRFLOWS = frozenset({DATABASE, QUEUE_SERVER, EMULATOR})
DELAYS: dict[str, Callable[[Wait], float | None]] = {
    "job's end to task's end": lambda wait: wait.to_end,
    "job's end to the poll that saw it": lambda wait: wait.to_seen,
    "that poll to task's end": lambda wait: wait.seen_to_end,
}
"""The name of each delay, and how it is read of a wait."""


def summarize(scenario: Scenario, run: Run) -> dict[str, Any]:
    """
    Sum a run up.

    :param scenario: What was to happen.
    :param run: What was seen.
    :return: JSON values.
    """
    submitted = [wait.submitted_at for wait in run.waits if wait.submitted_at is not None]
    ended = [wait.ended_at for wait in run.waits if wait.ended_at is not None]
    return {
        "scenario": asdict(scenario),
        "versions": {one: version_of(one) for one in ("apache-airflow", "airflow-provider-alchemy")},
        "sides": {side.value: _side([wait for wait in run.waits if wait.side is side]) for side in Side},
        "seconds": {
            "requested": round(run.requested_at - run.began_at, 1),
            "submitted": round(max(submitted, default=run.began_at) - run.began_at, 1),
            "ended": round(max(ended, default=run.began_at) - run.began_at, 1),
            "killed": None if run.killed_at is None else round(run.killed_at - run.began_at, 1),
        },
        "peaks": _peaks(run.samples),
        "triggerers": _triggerers(run.samples),
        "cpu_seconds": cpu_used(run.samples),
        "cpu_at_rest": run.cpu_at_rest,
        "sampled_seconds": round(run.samples[-1].at - run.samples[0].at, 1),
        "course": [_point(sample, run.began_at) for sample in run.samples],
        "died": run.died,
        "moved": sum(sample.moved for sample in run.samples),
    }


def _side(waits: Sequence[Wait]) -> dict[str, Any]:
    delays = {name: delays_of(waits, read) for name, read in DELAYS.items()}
    seen = {name: [value for wait in waits if (value := read(wait)) is not None] for name, read in DELAYS.items()}
    return {
        "waits": len(waits),
        "right": sum(wait.is_right for wait in waits),
        "early": sum(wait.to_end is not None and wait.to_end < 0 for wait in waits),
        "not_ended": sum(wait.ended_at is None for wait in waits),
        "calls": sum(wait.calls for wait in waits),
        "calls_after": sum(wait.calls_after for wait in waits),
        "delays": {name: asdict(one) for name, one in delays.items() if one},
        "histograms": {name: histogram(values) for name, values in seen.items()},
    }


def _peaks(samples: Sequence[Sample]) -> dict[str, int]:
    return {
        "under_way": max(sample.states.get(DEFERRED, 0) for sample in samples),
        "unassigned": max(sample.triggers.get(UNASSIGNED, 0) for sample in samples),
        "database_connections": max(sample.database_connections for sample in samples),
    }


def _triggerers(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    names = sorted({name for sample in samples for name in sample.footprints})
    return {
        name: {
            "memory_bytes": max(one.memory_bytes for one in _of(samples, name)),
            "open_files": max(one.open_files for one in _of(samples, name)),
        }
        for name in names
    }


def _of(samples: Iterable[Sample], name: str) -> list[Any]:
    return [sample.footprints[name] for sample in samples if name in sample.footprints]


def cpu_used(samples: Sequence[Sample]) -> dict[str, float]:
    """
    Tell what each component has used.

    :param samples: Looks, in order.
    :return: CPU seconds by component, from the first look to the last that found it.
    """
    first, last = samples[0].cpu_seconds, {}
    for sample in samples:
        last.update(sample.cpu_seconds)
    return {name: round(seconds - first.get(name, 0.0), 2) for name, seconds in last.items()}


def of_airflow(cpu: dict[str, float]) -> float:
    """
    Add up what is Airflow's.

    :param cpu: CPU seconds by component.
    :return: Seconds, without those of database, queue and emulator.
    """
    return sum(seconds for name, seconds in cpu.items() if name not in NOT_AIRFLOWS)


def _point(sample: Sample, began_at: float) -> dict[str, Any]:
    return {
        "seconds": round(sample.at - began_at, 1),
        "triggers": sample.triggers,
        "under_way": sample.states.get(DEFERRED, 0),
        "ended": sample.ended,
    }
