# SPDX-License-Identifier: Apache-2.0
"""Which Alchemy the demonstration talks to: the emulator, or with ``ALCHEMY_API_KEY`` the live API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_alchemy.testing import ANY_KEY, AlchemyEmulator, RemoteEmulator
from dev.demo.emulator_process import start_emulator, stop_emulator
from dev.local_airflow import LocalAirflowError
from dev.local_airflow.ports import ReservedPort

KEY_VARIABLE = "ALCHEMY_API_KEY"
SOME_KEY = "any-key-does"

Commands = Mapping[str, Mapping[str, Any]]
"""Commands of the emulator's control interface: name to payload."""


@dataclass(frozen=True)
class Service:
    """
    An Alchemy.

    :param description: What it is, for the terminal.
    :param connection: The Airflow connection to it, as JSON.
    :param emulator: The emulator's control interface; None: it is the live API.
    """

    description: str
    connection: str
    emulator: RemoteEmulator | None = None


@contextmanager
def open_service(home: Path, *, port: int, commands: Commands, stays: bool) -> Iterator[Service]:
    """
    Open the service.

    :param home: Where what stays is recorded.
    :param port: The emulator's port; 0 for any free one.
    :param commands: What the emulator is told first.
    :param stays: Whether the emulator outlives the demonstration.
    :return: The service.
    :raises LocalAirflowError: The emulator's port is taken, or it refuses a command.
    """
    key = os.environ.get(KEY_VARIABLE)
    if key:
        connection = json.dumps({"conn_type": "alchemy", "password": key})
        yield Service(f"the live API, with the key in {KEY_VARIABLE}", connection)
        return
    reserved = ReservedPort(port, purpose="emulator")
    port = reserved.number
    reserved.release()
    with _kept_emulator(home, port) if stays else _own_emulator(port) as url, RemoteEmulator(url) as emulator:
        _tell(emulator, commands)
        connection = json.dumps({"conn_type": "alchemy", "host": url, "password": SOME_KEY})
        yield Service(f"an emulator at {url}", connection, emulator=emulator)


def _tell(emulator: RemoteEmulator, commands: Commands) -> None:
    try:
        for name, payload in commands.items():
            emulator.post(name, **payload)
    except ValueError as refused:
        raise LocalAirflowError(str(refused)) from None


@contextmanager
def _kept_emulator(home: Path, port: int) -> Iterator[str]:
    try:
        yield start_emulator(home, port)
    except BaseException:
        # What stays is for a demonstration that began: half of one is left to nobody.
        stop_emulator(home)
        raise


@contextmanager
def _own_emulator(port: int) -> Iterator[str]:
    try:
        emulator = AlchemyEmulator(port, api_keys=ANY_KEY)
        emulator.start()
    except OSError as error:
        msg = f"The emulator cannot listen on port {port}: {error.strerror}."
        raise LocalAirflowError(msg) from None
    try:
        yield emulator.url
    finally:
        emulator.stop()
