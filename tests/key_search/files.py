# SPDX-License-Identifier: Apache-2.0
"""A key in the files of a folder: their names and all that is in them, whatever their size."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path

from tests.key_search.forms import KeyForms
from tests.key_search.places import Place, places_in
from tests.key_search.sqlite import SQLITE_MAGIC, places_in_rows

BLOCK_BYTES = 2**20
NEWLINE = b"\n"


def places_in_folder(key: str, folder: Path, *, block_bytes: int = BLOCK_BYTES) -> list[Place]:
    """
    Find a key in the files below a folder.

    :param key: The key.
    :param folder: The folder.
    :param block_bytes: How much of a file is in memory at once, at least. Default 1 MiB.
    :return: The files and the lines in them; a line once for each form.
    :raises OSError: A file is there and cannot be read: nobody knows then what is in it.
    """
    forms = KeyForms(key)
    return [place for path in _files(folder) for place in _places(path, folder, forms, block_bytes)]


def _files(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        # What runs while we look takes folders away; but a search of nothing is no search.
        if not isinstance(error, FileNotFoundError) or not folder.exists():
            raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _places(path: Path, folder: Path, forms: KeyForms, block_bytes: int) -> Iterator[Place]:
    name = str(path.relative_to(folder))
    yield from places_in(os.fsencode(name), f"the name of file {name}", forms)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return
        with path.open("rb") as file:
            yield from _lines(_blocks(file, block_bytes), name, forms)
            file.seek(0)
            is_database = file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
        with gzip.open(path) as unpacked:
            yield from _lines(_blocks(unpacked, block_bytes), name, forms)
        if is_database:
            yield from places_in_rows(path, name, forms)
    except FileNotFoundError:
        # What runs while we look takes files away, and links may lead nowhere.
        return


def _blocks(file: BufferedReader | gzip.GzipFile, block_bytes: int) -> Iterator[bytes]:
    try:
        # Not more than one read: where the next one fails, what the first one gave would be lost.
        while block := file.read1(block_bytes):
            yield block
    except (gzip.BadGzipFile, EOFError, zlib.error):
        # Most files are not packed at all, and one that is just written ends too early.
        return


def _lines(blocks: Iterator[bytes], name: str, forms: KeyForms) -> Iterator[Place]:
    window, line, told = b"", 1, set[Place]()
    for block in chain(blocks, [None]):
        window += block or b""
        # What begins in the last bytes may end in the next block: it is looked for there.
        settled = len(window) if block is None else max(0, len(window) - forms.longest)
        for found in sorted(forms.find(window), key=lambda found: found.start):
            lines_before = window.count(NEWLINE, 0, found.start)
            place = Place(forms.without(f"file {name} line {line + lines_before}"), found.form)
            if found.start < settled and place not in told:
                told.add(place)
                yield place
        line += window.count(NEWLINE, 0, settled)
        window = window[settled:]
