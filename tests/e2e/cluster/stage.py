# SPDX-License-Identifier: Apache-2.0
"""A scenario on the cluster from its first wait to its last."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy.exc import DBAPIError

from dev.cluster import Cluster
from dev.local_airflow import LocalAirflowError
from dev.local_airflow.waiting import wait_until
from tests.e2e.chain.records import Records
from tests.e2e.cluster.blows import Blow, revive
from tests.e2e.cluster.dags.waits import FILE, WATCHERS, Kind, dag_of
from tests.e2e.cluster.records import ClusterRecords
from tests.e2e.cluster.verdicts import ENDED, Verdict, early_ends, late_calls, wrong_ends
from tests.e2e.cluster.waits import ScenarioWaits

SHARED = [f"shared_{number}" for number in range(5)]
TROUBLED = "troubled"
"""The scenarios without kills."""


class Stage:
    """
    The cluster, and what is asked of it.

    :param cluster: The running cluster.
    :param waits: How many waits a scenario has.
    """

    def __init__(self, cluster: Cluster, waits: int) -> None:
        self.cluster = cluster
        self.waits = waits
        self.records = ClusterRecords(cluster.airflow.database_url)
        self.chain = Records(cluster.airflow.database_url)

    def begin_watching(self) -> None:
        """Let the watchers begin: what is announced from then on is theirs to tell."""
        airflow = self.cluster.airflow
        airflow.unpause_dag(WATCHERS)
        # Airflow makes the triggers of a DAG's assets when it parses its file, and an old one seldom.
        os.utime(airflow.dags_folder / FILE)
        watchers = ScenarioWaits(WATCHERS, self.waits, self.cluster.emulator).contracts[Kind.WATCHER]

        def begun() -> bool:
            return self.records.watchers_with_a_place() >= len(watchers)

        self._until(begun, lambda: "The watchers do not begin")

    def play(self, name: str, blows: Sequence[Blow]) -> Verdict:
        """
        Play a scenario.

        :param name: Its name, from which its contracts are made.
        :param blows: What happens while its waits are under way.
        :return: What came of it.
        """
        waits = ScenarioWaits(name, self.waits, self.cluster.emulator)
        waits.plan()
        airflow = self.cluster.airflow
        run = airflow.trigger_dag(dag_of(name), conf=waits.parameters)
        for blow in blows:
            if blow.is_early:
                blow.strike(self.cluster)
        self._until_under_way(run.run_id, waits)
        waits.reveal()
        waits.release()
        self._until(lambda: bool(waits.first_terminal_answers()), lambda: f"{name}: no refresh ends")
        for blow in blows:
            if not blow.is_early:
                blow.strike(self.cluster)
                waits.reveal()
        waits.mint()
        lost = self._left_at_the_end(run.run_id, waits)
        verdict = self._judge(name, run.run_id, waits, lost)
        revive(self.cluster, tuple(airflow.process_logs.keys() - airflow.processes.keys()))
        return verdict

    def _until(self, condition: Callable[[], bool], failure: Callable[[], str]) -> None:
        """Wait as long as tasks, watches or the calls of scenarios get on."""

        def is_met() -> bool:
            # Airflow's scheduler ends when its database is gone: whoever runs one has it started again.
            revive(self.cluster)
            try:
                return condition()
            except DBAPIError:
                # PostgreSQL may just be starting again.
                return False

        wait_until(is_met, moves=self._progress, failure=failure, interval_seconds=0.5)

    def _progress(self) -> object:
        try:
            return self.records.progress(), self.chain.progress()
        except DBAPIError:
            return None

    def _until_under_way(self, run_id: str, waits: ScenarioWaits) -> None:
        def missing() -> list[str]:
            tasks = self.records.tasks(run_id)
            waiting = [f"{task.name} is {task.state}" for task in tasks if task.state != "deferred"]
            return waiting + [f"nobody asked about {contract}" for contract in waits.not_under_way()]

        self._until(lambda: not missing(), lambda: f"Not all waits are under way: {missing()}")

    def _left_at_the_end(self, run_id: str, waits: ScenarioWaits) -> list[str]:
        """Wait until all has ended; say in sentences what has not, once nothing moves any more."""

        def left() -> list[str]:
            tasks = self.records.tasks(run_id)
            hanging = [f"{task.name} is still {task.state}" for task in tasks if task.state not in ENDED]
            return [*hanging, *self._untold(waits)]

        try:
            self._until(lambda: not left(), lambda: "")
        except LocalAirflowError:
            return left()
        return []

    def _untold(self, waits: ScenarioWaits) -> Iterator[str]:
        watched = {f"{Kind.WATCHER}_{index}": contract for index, contract in enumerate(waits.contracts[Kind.WATCHER])}
        told = {(one.asset, event_id) for one in self.chain.told(watched) for event_id in one.event_ids}
        for asset, contract in watched.items():
            for event_id in sorted(waits.revealed.get(contract, ())):
                if (asset, event_id) not in told:
                    yield f"the watcher of {contract} has not told {event_id}"

    def _judge(self, name: str, run_id: str, waits: ScenarioWaits, lost: Sequence[str]) -> Verdict:
        tasks = {(task.task_id, task.map_index): task for task in self.records.tasks(run_id)}
        ends = [task.ended_at.timestamp() for task in tasks.values() if task.ended_at]
        return Verdict(
            name=name,
            waits=sum(map(len, waits.contracts.values())),
            wrong=[*lost, *wrong_ends(tasks, waits)],
            early=list(early_ends(tasks, waits)),
            again=waits.calls_after_the_end(),
            late=list(late_calls(tasks, waits)),
            retries=sum(max(task.tries - 1, 0) for task in tasks.values()),
            seconds=max(ends, default=time.time()) - waits.released_at,
        )
