# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture ``alchemy_emulator``, for this project's tests and for users' own DAG tests.

pytest loads this module in every project that has the package installed, so it imports next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing import AlchemyEmulator

CONNECTION_VARIABLE = "AIRFLOW_CONN_ALCHEMY_DEFAULT"


@pytest.fixture
def alchemy_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlchemyEmulator]:
    """An emulator of Alchemy's API, and ``alchemy_default`` as an Airflow connection to it.

    Jobs finish after a second; ``alchemy_emulator.set_job`` and ``add_fault`` change what happens, ``calls`` and
    ``compute_units`` show what was asked.
    """
    # Not at import: pytest runs without any emulator in most projects.
    from airflow_provider_alchemy.testing import AlchemyEmulator  # noqa: PLC0415

    with AlchemyEmulator() as emulator:
        monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator))
        yield emulator


def connection_json(emulator: AlchemyEmulator, **extra: str | float | bool) -> str:
    """Write an Airflow connection to a running emulator as JSON, as ``AIRFLOW_CONN_…`` variables take it.

    :param extra: fields of the connection's extra.
    :return: the JSON; it holds the emulator's key.
    """
    fields: dict[str, Any] = {"conn_type": "alchemy", "host": emulator.url, "password": emulator.api_key}
    # Airflow takes the whole extra for a secret, and warns that an empty one is too short to be masked.
    return json.dumps(fields | ({"extra": extra} if extra else {}))
