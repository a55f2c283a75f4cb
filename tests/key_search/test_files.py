# SPDX-License-Identifier: Apache-2.0
"""A key in a file is found, however large, packed or oddly named the file is."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.key_search import Form, Place, places_in_folder
from tests.key_search.forms import KeyForms
from tests.key_search.written import WRITERS, Writer

EACH_WRITER = pytest.mark.parametrize(("form", "write"), WRITERS.values(), ids=WRITERS.keys())


def put(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@EACH_WRITER
def test_a_place_is_told_with_its_line_and_form(form: Form, write: Writer, key: str, tmp_path: Path) -> None:
    put(tmp_path / "logs/dag_id=a/attempt=1.log", f"one\ntwo\nGET {write(key)}\nfour\n")

    assert list(map(str, places_in_folder(key, tmp_path))) == [f"file logs/dag_id=a/attempt=1.log line 3, as {form}"]


@EACH_WRITER
def test_another_key_is_not_found(form: Form, write: Writer, key: str, other_key: str, tmp_path: Path) -> None:
    put(tmp_path / "a.log", write(other_key))

    assert places_in_folder(key, tmp_path) == [], form


@EACH_WRITER
def test_a_key_across_blocks_is_found_once(form: Form, write: Writer, key: str, tmp_path: Path) -> None:
    written, block_bytes = write(key), KeyForms(key).longest
    for before in range(block_bytes - len(written), block_bytes + 1, len(written) // 6):
        put(tmp_path / "a.log", f"{'-' * (before - 1)}\n{written}\n{'-' * 3 * block_bytes}")

        assert places_in_folder(key, tmp_path, block_bytes=block_bytes) == [Place("file a.log line 2", form)]


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 2**20])
def test_lines_are_counted_right_whatever_a_blocks_size(block_bytes: int, key: str, tmp_path: Path) -> None:
    lines = [key if number % 10 == 0 else "a line" * (number % 7) for number in range(1, 101)]
    put(tmp_path / "a.log", "\n".join(lines))

    places = places_in_folder(key, tmp_path, block_bytes=block_bytes)

    assert [place.where for place in places] == [f"file a.log line {number}" for number in range(10, 101, 10)]


def test_a_packed_file_is_unpacked(key: str, tmp_path: Path) -> None:
    put(tmp_path / "old.log.gz", gzip.compress(f"one\n{key}".encode()))

    assert places_in_folder(key, tmp_path) == [Place("file old.log.gz line 2", Form.CLEAR_TEXT)]


def test_a_packed_file_that_is_being_written_is_searched_as_far_as_it_goes(key: str, tmp_path: Path) -> None:
    whole = gzip.compress(f"{key}\n".encode() + bytes(range(256)) * 500)
    put(tmp_path / "new.log.gz", whole[:-9])

    assert places_in_folder(key, tmp_path) == [Place("file new.log.gz line 1", Form.CLEAR_TEXT)]


def test_a_file_that_only_looks_packed_is_searched_as_it_is(key: str, tmp_path: Path) -> None:
    put(tmp_path / "odd", b"\x1f\x8b" + key.encode())

    assert places_in_folder(key, tmp_path) == [Place("file odd line 1", Form.CLEAR_TEXT)]


def test_a_name_with_the_key_is_told_without_it(key: str, tmp_path: Path) -> None:
    name = key.replace("/", "%2F")
    put(tmp_path / "logs" / name / "a.log", f"and in it {key}")

    assert places_in_folder(key, tmp_path) == [
        Place("the name of file logs/***/a.log", Form.URL_ENCODED),
        Place("file logs/***/a.log line 1", Form.CLEAR_TEXT),
    ]


def test_a_value_that_sqlite_spreads_over_pages_is_found(key: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as connection, connection:
        connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, extra TEXT, data BLOB)")
        for _ in range(5):
            connection.execute("INSERT INTO log (extra, data) VALUES (?, ?)", (key * 500, key.encode() * 500))

    where = {place.where for place in places_in_folder(key, tmp_path) if "table" in place.where}

    assert where == {
        f"file airflow.db, table log, column {column}, row {row}" for column in ("extra", "data") for row in range(1, 6)
    }


def test_links_that_lead_nowhere_or_in_a_circle_are_no_trouble(key: str, tmp_path: Path) -> None:
    put(tmp_path / "logs/a.log", key)
    (tmp_path / "logs/latest").symlink_to(tmp_path / "logs", target_is_directory=True)
    (tmp_path / "logs/gone.log").symlink_to(tmp_path / "nowhere")

    assert places_in_folder(key, tmp_path) == [Place("file logs/a.log line 1", Form.CLEAR_TEXT)]


def test_a_folder_that_is_not_there_is_an_error_and_no_clean_bill(key: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        places_in_folder(key, tmp_path / "nowhere")
