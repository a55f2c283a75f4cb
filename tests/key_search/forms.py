# SPDX-License-Identifier: Apache-2.0
"""The forms in which a key may stand in bytes, and where in them it does. No I/O."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

SHORTEST_KEY = 8
"""A shorter text stands in any large file by chance."""

DEEPEST_ESCAPE = 8
"""Backslashes before one character: JSON in JSON in JSON has 7."""


class Form(StrEnum):
    """How a key is written."""

    CLEAR_TEXT = "clear text"
    URL_ENCODED = "URL-encoded"
    ESCAPED = "escaped text"
    """As JSON or Python's ``repr`` write it, however often."""

    HTML = "HTML"
    BASE64 = "base64"
    HEX = "hex"


@dataclass(frozen=True, slots=True)
class Found:
    """
    A key that was found.

    :param start: Where it begins, in bytes.
    :param form: How it is written there.
    """

    start: int
    form: Form


@dataclass(frozen=True, slots=True)
class _Pattern:
    """
    What a form looks like.

    :param form: The form; None: to be told from what was matched.
    :param regex: Matches the key in it.
    :param part: What no match is without: looking for it takes a fraction of what the pattern takes.
    """

    form: Form | None
    regex: re.Pattern[bytes]
    part: bytes


class KeyForms:
    """
    A key in all its forms.

    :param key: The key.
    :raises ValueError: It is so short that it would be found everywhere.
    """

    def __init__(self, key: str) -> None:
        if len(key) < SHORTEST_KEY:
            msg = f"a key of {len(key)} characters is found by chance; expected at least {SHORTEST_KEY}"
            raise ValueError(msg)
        self._key = key.encode()
        self._patterns = (_written(key), *_as_hex(self._key), *_as_base64(key))

    @property
    def longest(self) -> int:
        """More bytes than the key takes in any of its forms."""
        return len(self._key) * (DEEPEST_ESCAPE + len("u0000"))

    def find(self, data: bytes) -> Iterator[Found]:
        """
        Find the key.

        :param data: Where to look.
        :return: Each place in which it stands, form by form.
        """
        for pattern in self._patterns:
            if pattern.part in data:
                for match in pattern.regex.finditer(data):
                    yield Found(match.start(), pattern.form or self._form_of(match.group()))

    def forms_in(self, data: bytes) -> list[Form]:
        """
        Tell in which forms the key is in some bytes.

        :param data: Where to look.
        :return: Each form once.
        """
        return list(dict.fromkeys(found.form for found in self.find(data)))

    def without(self, text: str) -> str:
        """
        Take the key out of the name of a place.

        :param text: The name.
        :return: The name with ``***`` in the key's places.
        """
        data = text.encode(errors="surrogateescape")
        for pattern in self._patterns:
            data = pattern.regex.sub(b"***", data)
        return data.decode(errors="replace")

    def _form_of(self, written: bytes) -> Form:
        if written == self._key:
            return Form.CLEAR_TEXT
        for sign, form in ((b"\\", Form.ESCAPED), (b"%", Form.URL_ENCODED), (b";", Form.HTML)):
            if written.count(sign) > self._key.count(sign):
                return form
        # A space that became a plus.
        return Form.URL_ENCODED


def _written(key: str) -> _Pattern:
    """Match the key as texts write it: which characters are escaped, and how, may differ from one to the next."""
    return _Pattern(None, re.compile(b"".join(map(_character, key))), _longest_plain(key))


def _character(character: str) -> bytes:
    if character.isascii() and character.isalnum():
        return character.encode()
    raw, code = re.escape(character.encode()), ord(character)
    slashes = rb"\\{1,%d}" % DEEPEST_ESCAPE
    ways = [
        # A backslash is doubled by each layer of escapes; before another character there may be any number.
        slashes if character == "\\" else rb"\\{0,%d}%b" % (DEEPEST_ESCAPE, raw),
        rb"%b(?:u%04x|u%04X|x%02x|x%02X)" % (slashes, code, code, code, code),
        b"".join(rb"%%(?:25){0,2}(?:%02x|%02X)" % (byte, byte) for byte in character.encode()),
        rb"&(?:#0{0,4}%d|#[xX]0{0,4}(?:%x|%X)%b);" % (code, code, code, _HTML_NAMES.get(character, b"")),
        *([rb"\+"] if character == " " else []),
    ]
    return b"(?:" + b"|".join(ways) + b")"


_HTML_NAMES = {"&": b"|amp", "<": b"|lt", ">": b"|gt", '"': b"|quot", "'": b"|apos"}


def _longest_plain(text: str) -> bytes:
    return max(re.findall(r"[0-9A-Za-z]+", text), key=len, default="").encode()


def _as_hex(key: bytes) -> Iterator[_Pattern]:
    for digits in {key.hex().encode(), key.hex().upper().encode()}:
        yield _Pattern(Form.HEX, re.compile(digits), digits)


def _as_base64(key: str) -> Iterator[_Pattern]:
    """Match the key inside the base64 of a longer text, in which it or one of its plain forms may stand anywhere."""
    quoted = {quote(key), quote(key, safe="")}
    # Escapes are the only part of a quoted key that may be in lower case.
    quoted |= {re.sub("%..", lambda escape: escape.group().lower(), text) for text in quoted}
    escaped = json.dumps(key)[1:-1]
    for text in {key, escaped, escaped.replace("/", "\\/"), quote(key, safe="").replace("%20", "+"), *quoted}:
        for alignment in range(3):
            yield _base64_at(text.encode(), alignment)


def _base64_at(text: bytes, alignment: int) -> _Pattern:
    """
    Match the base64 of a text that begins some bytes after a multiple of three.

    The characters at both ends hold bits of the neighbours too: whatever those are, they must fit. Without them
    another key that differs in its first or last character would be taken for this one.
    """
    first, behind = alignment * 8 // 6, -(-(alignment + len(text)) * 8 // 6)
    # A character holds at most the last or the first four bits of a neighbour: all sixteen of either.
    fills = [bytes([0x11 * bits]) for bits in range(16)]
    encoded = [base64.b64encode(fill * alignment + text + fill * 3) for fill in fills]
    characters = [sorted({one[at : at + 1] for one in encoded}) for at in range(first, behind)]
    regex = b"".join(b"(?:" + b"|".join(map(_in_either_alphabet, each)) + b")" for each in characters)
    sure = b"".join(each[0] if len(each) == 1 else b" " for each in characters)
    return _Pattern(Form.BASE64, re.compile(regex), _longest_plain(sure.decode()))


def _in_either_alphabet(character: bytes) -> bytes:
    """Match a character of base64, standard or for URLs, also where a URL quotes it or JSON escapes the slash."""
    ways = {b"+": rb"\+|-|%2[Bb]", b"/": rb"\\{0,%d}/|_|%%2[Ff]" % DEEPEST_ESCAPE}
    return ways.get(character, character)
