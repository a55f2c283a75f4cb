# SPDX-License-Identifier: Apache-2.0
"""An emulator, both clients behind one face, and throttle that do not sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_alchemy.api import throttle
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator

from .shells import SHELLS, Client, LoopClient

Connect = Callable[..., Client]

USUAL: dict[str, Any] = {
    "compute_units_per_second": 1_000_000,  # so that no test waits for the budget unless it is about it
    "timeout": 60,  # only a test about it waits for it
    "verify": False,  # reading the authorities takes a tenth of a second, and plain HTTP has no use for them
}


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        yield running


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    """Name the HTTP library: a test that uses it runs once for each."""
    return str(request.param)


@pytest.fixture
def connect_to(shell: str) -> Iterator[Connect]:
    """Make clients for any host, closed at the end."""
    clients: list[Client] = []

    def connect(**settings: Any) -> Client:
        clients.append(SHELLS[shell](ClientSettings(**USUAL | settings)))
        return clients[-1]

    yield connect
    for client in clients:
        if isinstance(client, LoopClient):
            client.end_loop()
        else:
            client.close()


@pytest.fixture
def connect(connect_to: Connect, emulator: AlchemyEmulator) -> Connect:
    """Make clients of the emulator's account."""

    def connect_emulator(**settings: Any) -> Client:
        return connect_to(**{"api_key": emulator.api_key, "host": emulator.url} | settings)

    return connect_emulator


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the sleeping between attempts, and only that; the list gets the seconds that would be slept."""
    decided: list[float] = []
    decide = throttle.backoff_seconds

    def skip(failures: int, retry_after_seconds: float | None = None) -> float:
        decided.append(decide(failures, retry_after_seconds))
        return 0.0

    monkeypatch.setattr(throttle, "backoff_seconds", skip)
    return decided
