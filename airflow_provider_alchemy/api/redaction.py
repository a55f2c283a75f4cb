# SPDX-License-Identifier: Apache-2.0
"""The one place where a key is taken out of a text."""

from __future__ import annotations

import base64
import logging
import re

REDACTED = "***"

URL_LOG = logging.getLogger("urllib3.connectionpool")
"""The log of the library under requests, which writes each request's path at DEBUG."""


class Redactor:
    """Takes a key out of texts, in each form in which an HTTP library or a proxy may show it."""

    __slots__ = ("_encoded", "_part", "_written")

    def __init__(self, key: str) -> None:
        self._encoded = base64.b64encode(key.encode()).decode()
        # What no form of the key is without: looking for it takes a fraction of what the pattern takes, which for a key
        # that begins with another character than these goes through a text one by one.
        self._part = max(re.findall(r"[0-9A-Za-z]+", key), key=len, default="")
        self._written = re.compile("".join(map(_in_any_form, key)))

    def __call__(self, text: str) -> str:
        if not self._encoded:
            return text
        text = text.replace(self._encoded, REDACTED)
        return self._written.sub(REDACTED, text) if self._part in text else text


def _in_any_form(character: str) -> str:
    """Match a character; libraries differ in which ones they quote in a URL, and which ones they escape in JSON."""
    if character.isalnum():
        return character
    code = ord(character)
    # JSON writes a backslash twice, and JSON in JSON four times.
    plain = r"\\+" if character == "\\" else rf"\\*{re.escape(character)}"
    return rf"(?:{plain}|%(?i:{code:02x})|\\+u(?i:{code:04x}))"


def redact(text: str, key: str) -> str:
    """Take a key out of one text."""
    return Redactor(key)(text)


class KeyFilter(logging.Filter):
    """Takes a key out of log records."""

    def __init__(self, api_key: str) -> None:
        super().__init__()
        self._redactor = Redactor(api_key)

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        shown = self._redactor(text)
        if shown != text:
            record.msg, record.args = shown, ()
        return True
