# SPDX-License-Identifier: Apache-2.0
"""
One wait among those of a poller: each answer goes through the wait's own rules, and they say when to ask next.

The rules run in the context of whoever waits, so that their log lines are told from those of other waits. The waiting
task itself sleeps until the end: waking it for each answer would cost as much as half the answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable

from airflow_provider_alchemy.api.agenda import Question
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.api.waiting import RefreshWait

LATENESS = 1 / 20
"""The part of its delay by which a look may be late, so that looks come together."""

LONGEST_STROKE_SECONDS = 1.0
"""The most by which a look may be late for that."""


class Follower(Question):
    """
    The questions of one wait, one after the other; its ``answer`` is the end of the wait.

    :param wait: The wait.
    :param put: Lets a question be asked when it is due.
    :param until_the_end: Whether to wait for the refresh's end; else one answer that accepts it is enough.
    """

    __slots__ = ("_context", "_put", "_until_the_end", "_wait")

    def __init__(self, wait: RefreshWait, put: Callable[[Question], None], *, until_the_end: bool) -> None:
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(wait.record.contract_address, 0.0, 0.0, Usage(), None, end)
        self._wait = wait
        self._put = put
        self._until_the_end = until_the_end
        self._context = contextvars.copy_context()

    def settle(self, outcome: RefreshStatus | BaseException) -> None:
        """
        Apply the wait's rules to an answer, and ask again or end.

        :param outcome: The status, or what went wrong.
        """
        if self.answer.done():
            return
        if not isinstance(outcome, RefreshStatus | AlchemyError):
            self.answer.set_exception(outcome)
            return
        usage, self.usage = self.usage, Usage()
        try:
            delay = self._context.run(self._wait.take, outcome, usage)
        except Exception as error:  # noqa: BLE001 - the rules' verdict, or a bug: who waits must learn of either
            self.answer.set_exception(error)
            return
        is_accepted = self._wait.was_answered and not self._wait.must_submit_again
        if delay is None or (is_accepted and not self._until_the_end):
            self.answer.set_result(None)
        else:
            self.due_in(delay)
            self._put(self)

    def due_in(self, delay_seconds: float) -> None:
        """
        Set when to ask next.

        :param delay_seconds: In how many seconds.
        """
        now = asyncio.get_running_loop().time()
        # The last look before a deadline is not late for company.
        self.due_at = min(next_stroke(now + delay_seconds, delay_seconds), now + self._wait.limits.cut(math.inf))
        self.rank = self.due_at - self._wait.head_start_seconds(delay_seconds)


def next_stroke(due_at: float, delay_seconds: float) -> float:
    """
    Put a look off until others are due too: calls that are made together cost half of calls one by one.

    :param due_at: When it is due, in the clock of the event loop.
    :param delay_seconds: How long it was waited for.
    :return: The next stroke of a clock that all waits with about this delay share.
    """
    if delay_seconds <= 0:
        return due_at
    stroke = min(2.0 ** math.floor(math.log2(delay_seconds * LATENESS)), LONGEST_STROKE_SECONDS)
    # The answer to the look before came a little after its stroke: that does not make each interval a stroke longer.
    return math.ceil(due_at / stroke - 0.25) * stroke
