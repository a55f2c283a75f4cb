# SPDX-License-Identifier: Apache-2.0
"""The cluster from start to end."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.testing import RemoteEmulator
from dev.cluster.emulator import KEY_VARIABLE, emulator_command
from dev.local_airflow import LocalAirflow
from dev.local_airflow.certificates import write_certificates
from dev.local_airflow.command_lines import TRIGGERER, WORKER, numbered
from dev.local_airflow.ports import LOOPBACK, ReservedPort
from dev.local_airflow.rest import REQUEST_SECONDS
from dev.local_airflow.waiting import wait_until

EMULATOR = "emulator"
TRIGGERERS = tuple(numbered(TRIGGERER, 2))
WORKERS = tuple(numbered(WORKER, 2))
LOST_SOON = {
    # Sooner than Airflow does it, and later than a busy machine delays what is alive. Triggers of a triggerer that died
    # go to the other after this many seconds.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    # A worker that died: its tasks go back after this many seconds without a heartbeat.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # A scheduler that died: its tasks go to the next one.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
    # A message that a worker took and never began, since it died: Airflow sends another.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}


@dataclass(frozen=True)
class Cluster:
    """
    What runs.

    :param airflow: The Airflow: API server, scheduler, DAG processor, two triggerers, two Celery workers, with
        PostgreSQL and Redis; the emulator is one of its processes.
    :param emulator: The emulator's control interface.
    :param api_key: The key that it accepts, which stands in the connection ``alchemy_default``.
    """

    airflow: LocalAirflow
    emulator: RemoteEmulator
    api_key: str

    def take_emulator_away(self) -> None:
        """Close the emulator's port and connections, as when the service is down; jobs go on there."""
        self.airflow.kill(EMULATOR, signal.SIGUSR1)

    def bring_emulator_back(self) -> None:
        """
        Open the emulator's port again.

        :raises LocalAirflowError: It does not answer.
        """
        self.airflow.kill(EMULATOR, signal.SIGUSR2)
        _wait_for(self.emulator)


@contextmanager
def open_cluster(
    folder: Path,
    dags: Path,
    *,
    api_key: str | None = None,
    port: int | None = None,
    emulator_port: int = 0,
    emulator_options: Sequence[str] = ("--units-per-second=none",),
    connection_extra: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    parallelism: int = 8,
    connections_in_database: bool = False,
    shares_budget: bool = False,
) -> Iterator[Cluster]:
    """
    Start a cluster, and end all of it.

    :param folder: Where everything of it goes; best a fresh one.
    :param dags: The folder of its DAG files.
    :param api_key: The key that the emulator accepts; None, the default: a random one.
    :param port: The port of the web UI; None for any free one.
    :param emulator_port: The emulator's port; 0 for any free one.
    :param emulator_options: Options of the emulator's command line; by default it has no limit of units.
    :param connection_extra: Further fields of the connection's extra.
    :param environment: Further environment variables of Airflow's processes.
    :param parallelism: How many tasks run at once, on both workers together; 8 is what two cores take well.
    :param connections_in_database: Show the connection in the web UI; it costs some seconds.
    :param shares_budget: Let all processes share one budget of compute units, in the cluster's Redis.
    :return: What runs.
    :raises LocalAirflowError: It does not start; nothing is left running then.
    """
    key = api_key or secrets.token_urlsafe(24)
    certificates = write_certificates(folder)
    reserved = ReservedPort(emulator_port, purpose="emulator")
    url = f"https://{LOOPBACK}:{reserved.number}"
    extra = {"verify": str(certificates.authority), "compute_units_per_second": 1_000_000, **(connection_extra or {})}
    connection = {"conn_type": "alchemy", "host": url, "password": key, "extra": extra}
    emulator = RemoteEmulator(url, authority=certificates.authority, timeout_seconds=REQUEST_SECONDS)
    try:
        with LocalAirflow(
            folder / "airflow",
            dags,
            connections={"alchemy_default": json.dumps(connection)},
            connections_in_database=connections_in_database,
            shares_budget=shares_budget,
            environment={KEY_VARIABLE: key, **LOST_SOON, **(environment or {})},
            services={EMULATOR: emulator_command(certificates, reserved.number, emulator_options)},
            executor="CeleryExecutor",
            triggerers=len(TRIGGERERS),
            workers=len(WORKERS),
            parallelism=parallelism,
            database="postgresql",
            port=port,
        ) as airflow:
            _wait_for(emulator)
            yield Cluster(airflow, emulator, key)
    finally:
        emulator.close()
        reserved.release()


def _wait_for(emulator: RemoteEmulator) -> None:
    wait_until(emulator.is_there, failure=lambda: f"The emulator at {emulator.url} does not answer")
