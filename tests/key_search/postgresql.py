# SPDX-License-Identifier: Apache-2.0
"""A key in PostgreSQL: in every row of every table that is not the server's own, in all databases of a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url

from tests.key_search.forms import KeyForms
from tests.key_search.places import Place, places_in

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a function's name

DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"

# A partitioned table is left out: its rows are those of its partitions, which are tables.
TABLES = """
SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY n.nspname, c.relname
"""

COLUMNS = """
SELECT a.attname, a.atttypid = 'bytea'::regtype, coalesce(a.attnum = ANY (i.indkey), false)
FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    is_bytes: bool
    is_in_primary_key: bool


def places_in_postgresql(key: str, database_url: str) -> list[Place]:
    """
    Find a key in the tables of a server.

    :param key: The key.
    :param database_url: The URL of one of its databases, as SQLAlchemy or PostgreSQL takes it. Its user must be
        allowed to read all tables of all databases.
    :return: The table, the column and the row, once for each form.
    :raises psycopg2.Error: Something cannot be read: nobody knows then what is in it.
    """
    forms = KeyForms(key)
    url = make_url(database_url).set(drivername="postgresql")
    with _connected(url.render_as_string(hide_password=False)) as connection:
        names = _all(connection, DATABASES)
    places: list[Place] = []
    for (name,) in names:
        with _connected(url.set(database=name).render_as_string(hide_password=False)) as connection:
            of_database = "" if name == url.database else f" of database {name}"
            for number, schema, table in _all(connection, TABLES):
                shown = table if schema == "public" else f"{schema}.{table}"
                columns = [_Column(*row) for row in _all(connection, COLUMNS, number)]
                for row in _rows(connection, sql.Identifier(schema, table), columns):
                    places += _places(row, columns, f"table {shown}{of_database}", forms)
    return places


def _connected(dsn: str) -> closing[Connection]:
    connection = psycopg2.connect(dsn, client_encoding="UTF8")
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    return closing(connection)


def _all(connection: Connection, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, arguments)
        return cursor.fetchall()


def _rows(connection: Connection, table: sql.Identifier, columns: list[_Column]) -> Iterator[tuple[Any, ...]]:
    """Give each row after its place in the table; a server-side cursor, because a table may be larger than memory."""
    values = [
        sql.Identifier(column.name) if column.is_bytes else sql.SQL("{}::text").format(sql.Identifier(column.name))
        for column in columns
    ]
    with connection.cursor("rows") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(
            sql.SQL("SELECT {} FROM ONLY {}").format(sql.SQL(", ").join([sql.SQL("ctid::text"), *values]), table)
        )
        yield from cursor


def _places(row: tuple[Any, ...], columns: list[_Column], table: str, forms: KeyForms) -> Iterator[Place]:
    ctid, *values = row
    named = list(zip(columns, values, strict=True))
    keys = [f"{column.name} {value}" for column, value in named if column.is_in_primary_key and not column.is_bytes]
    which = ", ".join(keys) or f"row {ctid}"
    for column, value in named:
        if value is not None:
            data = value.encode() if isinstance(value, str) else bytes(value)
            yield from places_in(data, f"{table}, column {column.name}, {which}", forms)
