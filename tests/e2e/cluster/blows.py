# SPDX-License-Identifier: Apache-2.0
"""What is done to a cluster while it waits, and how it is mended, as whoever runs it would."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from dev.cluster import Cluster
from dev.cluster.running import EMULATOR, TRIGGERERS, WORKERS
from dev.local_airflow.ending import SERVERS
from dev.local_airflow.waiting import wait_until

SUBMISSION = "reingestContract"
SLOW_SECONDS = 8.0
UNANSWERED = 6
"""Submissions that are under way when the worker dies: with two workers of four tasks each, some are its own."""


@dataclass(frozen=True)
class Blow:
    """
    One thing that happens.

    :param name: What, in the words of the table.
    :param strike: Does it, and mends it.
    :param is_early: Whether it comes while tasks still submit, and not while their waits end.
    """

    name: str
    strike: Callable[[Cluster], None]
    is_early: bool = False


def killed(
    *components: str, by: signal.Signals = signal.SIGKILL, back: tuple[str, ...] | None = None
) -> Callable[[Cluster], None]:
    """Kill components one right after the other, and start those again that are to come back."""

    def strike(cluster: Cluster) -> None:
        for component in components:
            cluster.airflow.kill(component, by)
        revive(cluster, components if back is None else back)

    return strike


def revive(cluster: Cluster, components: tuple[str, ...] = ()) -> None:
    """Start components, and what ended by itself meanwhile, as a supervisor of services does."""
    airflow = cluster.airflow
    airflow.start_all(sorted({*components, *airflow.ended_by_themselves()} - airflow.processes.keys()))


def both_triggerers_then_one(cluster: Cluster) -> None:
    killed(*TRIGGERERS, back=TRIGGERERS[:1])(cluster)


def worker_in_a_submission(cluster: Cluster) -> None:
    """Kill a worker whose tasks have sent a submission that is not answered yet."""
    before = _submissions(cluster)
    cluster.emulator.post("faults", kind="slow", endpoint=SUBMISSION, seconds=SLOW_SECONDS, times=16)

    wait_until(
        lambda: _submissions(cluster) >= before + UNANSWERED,
        moves=cluster.airflow.progress,
        failure=lambda: "No task submits anything",
    )
    killed(WORKERS[0])(cluster)
    cluster.emulator.clear_faults()


def _submissions(cluster: Cluster) -> int:
    return sum(call.endpoint == SUBMISSION for call in cluster.emulator.calls)


def emulator_away(seconds: float) -> Callable[[Cluster], None]:
    def strike(cluster: Cluster) -> None:
        cluster.take_emulator_away()
        # The length of the outage is what is tested: nothing tells when it has been long enough.
        time.sleep(seconds)
        cluster.bring_emulator_back()

    return strike


def power_cut(cluster: Cluster) -> None:
    """Kill everything of Airflow but its database and its queue, and start it again."""
    names = [name for name in cluster.airflow.processes if name not in {*SERVERS, EMULATOR}]
    for name in names:
        cluster.airflow.kill(name)
    cluster.airflow.start_all(names)


def rolling_restart(cluster: Cluster) -> None:
    """Stop and start one after the other, as a deployment of a new version does."""
    for name in (*TRIGGERERS, *WORKERS, "scheduler", "dag-processor", "api-server"):
        killed(name, by=signal.SIGTERM)(cluster)


TRIGGERER = Blow("SIGKILL of a triggerer", killed(TRIGGERERS[0]))
BOTH_TRIGGERERS = Blow("SIGKILL of both triggerers, then one new", both_triggerers_then_one)
SUBMITTING_WORKER = Blow("SIGKILL of a worker in a submission", worker_in_a_submission, is_early=True)
RESUMING_WORKER = Blow("SIGKILL of a worker while waits end", killed(WORKERS[1]))
SCHEDULER = Blow("SIGKILL of the scheduler", killed("scheduler"))
API_SERVER = Blow("SIGKILL of the API server", killed("api-server"))
POSTGRESQL = Blow("restart of PostgreSQL", killed("postgresql", by=signal.SIGINT))
REDIS = Blow("restart of Redis", killed("redis", by=signal.SIGTERM))
POWER_CUT = Blow("SIGKILL of all of Airflow at once", power_cut)
ROLLING_RESTART = Blow("rolling restart by SIGTERM", rolling_restart)


def emulator_gone(seconds: float) -> Blow:
    return Blow(f"the emulator gone for {seconds:.0f} s", emulator_away(seconds))


EACH = {
    "triggerer": [TRIGGERER],
    "both_triggerers": [BOTH_TRIGGERERS],
    "submitting_worker": [SUBMITTING_WORKER],
    "resuming_worker": [RESUMING_WORKER],
    "scheduler": [SCHEDULER],
    "api_server": [API_SERVER],
    "postgresql": [POSTGRESQL],
    "redis": [REDIS],
    "emulator": [emulator_gone(120)],
    "power_cut": [POWER_CUT],
    "rolling_restart": [ROLLING_RESTART],
}
TOGETHER = {
    "airflow": [SUBMITTING_WORKER, TRIGGERER, RESUMING_WORKER, SCHEDULER, BOTH_TRIGGERERS],
    "surroundings": [emulator_gone(20), POSTGRESQL, REDIS],
}
SCENARIOS: dict[str, list[Blow]] = EACH if os.environ.get("CLUSTER_KILLS") == "each" else TOGETHER
