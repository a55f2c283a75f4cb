# SPDX-License-Identifier: Apache-2.0
"""A key, and the real servers in which it is searched for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from dev.local_airflow.components import Components
from dev.local_airflow.postgresql import PostgresqlDatabase
from dev.local_airflow.redis_server import RedisServer


@pytest.fixture(scope="package")
def key() -> str:
    """A key with characters that each form writes in its own way."""
    return f"a+/=_{secrets.token_hex(12)}%.-z"


@pytest.fixture(scope="package")
def other_key(key: str) -> str:
    """A key that differs from the other in its last character only."""
    return f"{key[:-1]}y"


@pytest.fixture(scope="package")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server with nothing in it."""
    home = tmp_path_factory.mktemp("postgresql")
    database = PostgresqlDatabase(home)
    servers = Components(
        instance_id=secrets.token_hex(8),
        environment=os.environ,
        working_folder=home,
        output_folder=home,
        commands=database.servers,
    )
    servers.watch()
    try:
        # Not opened as an Airflow does it: its tables are not needed, and take longest.
        database._make(servers)
        for name in database.servers:
            servers.start(name)
        database.wait_ready(servers)
        yield database.url
    finally:
        servers.end()
        database.release()


@pytest.fixture(scope="package")
def redis_url() -> Iterator[str]:
    """A Redis server with nothing in it."""
    with RedisServer() as server:
        yield server.url
