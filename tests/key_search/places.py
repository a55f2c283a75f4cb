# SPDX-License-Identifier: Apache-2.0
"""A place in which a key stands, as a person reads it, without the key."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.key_search.forms import Form, KeyForms

GZIP_MAGIC = b"\x1f\x8b"
ZLIB_MAGIC = b"\x78"


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place in which a key stands.

    :param where: The place, for a person; it does not show the key.
    :param form: How the key is written there.
    """

    where: str
    form: Form

    def __str__(self) -> str:
        return f"{self.where}, as {self.form}"


def places_in(value: bytes, where: str, forms: KeyForms) -> Iterator[Place]:
    """
    Find a key in a value that is in memory.

    :param value: The value; where it is compressed, what it unpacks to.
    :param where: Its place, for a person.
    :param forms: The key.
    :return: The place, once for each form.
    """
    for form in forms.forms_in(_unpacked(value)):
        yield Place(forms.without(where), form)


def places_in_texts(key: str, texts: Mapping[str, str]) -> list[Place]:
    """
    Find a key in texts, for example the output of a process.

    :param key: The key.
    :param texts: The texts by what they are.
    :return: The texts with the key, once for each form.
    """
    forms = KeyForms(key)
    return [place for where, text in texts.items() for place in places_in(text.encode(), where, forms)]


def _unpacked(value: bytes) -> bytes:
    try:
        if value.startswith(GZIP_MAGIC):
            return gzip.decompress(value)
        if value.startswith(ZLIB_MAGIC):
            return zlib.decompress(value)
    except (OSError, EOFError, zlib.error):
        # It only looks like it: any bytes may begin so.
        return value
    return value
