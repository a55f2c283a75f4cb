# SPDX-License-Identifier: Apache-2.0
"""The one place where a key is taken out of a text."""

from __future__ import annotations

import base64
import logging
import re

REDACTED = "***"


class Redactor:
    """
    Takes a key out of texts, in each form in which an HTTP library or a proxy may show it.

    :param key: The API key; empty: nothing is taken out.
    """

    __slots__ = ("_encoded", "_part", "_written")

    def __init__(self, key: str) -> None:
        self._encoded = base64.b64encode(key.encode()).decode()
        # What no form of the key is without: looking for it takes a fraction of what the pattern takes, which for a key
        # that begins with another character than these goes through a text one by one.
        self._part = max(re.findall(r"[0-9A-Za-z]+", key), key=len, default="")
        self._written = re.compile("".join(map(_in_any_form, key)))

    def __call__(self, text: str) -> str:
        """
        Take the key out of a text.

        :param text: The text of a body or of somebody's exception.
        :return: The text with ``***`` in the key's places.
        """
        if not self._encoded:
            return text
        text = text.replace(self._encoded, REDACTED)
        return self._written.sub(REDACTED, text) if self._part in text else text


def _in_any_form(character: str) -> str:
    """Match a character; each library has its own mind about which ones a URL must quote, and which ones JSON."""
    if character.isalnum():
        return character
    code = ord(character)
    # JSON writes a backslash twice, and JSON in JSON four times.
    plain = r"\\+" if character == "\\" else rf"\\*{re.escape(character)}"
    return rf"(?:{plain}|%(?i:{code:02x})|\\+u(?i:{code:04x}))"


def redact(text: str, key: str) -> str:
    """
    Take a key out of one text.

    :param text: The text of a body or of somebody's exception.
    :param key: The API key; empty: nothing is taken out.
    :return: The text with ``***`` in the key's places.
    """
    return Redactor(key)(text)


URL_LOG = logging.getLogger("urllib3.connectionpool")


class KeyFilter(logging.Filter):
    """
    Takes a key out of log records.

    :param api_key: The key.
    """

    def __init__(self, api_key: str) -> None:
        super().__init__()
        self._redactor = Redactor(api_key)

    def filter(self, record: logging.LogRecord) -> bool:
        """
        Rewrite a record that shows the key.

        :param record: The record.
        :return: True: none is dropped.
        """
        text = record.getMessage()
        shown = self._redactor(text)
        if shown != text:
            record.msg, record.args = shown, ()
        return True
