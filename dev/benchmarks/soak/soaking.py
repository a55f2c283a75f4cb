# SPDX-License-Identifier: Apache-2.0
"""
A soak of a running cluster: warm-up, the time that counts, and the end of everything that was started.

One loop does all of it in turn: a start, a look at what is under way, an announcement, a sample. A slow answer makes
the next one late and nothing else, since every value carries its own time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_alchemy.testing import RemoteEmulator
from dev.benchmarks.soak.announcements import Announcements
from dev.benchmarks.soak.flatness import Measure
from dev.benchmarks.soak.kinds import WATCHED, Load
from dev.benchmarks.soak.results import Scenario, SoakResult
from dev.benchmarks.soak.sampling import Sample, Sampler
from dev.benchmarks.soak.stream import Stream
from dev.benchmarks.soak.verdicts import Series, series_of, steady_processes, verdicts_of
from dev.cluster import Cluster
from dev.local_airflow import LocalAirflow
from dev.local_airflow.command_lines import TRIGGERER, WORKER
from dev.local_airflow.waiting import wait_until

DAGS = Path(__file__).parent / "dags"
STEP_SECONDS = 0.2
BEGIN_SECONDS = 5.0
"""Between two questions whether the watcher has told anything yet, which read all events."""
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "http", "status": 500},
    {"kind": "http", "status": 429, "retry_after": 1},
    {"kind": "reset"},
    {"kind": "html"},
)


def soak(
    cluster: Cluster,
    minutes: float = 2.0,
    *,
    scenario: Scenario | None = None,
    judged: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> SoakResult:
    """
    Let a running cluster work, and look what grows.

    Its DAG folder must have the files of ``DAGS``, and its environment what ``counting_environment``
    gives: else no asyncio tasks are counted, which is told as a trouble.

    :param cluster: The cluster; its emulator's faults are cleared at the end, and the watcher's DAG is paused.
    :param minutes: How long, where no scenario is given. Default: what CI takes.
    :param scenario: What is done; default: that of :class:`Scenario`, for ``minutes``.
    :param judged: Names of components; default: all triggerers and workers. Of the others it is only told how flat they
        are.
    :param tell: Is told how it goes.
    :return: What was found.
    :raises LocalAirflowError: The load does not get steady, or Airflow gives no good answer.
    """
    scenario = scenario or Scenario(minutes=minutes)
    airflow = cluster.airflow
    chosen = judged or [name for name in airflow.processes if name.startswith((TRIGGERER, WORKER))]
    with _service_of(cluster.emulator, scenario), _watcher(airflow, cluster.emulator, scenario) as announcements:
        run = _Run(airflow, cluster.emulator, scenario, announcements, tell)
        run.warm_up()
        samples = run.measure()
        troubles = run.end()
    series = series_of(samples, chosen, turn_seconds=scenario.turn_seconds, waits=len(scenario.load.turn))
    return SoakResult(
        scenario=scenario,
        ended=run.ended,
        held_back=run.stream.held_back,
        samples=samples,
        series=series,
        verdicts=verdicts_of(series, chosen),
        troubles=[*troubles, *_unmeasured(airflow, samples, series, chosen)],
    )


class _Run:
    def __init__(
        self,
        airflow: LocalAirflow,
        emulator: RemoteEmulator,
        scenario: Scenario,
        announcements: Announcements | None,
        tell: Callable[[str], None],
    ) -> None:
        self._airflow = airflow
        self._scenario = scenario
        self._announcements = announcements
        self._tell = tell
        self.stream = Stream(
            airflow,
            emulator,
            scenario.load,
            pace_seconds=scenario.pace_seconds,
            wait_seconds=scenario.wait_seconds,
        )

    @property
    def ended(self) -> dict[str, int]:
        """How many waits of each kind have ended."""
        return {kind.value: self.stream.ended[kind] for kind in dict.fromkeys(self._scenario.load.turn)}

    def step(self) -> None:
        """Do what is due."""
        self.stream.start_what_is_due()
        self.stream.look()
        if self._announcements:
            self._announcements.announce_what_is_due()

    def warm_up(self) -> None:
        """Work until a wait of each kind has ended, and the watcher has told something."""
        self._tell("Warming up until a wait of each kind has ended …")

        def have_all_ended() -> bool:
            self.step()
            return not self.stream.kinds_without_end

        wait_until(
            have_all_ended,
            moves=lambda: self.stream.kinds_without_end,
            failure=lambda: (
                f"No wait has ended yet of: {', '.join(sorted(self.stream.kinds_without_end))}."
                f" {' '.join(self.stream.troubles)}"
            ),
            interval_seconds=STEP_SECONDS,
        )
        self._wait_for_the_watcher()

    def _wait_for_the_watcher(self) -> None:
        asked = 0.0

        def has_begun() -> bool:
            nonlocal asked
            self.step()
            if self._announcements is None or time.monotonic() < asked + BEGIN_SECONDS:
                return self._announcements is None
            asked = time.monotonic()
            return self._announcements.has_begun()

        wait_until(
            has_begun,
            failure=lambda: f"The watcher of {WATCHED} has told nothing yet",
            interval_seconds=STEP_SECONDS,
        )

    def measure(self) -> list[Sample]:
        """Work for as long as it counts, and take samples."""
        scenario, sampler = self._scenario, Sampler(self._airflow, [*self._airflow.processes])
        self._tell(f"Steady: the clock runs for {scenario.minutes:g} minutes …")
        samples = [self._sample(sampler)]
        while samples[-1].at < 60 * scenario.minutes:
            self.step()
            if sampler.seconds >= len(samples) * scenario.sample_seconds:
                samples.append(self._sample(sampler))
                if samples[-1].at // 60 > samples[-2].at // 60:
                    self._tell(_progress(samples[-1], scenario))
            time.sleep(STEP_SECONDS)
        return samples

    def _sample(self, sampler: Sampler) -> Sample:
        return sampler.sample(self.stream.under_way, self.stream.ended.total())

    def end(self) -> list[str]:
        """Wait for the end of what is under way; give a sentence for each wait that did not end as it had to."""
        self._tell(f"Waiting for the end of {self.stream.under_way} waits …")
        while self.stream.under_way:
            # Those that hang are given up by the stream.
            self.stream.look()
            time.sleep(STEP_SECONDS)
        return [*self.stream.troubles, *(self._announcements.end() if self._announcements else ())]


@contextmanager
def _service_of(emulator: RemoteEmulator, scenario: Scenario) -> Iterator[None]:
    # Runs with a literal contract share it: each has to start a refresh of its own.
    emulator.post("settings", after_finished="restart")
    for fault in FAULTS if scenario.fault_probability else ():
        emulator.post("faults", **fault, probability=scenario.fault_probability)
    try:
        yield
    finally:
        emulator.clear_faults()
        emulator.post("settings", after_finished="report")


@contextmanager
def _watcher(airflow: LocalAirflow, emulator: RemoteEmulator, scenario: Scenario) -> Iterator[Announcements | None]:
    if scenario.load is not Load.ALCHEMY:
        yield None
        return
    airflow.unpause_dag(WATCHED)
    try:
        yield Announcements(airflow, emulator)
    finally:
        airflow.pause_dag(WATCHED)


def _progress(sample: Sample, scenario: Scenario) -> str:
    minutes = f"{sample.at / 60:.0f} of {scenario.minutes:g} minutes"
    return f"{minutes}: {sample.under_way} waits under way, {sample.ended} have ended."


def _unmeasured(
    airflow: LocalAirflow, samples: Sequence[Sample], series: Sequence[Series], judged: Sequence[str]
) -> Iterator[str]:
    for name in airflow.ended_by_themselves():
        yield f"The {name} ended by itself."
    counted = {one.component for one in series if one.measure is Measure.TASKS}
    for name in judged:
        if not steady_processes(name, samples):
            yield f"No process of the {name} lived through the whole time."
        elif name.startswith(TRIGGERER) and name not in counted:
            yield f"The asyncio tasks of the {name} were not counted: it was started without counting_environment()."
