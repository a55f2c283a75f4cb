# SPDX-License-Identifier: Apache-2.0
"""Keeps the key out of the log of the library under requests, which writes each request's path at DEBUG."""

from __future__ import annotations

import logging

from airflow_provider_alchemy.api.redaction import Redactor

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
