# SPDX-License-Identifier: Apache-2.0
"""
Which contract of a batch is looked at next. No I/O, no sleep.

Ten thousand tasks that sleep until their next look would cost an event loop more than the looks themselves: Python's
garbage collector walks through all of them while everything else waits. So a batch keeps numbers here, and makes a
task of a contract only when it is due.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from typing import NamedTuple


class DueLook(NamedTuple):
    """
    A look that is due.

    :param rank: The lowest is the most urgent: when it was due, less what its answer is worth.
    :param position: Which contract.
    :param due_at: When it was due, in the clock of the event loop.
    """

    rank: float
    position: int
    due_at: float


class BatchQueue:
    """
    The looks that a batch is to make.

    :param positions: The contracts that are to be looked at now, in this order.
    :param now: In the clock of the event loop.
    """

    __slots__ = ("_due", "_sleeping")

    def __init__(self, positions: Iterable[int], now: float) -> None:
        # Tuples that differ in their positions only are a heap already.
        self._due = [(now, position, now) for position in sorted(positions)]
        self._sleeping: list[tuple[float, int, float]] = []

    def add(self, position: int, due_at: float, head_start_seconds: float) -> None:
        """
        Plan a look.

        :param position: Which contract.
        :param due_at: When, in the clock of the event loop.
        :param head_start_seconds: How much its answer is worth before others that are due.
        """
        heapq.heappush(self._sleeping, (due_at, position, due_at - head_start_seconds))

    def next_due_at(self) -> float:
        """Give when the next look is due that is not due yet; infinity where there is none."""
        return self._sleeping[0][0] if self._sleeping else math.inf

    def take(self, now: float) -> DueLook | None:
        """
        Take the most urgent look.

        :param now: In the clock of the event loop.
        :return: The look; None where none is due.
        """
        while self._sleeping and self._sleeping[0][0] <= now:
            due_at, position, rank = heapq.heappop(self._sleeping)
            heapq.heappush(self._due, (rank, position, due_at))
        return DueLook(*heapq.heappop(self._due)) if self._due else None
