# SPDX-License-Identifier: Apache-2.0
"""What a soak does, and what it has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.soak.flatness import LEAST_MINUTES
from dev.benchmarks.soak.kinds import Load
from dev.benchmarks.soak.sampling import Sample
from dev.benchmarks.soak.verdicts import Series, Verdict


@dataclass(frozen=True)
class Scenario:
    """
    What a soak does.

    :param minutes: How long the time is that counts, its first minute included.
    :param load: What is started.
    :param pace_seconds: Between two starts; each takes about a second of a core, where a worker does it.
    :param wait_seconds: How long a wait takes.
    :param sample_seconds: Between two samples.
    :param fault_probability: How likely each kind of fault is for a call.
    :raises BenchmarkError: It is too short.
    """

    minutes: float = 30.0
    load: Load = Load.ALCHEMY
    pace_seconds: float = 2.5
    wait_seconds: float = 25.0
    sample_seconds: float = 3.0
    fault_probability: float = 0.015

    def __post_init__(self) -> None:
        """Refuse what the rule could say nothing about."""
        if self.minutes < LEAST_MINUTES:
            msg = f"A soak of {self.minutes:g} minutes tells nothing: it takes {LEAST_MINUTES:g} at least."
            raise BenchmarkError(msg)

    @property
    def turn_seconds(self) -> float:
        """How long it takes until each kind was started once; as long where nothing is started."""
        return (len(self.load.turn) or len(Load.ALCHEMY.turn)) * self.pace_seconds


@dataclass(frozen=True)
class SoakResult:
    """
    What a soak has found.

    :param scenario: What it did.
    :param ended: How many waits of each kind ended as they had to.
    :param held_back: How many were not started since the machine did not keep up.
    :param samples: All samples.
    :param series: What they say, by component and measure.
    :param verdicts: What the rule says of it.
    :param troubles: A sentence for each wait that ended wrongly, hung or was lost, and for what could not be measured.
    """

    scenario: Scenario
    ended: dict[str, int]
    held_back: int
    samples: Sequence[Sample]
    series: Sequence[Series]
    verdicts: Sequence[Verdict]
    troubles: Sequence[str]

    @property
    def complaints(self) -> list[str]:
        """Why it is no success, in sentences; empty where it is one."""
        leaks = [verdict.sentence for verdict in self.verdicts if verdict.is_leak]
        return [*self.troubles, *leaks]
