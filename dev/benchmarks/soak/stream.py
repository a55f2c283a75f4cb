# SPDX-License-Identifier: Apache-2.0
"""
The steady stream of waits: one starts every few seconds, each is looked at until it ended, and its end is checked.

A kind that has a wait under way for too long is not started once more: on a machine that cannot keep up, waits would
pile up, and everything that grows with them would look like a leak.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dev.benchmarks.soak.endings import trouble_with
from dev.benchmarks.soak.kinds import Kind, Load
from dev.benchmarks.soak.plans import Plan, Service, plan_of
from dev.local_airflow import DagRun, LocalAirflow
from dev.local_airflow.rest import ApiServerUnreachableError, NotFoundError
from dev.local_airflow.runs import FINAL_STATES

LOOK_SECONDS, EARLY_LOOK_SECONDS = 1.0, 5.0
"""Between two looks at a run that is due, and at one that is not: each takes the API server 10 ms."""
HANG_LOOKS = 240
"""How often a wait that is due may be looked at, a second apart at least: a busy machine looks seldom."""
MOST_OF_A_KIND = 3
"""Waits of a kind that may be under way for each time that it is started in a turn."""


@dataclass
class Wait:
    """
    A wait under way.

    :param kind: Its kind.
    :param plan: How it was prepared.
    :param run: Its run.
    :param started: When it was started, in seconds since the epoch.
    :param due: When it is to end.
    :param is_acted: Whether what ends it was done.
    :param looked: When it was looked at last.
    :param late_looks: How often it was looked at when it was due and had not ended.
    """

    kind: Kind
    plan: Plan
    run: DagRun
    started: float
    due: float
    is_acted: bool = False
    looked: float = 0.0
    late_looks: int = 0


class Stream:
    """
    Starts waits and watches them.

    :param airflow: Where they run.
    :param service: What they wait for.
    :param load: Which ones.
    :param pace_seconds: Between two starts.
    :param wait_seconds: How long each takes.
    :param clock: Gives seconds since the epoch.
    """

    def __init__(
        self,
        airflow: LocalAirflow,
        service: Service,
        load: Load,
        *,
        pace_seconds: float,
        wait_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._airflow = airflow
        self._service = service
        self._turn = load.turn
        self._pace_seconds = pace_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        # Collections of an earlier soak on the same emulator are not met again.
        self._number = secrets.randbits(48) << 24
        self._starts = 0
        self._next_start = 0.0
        self._waits: list[Wait] = []
        self.ended: Counter[Kind] = Counter()
        """How many waits of each kind have ended."""
        self.held_back = 0
        """How many starts were left out since the machine did not keep up."""
        self.troubles: list[str] = []
        """A sentence for each wait that ended wrongly, hung or was lost."""

    @property
    def under_way(self) -> int:
        """How many waits have started and not ended."""
        return len(self._waits)

    @property
    def kinds_without_end(self) -> set[Kind]:
        """The kinds of which no wait has ended yet."""
        return {*self._turn} - self.ended.keys()

    def start_what_is_due(self) -> None:
        """
        Start the next wait if it is time.

        :raises LocalAirflowError: Its run cannot be made.
        """
        now = self._clock()
        if not self._turn or now < self._next_start:
            return
        # Late starts are not made up for: that would be a burst.
        is_late = now >= self._next_start + self._pace_seconds
        self._next_start = (now if is_late else self._next_start) + self._pace_seconds
        kind = self._turn[self._starts % len(self._turn)]
        self._starts += 1
        if sum(wait.kind is kind for wait in self._waits) >= MOST_OF_A_KIND * self._turn.count(kind):
            self.held_back += 1
            return
        plan = plan_of(kind, self._number + self._starts, self._service, self._wait_seconds)
        now = self._clock()
        run = self._airflow.trigger_dag(kind.value, conf=plan.parameters)
        self._waits.append(Wait(kind, plan, run, now, now + self._wait_seconds))

    def look(self) -> None:
        """
        End what is due, and look at the waits that may have ended.

        :raises LocalAirflowError: The API server refuses.
        """
        now = self._clock()
        for wait in list(self._waits):
            if wait.plan.when_due and not wait.is_acted and now >= wait.due:
                wait.plan.when_due()
                wait.is_acted = True
            if now < wait.looked + (LOOK_SECONDS if now >= wait.due else EARLY_LOOK_SECONDS):
                continue
            wait.looked = now
            try:
                self._look_at(wait, now)
            except ApiServerUnreachableError:
                # Too busy just now; one that stays so leaves waits that hang.
                continue
            except NotFoundError as error:
                self._give_up(wait, f"is lost: {error}")

    def _look_at(self, wait: Wait, now: float) -> None:
        state = wait.run.state()
        if state in FINAL_STATES:
            trouble = trouble_with(wait.run, state, wait.kind.ending, wait.plan, wait.started)
            self.troubles += [f"{wait.kind}: {trouble}"] if trouble else []
            self.ended[wait.kind] += 1
            self._waits.remove(wait)
            return
        wait.late_looks += now >= wait.due
        if wait.late_looks > HANG_LOOKS:
            states = ", ".join(f"{task.task_id} is {task.state}" for task in wait.run.task_instances())
            self._give_up(wait, f"hangs: it was due {now - wait.due:.0f} s ago and is {state!r} ({states}).")

    def _give_up(self, wait: Wait, why: str) -> None:
        self.troubles.append(f"{wait.kind}: run {wait.run.run_id} {why}")
        self._waits.remove(wait)
