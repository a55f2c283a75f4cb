# SPDX-License-Identifier: Apache-2.0
"""What a batch says on its way: a line each tenth, the first failures, nothing of each single wait. No I/O."""

from __future__ import annotations

from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.errors import AlchemyError, reason_of
from airflow_provider_alchemy.api.logs import Log

LOGGED_SHARES = 10
LOGGED_FAILURES = 20


class QuietLog:
    """
    A log in which everything is a detail: what one wait of ten thousand says.

    :param log: Where it goes.
    """

    __slots__ = ("debug", "info", "warning")

    def __init__(self, log: Log) -> None:
        self.debug = self.info = self.warning = log.debug


class BatchLog:
    """
    The log of a batch.

    :param record: What the batch has seen so far.
    :param subject: The batch, for people.
    :param log: Where to say it.
    """

    def __init__(self, record: BatchRecord, subject: str, log: Log) -> None:
        self._record = record
        self._subject = subject
        self._log = log
        self._failures = 0
        self._told_share = self._share()

    def failed(self, contract_address: str, error: AlchemyError) -> None:
        """
        Say that a contract failed, unless many have before.

        :param contract_address: Which.
        :param error: What went wrong.
        """
        self._failures += 1
        if self._failures > LOGGED_FAILURES:
            return
        self._log.warning("%s failed (%s): %s", contract_address, reason_of(error), error.what)
        if self._failures == LOGGED_FAILURES:
            self._log.warning("Further failures are not logged: the task's XCom 'failed' lists all of them")

    def ended(self) -> None:
        """Say how far the batch is, where another tenth of it has ended; of its end, the end itself says more."""
        share = self._share()
        if self._told_share < share < LOGGED_SHARES:
            self._told_share = share
            self._log.info("%s: %s", self._subject, self._record.tell())

    def _share(self) -> int:
        return self._record.ended * LOGGED_SHARES // self._record.contracts
