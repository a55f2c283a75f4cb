# SPDX-License-Identifier: Apache-2.0
"""A key in a row of a real PostgreSQL is found, whatever the column's type, the schema and the database."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import make_url

from tests.key_search import Form, Place, places_in_postgresql
from tests.key_search.written import WRITERS, Writer

pytestmark = pytest.mark.integration

Execute = Callable[..., None]
EACH_WRITER = pytest.mark.parametrize(("form", "write"), WRITERS.values(), ids=WRITERS.keys())


def run(url: str, statement: str, *values: object) -> None:
    with closing(psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(False))) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement, values)


@pytest.fixture
def execute(database_url: str) -> Iterator[Execute]:
    """Run a statement; what it made in the schema ``public`` is gone after the test."""
    yield lambda statement, *values: run(database_url, statement, *values)
    run(database_url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@EACH_WRITER
def test_a_place_is_told_with_its_row_and_form(
    form: Form, write: Writer, key: str, other_key: str, database_url: str, execute: Execute
) -> None:
    execute("CREATE TABLE asset_event (id integer PRIMARY KEY, name text, extra text)")
    execute("INSERT INTO asset_event VALUES (11, 'a', %s), (12, 'b', %s)", write(other_key), f"<{write(key)}>")

    places = places_in_postgresql(key, database_url)

    assert list(map(str, places)) == [f"table asset_event, column extra, id 12, as {form}"]


@pytest.mark.parametrize(
    ("column", "make", "form"),
    [
        ("varchar(200)", str, Form.CLEAR_TEXT),
        ("json", json.dumps, Form.CLEAR_TEXT),
        ("jsonb", lambda key: json.dumps({"url": [key]}), Form.CLEAR_TEXT),
        ("text[]", lambda key: [key], Form.CLEAR_TEXT),
        ("bytea", str.encode, Form.CLEAR_TEXT),
        ("bytea", lambda key: b"\x80\x05\xff" + key.encode(), Form.CLEAR_TEXT),
        ("bytea", lambda key: zlib.compress(key.encode()), Form.CLEAR_TEXT),
        ("bytea", lambda key: b"\x78" + key.encode(), Form.CLEAR_TEXT),
        ("bytea[]", lambda key: [key.encode()], Form.HEX),
        # Long enough that the server itself packs it and keeps it elsewhere.
        ("text", lambda key: "long " * 100_000 + key, Form.CLEAR_TEXT),
    ],
    ids=range(10),
)
def test_a_key_in_any_type_of_column_is_found(
    column: str, make: Callable[[str], object], form: Form, key: str, database_url: str, execute: Execute
) -> None:
    execute(f"CREATE TABLE kept (id integer PRIMARY KEY, value {column})")
    execute("INSERT INTO kept VALUES (1, NULL), (2, %s)", make(key))

    assert places_in_postgresql(key, database_url) == [Place("table kept, column value, id 2", form)]


def test_each_row_of_many_is_read(key: str, database_url: str, execute: Execute) -> None:
    execute("CREATE TABLE log (id integer PRIMARY KEY, extra text)")
    execute("INSERT INTO log SELECT n, CASE WHEN n %% 1000 = 0 THEN %s END FROM generate_series(1, 5000) n", key)

    where = [place.where for place in places_in_postgresql(key, database_url)]

    assert where == [f"table log, column extra, id {number}" for number in range(1000, 5001, 1000)]


def test_a_row_is_named_by_all_of_its_key(key: str, database_url: str, execute: Execute) -> None:
    execute("CREATE TABLE xcom (dag_id text, map_index integer, value text, PRIMARY KEY (dag_id, map_index))")
    execute("INSERT INTO xcom VALUES ('refresh', -1, %s)", key)

    assert places_in_postgresql(key, database_url) == [
        Place("table xcom, column value, dag_id refresh, map_index -1", Form.CLEAR_TEXT)
    ]


def test_a_row_without_a_key_of_its_own_is_named_by_its_place(key: str, database_url: str, execute: Execute) -> None:
    execute("CREATE TABLE note (value text)")
    execute("INSERT INTO note VALUES (%s)", key)

    assert places_in_postgresql(key, database_url) == [Place("table note, column value, row (0,1)", Form.CLEAR_TEXT)]


def test_a_row_that_is_named_by_the_key_is_told_without_it(key: str, database_url: str, execute: Execute) -> None:
    execute("CREATE TABLE variable (name text PRIMARY KEY)")
    execute("INSERT INTO variable VALUES (%s)", key)

    assert places_in_postgresql(key, database_url) == [Place("table variable, column name, name ***", Form.CLEAR_TEXT)]


PARTITION = "CREATE TABLE whole (value text) PARTITION BY LIST (value); CREATE TABLE part PARTITION OF whole DEFAULT"
HEIR = "CREATE TABLE whole (value text); CREATE TABLE part () INHERITS (whole)"


@pytest.mark.parametrize("make", [PARTITION, HEIR], ids=["partition", "heir"])
def test_a_row_of_a_table_that_is_a_part_of_another_is_told_once(
    make: str, key: str, database_url: str, execute: Execute
) -> None:
    execute(make)
    execute("INSERT INTO part VALUES (%s)", key)

    assert places_in_postgresql(key, database_url) == [Place("table part, column value, row (0,1)", Form.CLEAR_TEXT)]


def test_odd_names_are_no_trouble(key: str, database_url: str, execute: Execute) -> None:
    execute("""CREATE TABLE "a ""table"" of 100 %%" ("Pri mary" integer PRIMARY KEY, "%%s" text)""")
    execute("""INSERT INTO "a ""table"" of 100 %%" VALUES (1, %s)""", key)

    assert places_in_postgresql(key, database_url) == [
        Place('table a "table" of 100 %, column %s, Pri mary 1', Form.CLEAR_TEXT)
    ]


def test_other_schemas_and_databases_are_searched_too(key: str, database_url: str) -> None:
    other = make_url(database_url).set(database="results").render_as_string(False)
    run(database_url, "CREATE SCHEMA celery CREATE TABLE taskmeta (id integer PRIMARY KEY, result bytea)")
    run(database_url, "CREATE DATABASE results")
    try:
        run(database_url, "INSERT INTO celery.taskmeta VALUES (1, %s)", key.encode())
        run(other, "CREATE TABLE taskmeta (id integer PRIMARY KEY, result bytea)")
        run(other, "INSERT INTO taskmeta VALUES (2, %s)", key.encode())

        assert places_in_postgresql(key, database_url) == [
            Place("table celery.taskmeta, column result, id 1", Form.CLEAR_TEXT),
            Place("table taskmeta of database results, column result, id 2", Form.CLEAR_TEXT),
        ]
    finally:
        run(database_url, "DROP DATABASE results WITH (FORCE)")
        run(database_url, "DROP SCHEMA celery CASCADE")


def test_a_table_that_may_not_be_read_is_an_error_and_no_clean_bill(
    key: str, database_url: str, execute: Execute
) -> None:
    execute("CREATE TABLE closed (value text); CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        guest = make_url(database_url).set(username="guest", password="guest").render_as_string(False)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            places_in_postgresql(key, guest)
    finally:
        execute("DROP ROLE guest")
