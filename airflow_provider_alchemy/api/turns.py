# SPDX-License-Identifier: Apache-2.0
"""
Whose poll of an account is next: one queue for all pollers of the account in an event loop.

A poll waits here for three things: that the account is not being refused, that the unit budget has room, and that
no other poll is worth more. Which poll gets a place is decided when the place is there, not when it was asked for.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import time
from collections.abc import Iterator
from itertools import count
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_provider_alchemy.api.budget import UnitBudget
from airflow_provider_alchemy.api.errors import AlchemyRateLimitError
from airflow_provider_alchemy.api.retries import backoff_seconds


class Turns:
    """
    The queue of an account's polls.

    While the service refuses the account there is one attempt for each step of the back-off, whoever waits. The
    same holds before the first answer: nobody knows yet whether the service accepts anything.

    :param budget: The account's budget.
    :param units: Throughput units of a poll.
    """

    def __init__(self, budget: UnitBudget, units: int) -> None:
        self._budget = budget
        self._units = units
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers: Iterator[int] = count()
        self._runner: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._is_accepted = False
        self._is_probing = False
        self._refusals = 0
        self._refused_at = 0.0
        self._resumes_at = 0.0
        self.refusal: AlchemyRateLimitError | None = None
        """What the service said last, while it refuses the account."""

    async def take(self, rank: float) -> float:
        """
        Wait for a turn; ``settle`` must be told how it ended.

        :param rank: The lowest of those that wait is next.
        :return: When the turn began (monotonic seconds).
        """
        now = time.monotonic()
        if self._is_accepted and not self._waiting and self._budget.try_to_reserve(self._units, now):
            return now
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), turn))
        if self._runner is None or self._runner.done():
            # An empty context: this task serves every wait, and its log lines belong to none of them.
            self._runner = asyncio.create_task(self._hand_out(), context=contextvars.Context())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            elif all(other.done() for _, _, other in self._waiting):
                self._runner.cancel()
            raise
        return time.monotonic()

    def settle(self, began_at: float, refusal: AlchemyRateLimitError | None = None) -> None:
        """
        Tell how a turn ended.

        :param began_at: When it began, as ``take`` told.
        :param refusal: The service's word that the account's throughput is used up; None: any other answer or error.
        """
        if began_at < self._refused_at:
            # What was under way together is refused together, and what was answered before says nothing about now.
            return
        if refusal is None:
            self._is_accepted, self._refusals, self.refusal = True, 0, None
        else:
            self._refusals += 1
            self._refused_at = time.monotonic()
            self._resumes_at = self._refused_at + backoff_seconds(self._refusals, refusal.retry_after_seconds)
            self._is_accepted, self.refusal = False, refusal
        self._end_probe()

    def give_back(self) -> None:
        """Return a turn that nobody used."""
        self._end_probe()

    def _end_probe(self) -> None:
        self._is_probing = False
        self._settled.set()

    async def _hand_out(self) -> None:
        while self._waiting:
            if self._is_probing:
                self._settled.clear()
                await self._settled.wait()
            delay = self._resumes_at - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            await asyncio.sleep(self._budget.reserve(self._units, time.monotonic()))
            if self._is_probing or self._resumes_at > time.monotonic():
                # Refused meanwhile: the place in the budget is lost, which errs on the right side.
                continue
            turn = self._pop()
            if turn is not None:
                self._is_probing = not self._is_accepted
                turn.set_result(None)

    def _pop(self) -> asyncio.Future[None] | None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                return turn
        return None


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[int, Turns]] = WeakKeyDictionary()


def turns_of(budget: UnitBudget, units: int) -> Turns:
    """
    Give the queue that all pollers of an account share in the running event loop.

    :param budget: The account's budget.
    :param units: Throughput units of a poll.
    :return: The queue; it lives as long as one of its pollers.
    """
    of_this_loop = _turns.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    # The queue keeps its budget, so that no other budget can have this id while the queue is there.
    turns = of_this_loop.get(id(budget))
    if turns is None:
        turns = of_this_loop[id(budget)] = Turns(budget, units)
    return turns
