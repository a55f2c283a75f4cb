# SPDX-License-Identifier: Apache-2.0
"""Which Alchemy the demonstration talks to: the emulator, or with ``ALCHEMY_API_KEY`` the live API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from demo.emulator_process import start_emulator, stop_emulator
from local_airflow import LocalAirflowError
from local_airflow.ports import ReservedPort

KEY_VARIABLE = "ALCHEMY_API_KEY"
QUEUED_SECONDS = 4.0
RUNNING_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """
    An Alchemy.

    :param description: What it is, for the terminal.
    :param connection: The Airflow connection to it, as JSON.
    :param deadline_seconds: How long a refresh may take there.
    """

    description: str
    connection: str
    deadline_seconds: float


@contextmanager
def open_service(home: Path, *, port: int, outcome: str, stays: bool) -> Iterator[Service]:
    """
    Open the service.

    :param home: Where what stays is recorded.
    :param port: The emulator's port; 0 for any free one.
    :param outcome: How the emulated refresh ends.
    :param stays: Whether the emulator outlives the demonstration.
    :return: The service.
    :raises LocalAirflowError: The emulator's port is taken.
    """
    key = os.environ.get(KEY_VARIABLE)
    if key:
        connection = json.dumps({"conn_type": "alchemy", "password": key})
        yield Service(f"the live API, with the key in {KEY_VARIABLE}", connection, deadline_seconds=12 * 3600)
        return
    reserved = ReservedPort(port, purpose="emulator")
    port = reserved.number
    job: dict[str, float | str] = {
        "queued_seconds": QUEUED_SECONDS,
        "running_seconds": RUNNING_SECONDS,
        "outcome": outcome,
    }
    deadline_seconds = 150.0
    reserved.release()
    if stays:
        try:
            url = start_emulator(home, port, job)
            connection = json.dumps({"conn_type": "alchemy", "host": url, "password": "any-key-does"})
            yield Service(f"an emulator at {url}", connection, deadline_seconds)
        except BaseException:
            # What stays is for a demonstration that began: half of one is left to nobody.
            stop_emulator(home)
            raise
        return
    try:
        emulator = AlchemyEmulator(port)
        emulator.set_default_job(**job)
        emulator.start()
    except OSError as error:
        msg = f"The emulator cannot listen on port {port}: {error.strerror}."
        raise LocalAirflowError(msg) from None
    try:
        yield Service(f"an emulator at {emulator.url}", connection_json(emulator), deadline_seconds)
    finally:
        emulator.stop()
