# SPDX-License-Identifier: Apache-2.0
"""One call searches everything that it is given, and tells of each place without the key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from redis import Redis
from sqlalchemy import make_url

from tests.key_search import Form, Place, places_in_texts, places_of
from tests.key_search.forms import KeyForms

EVERYWHERE = [
    Place("file a.log line 1", Form.CLEAR_TEXT),
    Place("table canary, column value, row (0,1)", Form.CLEAR_TEXT),
    Place("Redis database 0, string canary", Form.CLEAR_TEXT),
    Place("the emulator's output", Form.CLEAR_TEXT),
]


@pytest.mark.integration
def test_each_store_that_is_given_is_searched(key: str, tmp_path: Path, database_url: str, redis_url: str) -> None:
    (tmp_path / "a.log").write_text(key)
    plain_url = make_url(database_url).set(drivername="postgresql").render_as_string(False)
    with closing(psycopg2.connect(plain_url)) as connection, Redis.from_url(redis_url) as client:
        connection.autocommit = True
        connection.cursor().execute("CREATE TABLE canary AS SELECT %s AS value", [key])
        client.set("canary", key)
        try:
            places = places_of(
                key,
                folder=tmp_path,
                database_url=database_url,
                redis_url=redis_url,
                texts={"the emulator's output": f"GET /v2/{key}"},
            )
        finally:
            connection.cursor().execute("DROP TABLE canary")
            client.flushall()

    assert places == EVERYWHERE
    assert KeyForms(key).forms_in("".join(map(str, places)).encode()) == []


def test_where_nothing_is_there_is_nothing(key: str, tmp_path: Path) -> None:
    assert places_of(key, folder=tmp_path, texts={"nothing": ""}) == []


def test_a_text_is_told_once_for_each_form(key: str, other_key: str) -> None:
    texts = {"a call": f"{key} {key} {key.encode().hex()}", "another": other_key}

    assert places_in_texts(key, texts) == [Place("a call", Form.CLEAR_TEXT), Place("a call", Form.HEX)]
