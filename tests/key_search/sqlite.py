# SPDX-License-Identifier: Apache-2.0
"""A key in the rows of an SQLite file, which cuts a long value into pages that need not be neighbours in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.key_search.forms import KeyForms
from tests.key_search.places import Place, places_in

SQLITE_MAGIC = b"SQLite format 3\0"

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"


def places_in_rows(path: Path, name: str, forms: KeyForms) -> Iterator[Place]:
    """
    Find a key in every row of every table.

    :param path: The database.
    :param name: Its name, for a person.
    :param forms: The key.
    :return: The table, the column and the row, once for each form.
    :raises sqlite3.Error: Something cannot be read: nobody knows then what is in it.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        # As bytes: what a program wrote as text need not be UTF-8.
        connection.text_factory = bytes
        for (table,) in connection.execute(TABLES).fetchall():
            rows = connection.execute(f'SELECT * FROM "{table.decode()}"')  # noqa: S608 - SQLite binds no names
            columns = [column[0] for column in rows.description]
            for number, row in enumerate(rows, 1):
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        where = f"file {name}, table {table.decode()}, column {column}, row {number}"
                        yield from places_in(value, where, forms)
