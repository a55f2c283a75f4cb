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

import requests

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from demo.emulator_process import start_emulator, stop_emulator
from local_airflow import LocalAirflowError
from local_airflow.ports import ReservedPort

KEY_VARIABLE = "ALCHEMY_API_KEY"
CONTROL_SECONDS = 5.0

Commands = Mapping[str, Mapping[str, Any]]
"""Commands of the emulator's control interface: name to payload."""


@dataclass(frozen=True)
class Service:
    """
    An Alchemy.

    :param description: What it is, for the terminal.
    :param connection: The Airflow connection to it, as JSON.
    :param deadline_seconds: How long a refresh may take there.
    :param url: Where the emulator is; None: it is the live API.
    """

    description: str
    connection: str
    deadline_seconds: float
    url: str | None = None

    def command(self, name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """
        Steer the emulator.

        :param name: A command that changes something.
        :param payload: What it takes.
        :return: Its answer.
        """
        return self._answer(requests.post(f"{self.url}/_emulator/{name}", json=payload, timeout=CONTROL_SECONDS))

    def look(self, name: str) -> dict[str, Any]:
        """
        Ask the emulator.

        :param name: A command that changes nothing.
        :return: Its answer.
        """
        return self._answer(requests.get(f"{self.url}/_emulator/{name}", timeout=CONTROL_SECONDS))

    @staticmethod
    def _answer(response: requests.Response) -> dict[str, Any]:
        if not response.ok:
            msg = f"The emulator refuses: {response.text}"
            raise LocalAirflowError(msg)
        answer: dict[str, Any] = response.json()
        return answer


@contextmanager
def open_service(home: Path, *, port: int, commands: Commands, stays: bool) -> Iterator[Service]:
    """
    Open the service.

    :param home: Where what stays is recorded.
    :param port: The emulator's port; 0 for any free one.
    :param commands: What the emulator is told first.
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
    reserved.release()
    with _kept_emulator(home, port) if stays else _own_emulator(port) as service:
        for name, payload in commands.items():
            service.command(name, payload)
        yield service


@contextmanager
def _kept_emulator(home: Path, port: int) -> Iterator[Service]:
    try:
        url = start_emulator(home, port)
        yield _emulated(url, json.dumps({"conn_type": "alchemy", "host": url, "password": "any-key-does"}))
    except BaseException:
        # What stays is for a demonstration that began: half of one is left to nobody.
        stop_emulator(home)
        raise


@contextmanager
def _own_emulator(port: int) -> Iterator[Service]:
    try:
        emulator = AlchemyEmulator(port)
        emulator.start()
    except OSError as error:
        msg = f"The emulator cannot listen on port {port}: {error.strerror}."
        raise LocalAirflowError(msg) from None
    try:
        yield _emulated(emulator.url, connection_json(emulator))
    finally:
        emulator.stop()


def _emulated(url: str, connection: str) -> Service:
    return Service(f"an emulator at {url}", connection, deadline_seconds=150.0, url=url)
