# SPDX-License-Identifier: Apache-2.0
"""What a batch may spend, and the count of what it does: shared by all its waits. No I/O."""

from __future__ import annotations

import asyncio

import pendulum

from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.usage import SpendingLimit


class BatchAllowance(SpendingLimit):
    """
    What a batch may spend, and a count of what it does, exact also where a wait ends before its answer.

    :param record: Where polls and units are counted, those of earlier processes included.
    :param max_compute_units: What the batch may spend in all; None: any amount.
    """

    __slots__ = ("_is_closed", "_max_compute_units", "_record", "_under_way", "all_answered")

    def __init__(self, record: BatchRecord, max_compute_units: int | None) -> None:
        super().__init__()
        self._record = record
        self._max_compute_units = max_compute_units
        self._is_closed = False
        self._under_way = 0
        self.all_answered = asyncio.Event()
        """Set while no call is under way."""
        self.all_answered.set()

    def take(self, compute_units: int) -> bool:
        """Take the price of a call, unless it is not left or nothing more may be asked."""
        most, record = self._max_compute_units, self._record
        if self._is_closed or (most is not None and record.compute_units + compute_units > most):
            return False
        record.polls += 1
        record.compute_units += compute_units
        record.submitted_at = record.submitted_at or pendulum.now("UTC").isoformat()
        self._under_way += 1
        self.all_answered.clear()
        return True

    def give_back(self, compute_units: int) -> None:
        """Give back what a call did not cost: it has ended."""
        self._record.compute_units -= compute_units
        self._under_way -= 1
        if not self._under_way:
            self.all_answered.set()

    def close(self) -> None:
        """Let no further call be made; those under way are paid for, and their answers still count."""
        self._is_closed = True
