# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of whole DAG runs plays on: one real Airflow, and the two services that its tasks wait for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_alchemy.testing import AlchemyEmulator
from dev.benchmarks.polled_service import PolledServiceClient, polled_service
from dev.benchmarks.sides import SIDES, alchemy_connection
from dev.local_airflow import LocalAirflow
from dev.local_airflow.certificates import Certificates, write_certificates

DAGS = Path(__file__).parent / "dags"
TRIGGERERS = 2
PARALLELISM = 8
"""Task processes at once: what two cores take well. Airflow's default is 32."""


@dataclass(frozen=True)
class Stage:
    """
    What runs.

    :param airflow: The Airflow.
    :param service: What the other provider's sensors ask.
    :param emulator: What this package's sensors ask.
    """

    airflow: LocalAirflow
    service: PolledServiceClient
    emulator: AlchemyEmulator


@contextmanager
def open_stage(folder: Path, *, tasks: int, collections: int) -> Iterator[Stage]:
    """
    Start everything: Airflow on PostgreSQL at its own intervals, both services behind TLS.

    :param folder: Where certificates, logs and the database go.
    :param tasks: How many tasks the DAGs of sensors have.
    :param collections: How many collections the DAG of the batch has; 0: there is no such DAG.
    :return: What runs; it is ended with the ``with`` block.
    """
    certificates = write_certificates(folder)
    with (
        polled_service(certificates, folder) as service,
        AlchemyEmulator(units_per_second=None, ssl_context=_context(certificates)) as emulator,
    ):
        environment = {
            **SIDES["http"].connect(service.url, certificates.authority),
            **alchemy_connection(emulator.url, certificates.authority, key=emulator.api_key),
            # What the first look of the HTTP sensor, in a worker, goes by.
            "REQUESTS_CA_BUNDLE": str(certificates.authority),
            "BENCHMARK_TASKS": str(tasks),
            "BENCHMARK_COLLECTIONS": str(collections or ""),
        }
        with LocalAirflow(
            folder / "airflow",
            DAGS,
            database="postgresql",
            parallelism=PARALLELISM,
            triggerers=TRIGGERERS,
            environment=environment,
            short_intervals=False,
        ) as airflow:
            yield Stage(airflow, service, emulator)


def begin_jobs(stage: Stage, seconds: float) -> None:
    """
    Let both services forget what they were asked.

    :param stage: What runs.
    :param seconds: How long each job takes, from the first question about it.
    """
    stage.service.begin(seconds)
    stage.emulator.reset()
    stage.emulator.set_default_job(running_seconds=seconds)


def _context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.private_key)
    return context
