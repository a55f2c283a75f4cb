# SPDX-License-Identifier: Apache-2.0
"""One run: all waits are started in a cluster of their own, watched until the last has ended, and looked up."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from dev.benchmarks.airflow_cpu import used
from dev.benchmarks.command_line import tell_progress
from dev.benchmarks.scale.plan import WORKER_DAG, dags_of, job_seconds, places_of
from dev.benchmarks.scale.settings import Scenario, airflow_environment, open_files_limit
from dev.benchmarks.scale.waits import Wait, put_together
from dev.benchmarks.scale.watch import MetadataReader, Sample, Watch
from dev.cluster import Cluster, open_cluster
from dev.cluster.running import TRIGGERERS
from dev.local_airflow.waiting import wait_until

DAGS = Path(__file__).parent / "dags"
LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class Run:
    """
    What was seen.

    :param waits: What became of each wait.
    :param samples: Looks while they were under way, in order.
    :param began_at: When the first DAG run was made, in seconds since the epoch.
    :param requested_at: When the last one was.
    :param killed_at: When a triggerer was killed; None: none was.
    :param cpu_at_rest: CPU seconds in a second by component, before anything was to do.
    :param died: Components that ended by themselves.
    """

    waits: list[Wait]
    samples: list[Sample]
    began_at: float
    requested_at: float
    killed_at: float | None
    cpu_at_rest: dict[str, float]
    died: list[str]


def run(scenario: Scenario, folder: Path) -> Run:
    """
    Start a cluster, and everything in it.

    :param scenario: What.
    :param folder: Where the cluster's files go; a fresh one.
    :return: What was seen.
    :raises BenchmarkError: The system allows too few open files.
    :raises LocalAirflowError: The cluster does not start, or does not take the DAGs.
    """
    tell_progress("Starting PostgreSQL, Redis, the emulator, and Airflow with two workers and triggerers …")
    with (
        open_files_limit(scenario.open_files),
        open_cluster(folder, DAGS, environment=airflow_environment(scenario, os.environ)) as cluster,
    ):
        reader = MetadataReader(cluster.airflow.database_url)
        try:
            return _Conductor(scenario, cluster, reader).conduct()
        finally:
            reader.close()


class _Conductor:
    """
    Leads one run.

    :param scenario: What is to happen.
    :param cluster: Where.
    :param reader: Reads Airflow's database.
    """

    def __init__(self, scenario: Scenario, cluster: Cluster, reader: MetadataReader) -> None:
        self._scenario = scenario
        self._cluster = cluster
        self._airflow = cluster.airflow
        self._reader = reader
        self._places = places_of(scenario.waits, scenario.dag_size, scenario.worker_waits)
        contracts = list(self._places.values())
        self._job_seconds = job_seconds(contracts, scenario.job_seconds, scenario.spread_seconds)
        self._dags = [*dags_of(scenario.waits, scenario.dag_size), *([WORKER_DAG] if scenario.worker_waits else ())]
        self._samples: list[Sample] = []
        self._observer = Watch(self._airflow, reader)
        self._killed_at: float | None = None

    def conduct(self) -> Run:
        self._tell_jobs()
        self._wait_for_dags()
        at_rest = self._rest()
        began_at = time.time()
        tell_progress(f"Making {len(self._dags)} DAG runs …")
        for number, dag_id in enumerate(reversed(self._dags)):
            # The workers' DAG first, since its waits take longest to begin.
            self._airflow.trigger_dag(dag_id)
            if number % 20 == 0:
                self._look()
        requested_at = time.time()
        self._watch(until=began_at + self._scenario.limit_seconds)
        return Run(
            waits=put_together(self._places, self._job_seconds, self._cluster.emulator.calls, self._reader.ends()),
            samples=self._samples,
            began_at=began_at,
            requested_at=requested_at,
            killed_at=self._killed_at,
            cpu_at_rest=at_rest,
            died=self._airflow.ended_by_themselves(),
        )

    def _tell_jobs(self) -> None:
        for contract, seconds in self._job_seconds.items():
            self._cluster.emulator.post("jobs", address=contract, running_seconds=seconds)

    def _wait_for_dags(self) -> None:
        tell_progress(f"Waiting for {len(self._dags)} DAGs …")
        wanted = set(self._dags)

        def missing() -> str:
            left = wanted - self._reader.dags()
            return f"{len(left)} DAGs did not become known: {self._airflow.import_errors()}"

        wait_until(lambda: wanted <= self._reader.dags(), moves=self._reader.dags, failure=missing, interval_seconds=1)

    def _rest(self) -> dict[str, float]:
        before = self._observer.look()
        time.sleep(self._scenario.rest_seconds)
        after = self._observer.look()
        spent = used(before.cpu_seconds, after.cpu_seconds)
        return {name: round(seconds / self._scenario.rest_seconds, 3) for name, seconds in spent.items()}

    def _watch(self, *, until: float) -> None:
        while time.time() < until:
            sample = self._look()
            if sample.ended >= len(self._places):
                return
            if self._scenario.kill and self._killed_at is None and self._all_under_way(sample):
                tell_progress(f"Killing {TRIGGERERS[0]} …")
                self._airflow.kill(TRIGGERERS[0])
                self._killed_at = time.time()
            time.sleep(LOOK_SECONDS)

    def _all_under_way(self, sample: Sample) -> bool:
        # Also those that workers began; what has ended is no longer there to be lost.
        return sample.assigned + sample.ended >= len(self._places)

    def _look(self) -> Sample:
        sample = self._observer.look()
        self._samples.append(sample)
        tell_progress(
            f"{time.strftime('%H:%M:%S')} {sample.states} triggers {sample.triggers}, "
            f"{sample.database_connections} database connections, "
            + ", ".join(
                f"{name}: {one.memory_bytes / 1e6:,.0f} MB, {one.open_files} files"
                for name, one in sample.footprints.items()
            )
        )
        return sample
