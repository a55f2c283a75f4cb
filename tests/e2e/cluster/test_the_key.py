# SPDX-License-Identifier: Apache-2.0
"""The API key after all of it: in no file, no table, no queue; it comes last by its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dev.cluster import Cluster
from tests.e2e.cluster.stage import TROUBLED, Stage
from tests.key_search import Place, places_of

pytestmark = pytest.mark.e2e

CANARY = "canary"
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "http", "status": 500, "body": "html"},
    {"kind": "redirect"},
    {"kind": "reset"},
    {"kind": "cut_json"},
    {"kind": "html"},
    {"kind": "error_object"},
)


@pytest.fixture(scope="module")
def troubled(stage: Stage) -> Cluster:
    """Waits to which the service answers all that is no answer: what is said of that must not show the key."""
    for fault in FAULTS:
        stage.cluster.emulator.post("faults", times=4, **fault)
    stage.play(TROUBLED, [])
    return stage.cluster


def found_on(cluster: Cluster) -> list[Place]:
    airflow = cluster.airflow
    return places_of(
        cluster.api_key, folder=airflow.home.parent, database_url=airflow.database_url, redis_url=airflow.queue_url
    )


def test_it_is_nowhere(troubled: Cluster) -> None:
    # The folder holds the logs of all processes too, the emulator's among them.
    assert found_on(troubled) == []


@pytest.fixture
def canary(troubled: Cluster) -> Iterator[Cluster]:
    """The key, put on purpose wherever it is searched for."""
    airflow = troubled.airflow
    file = airflow.home / CANARY
    file.write_text(f"GET /nft/v2/{troubled.api_key}/reingestContract")
    engine = create_engine(airflow.database_url, poolclass=NullPool)
    queue = redis.Redis.from_url(airflow.queue_url or "")
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {CANARY} (said bytea)"))
        connection.execute(text(f"INSERT INTO {CANARY} VALUES (:said)"), {"said": troubled.api_key.encode()})  # noqa: S608 - a constant of this module
    queue.set(CANARY, troubled.api_key)
    yield troubled
    file.unlink()
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {CANARY}"))
    with queue:
        queue.delete(CANARY)


def test_the_same_search_finds_it_where_it_was_put(canary: Cluster) -> None:
    places = [place.where for place in found_on(canary)]

    for where in (f"file airflow/{CANARY}", f"table {CANARY}", "Redis"):
        assert any(place.startswith(where) for place in places), (where, places)
