# SPDX-License-Identifier: Apache-2.0
"""
One real Airflow, on PostgreSQL, for the tests of watching the chain.

Each scenario has a chain of its own, so that what happens to one is not seen by another, in whatever order they run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import connection_json
from dev.local_airflow import LocalAirflow
from tests.e2e.chain.dags.changed import CHANGED
from tests.e2e.chain.dags.watchers import SCENARIOS
from tests.e2e.chain.downtime import CHANGED as CHANGED_WATCH
from tests.e2e.chain.downtime import LIMITS, Downtime, live_through
from tests.e2e.chain.kills import Killing, kill_the_triggerer
from tests.e2e.chain.stage import Stage

DAGS = Path(__file__).parent / "dags"

LIBRARIES_AT_DEBUG = {
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "urllib3=DEBUG aiohttp=DEBUG airflow_provider_alchemy=DEBUG",
}
"""They would show a URL there: the search for the key must find none either."""


@pytest.fixture(scope="package")
def emulators(api_key: str) -> Iterator[dict[str, AlchemyEmulator]]:
    """The emulators by connection: one without a limit of blocks, and one for each limit."""
    with ExitStack() as stack:
        running = {"alchemy_default": AlchemyEmulator(api_keys=[api_key], units_per_second=None, block_seconds=None)}
        for scenario, limit in LIMITS.items():
            running[f"alchemy_{scenario}"] = AlchemyEmulator(
                api_keys=[api_key], units_per_second=None, block_seconds=None, max_block_range=limit
            )
        for emulator in running.values():
            stack.enter_context(emulator)
        yield running


def connection_to(emulator: AlchemyEmulator) -> str:
    connection = json.loads(connection_json(emulator, compute_units_per_second=1_000_000))
    # Blanks that were copied with the key: Airflow masks it with them, and it is sent without.
    return json.dumps({**connection, "host": f"{emulator.url}/{{network}}", "password": f" {connection['password']} "})


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, emulators: dict[str, AlchemyEmulator]) -> Iterator[Stage]:
    # A copy: one of the files is changed.
    dags = Path(shutil.copytree(DAGS, tmp_path_factory.mktemp("dags") / "dags"))
    connections = {conn_id: connection_to(emulator) for conn_id, emulator in emulators.items()}
    home = tmp_path_factory.mktemp("airflow")
    with LocalAirflow(
        home, dags, connections=connections, environment=LIBRARIES_AT_DEBUG, database="postgresql"
    ) as airflow:
        stage = Stage(airflow, dags, emulators)
        stage.begin("changed.py", [CHANGED], [CHANGED_WATCH])
        stage.begin("watchers.py", SCENARIOS, [watched for watches in SCENARIOS.values() for watched in watches])
        yield stage


@pytest.fixture(scope="package")
def downtime(stage: Stage) -> Downtime:
    return live_through(stage)


@pytest.fixture(scope="package")
def killing(stage: Stage) -> Killing:
    return kill_the_triggerer(stage)
