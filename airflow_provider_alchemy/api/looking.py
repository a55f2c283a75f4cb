# SPDX-License-Identifier: Apache-2.0
"""
What waits have in common that look until they have seen enough, and refresh nothing: limits, failures, the end.

What a failed call means, how long a back-off is and which deadline is over is decided by the wait for a refresh, which
these are made of. Nothing here calls anybody: the caller looks.
"""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

import pendulum

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemySpendingLimitError,
    AlchemyTimeoutError,
)
from airflow_provider_alchemy.api.limits import WaitLimits
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.records import WaitRecord, read_moment
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait

R = TypeVar("R", bound=WaitRecord)


class LookState(StrEnum):
    """Whether a wait has seen enough."""

    WAITING = "waiting"
    """The service has answered, and it was not enough."""

    FINISHED = "finished"


class LookLimits(WaitLimits):
    """
    The limits of a wait that looks. Its subclasses say how far it is, and what one more look costs.

    :param record: What the wait has seen and spent, and its deadlines.
    :param subject: The collection and the connection, for people.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    __slots__ = ("max_compute_units",)

    deadline_advice: ClassVar[str]
    spending_advice: ClassVar[str]
    """What to do but to raise the limit."""

    price_of_look: ClassVar[int]
    """Compute units of the smallest look."""

    def __init__(self, record: WaitRecord, subject: str, max_compute_units: int | None = None) -> None:
        super().__init__(record, subject, max_compute_units)
        self.max_compute_units = max_compute_units

    @abstractmethod
    def told(self) -> str:
        """Tell how far the wait is, as the beginning of a sentence."""

    def spending_limit(self) -> SpendingLimit:
        """Give what is left to spend."""
        most = self.max_compute_units
        return SpendingLimit(None if most is None else max(most - self._record.compute_units, 0))

    def seconds_for_calls(self, call_seconds: float) -> float | None:
        """
        Tell how long calls may take that begin now.

        :param call_seconds: How long one may take: the last one is due at the deadline, and the account may leave no
            room for it.
        :return: Seconds; None: any time.
        """
        left = self.cut(math.inf) + call_seconds
        return None if math.isinf(left) else left

    def check_deadlines(self, error: AlchemyError | None = None) -> None:
        """Give up where time is over, as ``WaitLimits`` does, and say how far the wait was."""
        try:
            super().check_deadlines()
        except AlchemyDeadlineError as over:
            last = f"; the last poll failed: {error.what}" if error else ""
            msg = f"{self.told()} when the task's {over.limit} was over{last}"
            raise type(over)(msg, subject=self._subject, advice=self.deadline_advice) from None

    def check_spending(self) -> None:
        """Give up where one more look would cost more than the wait may spend."""
        self.check_price(self.price_of_look, "one more poll costs {price:,}")

    def check_price(self, price: int, words: str) -> None:
        """
        Give up where something would cost more than is left.

        :param price: Compute units.
        :param words: What it is, with a ``price`` to fill in.
        :raises AlchemySpendingLimitError: It would.
        """
        spent, most = self._record.compute_units, self.max_compute_units
        if most is None or spent + price <= most:
            return
        msg = (
            f"{self.told()} when the task had spent {spent:,} compute units: {words.format(price=price)}, and "
            f"max_compute_units is {most:,}"
        )
        advice = f"Raise max_compute_units to {spent + price:,} at least, or {self.spending_advice}"
        raise AlchemySpendingLimitError(msg, subject=self._subject, advice=advice)


class LookWait(ABC, Generic[R]):
    """
    A wait that looks until it has seen enough.

    :param record: What was seen so far.
    :param limits: What it may not exceed.
    :param subject: The collection and the connection, for people.
    :param cadence: How often to look.
    :param log: Where to say what happens.
    :param max_consecutive_failures: Looks in a row that may fail; None: any number.
    """

    def __init__(
        self,
        record: R,
        limits: LookLimits,
        *,
        subject: str,
        cadence: Cadence,
        log: Log | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
    ) -> None:
        self.record = record
        self.subject = subject
        self.log = log or logging.getLogger(__name__)
        self.limits = limits
        self._rules = RefreshWait(
            record, subject=subject, cadence=cadence, log=self.log, max_consecutive_failures=max_consecutive_failures
        )
        self._rules.limits = limits
        record.submitted_at = record.submitted_at or record.waiting_since

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether enough was seen."""

    @abstractmethod
    def how_far(self) -> str:
        """Tell how far the wait is, for its last log line."""

    @abstractmethod
    def say_progress(self) -> None:
        """Say what a look has brought, where it is news."""

    @property
    def cadence(self) -> Cadence:
        """How often to look."""
        return self._rules.cadence

    def first_delay_seconds(self) -> float:
        """Give a random part of the interval, so that many waits that begin at once do not look at once."""
        return self._rules.first_delay_seconds()

    def looked(self, usage: Usage) -> float | None:
        """
        Apply the rules to a look that was answered to its end.

        :param usage: What it cost.
        :return: When to look again, in seconds; None: the wait has ended well.
        :raises AlchemyError: The wait has failed.
        """
        self._count(usage)
        self.say_progress()
        if self.is_over:
            self.finish()
            return None
        self._check_hope()
        self.limits.check_deadlines()
        self.limits.check_spending()
        return self.limits.cut(self._interval_seconds())

    def failed(self, error: AlchemyError, usage: Usage) -> float | None:
        """
        Apply the rules to a look that a failed call has cut short. The next look goes on where it failed.

        :param error: What went wrong.
        :param usage: What the look cost.
        :return: When to look again, in seconds; None: what was answered is enough.
        :raises AlchemyError: The wait has failed.
        """
        self.say_progress()
        if self.is_over:
            self._count(usage)
            self.finish()
            return None
        if isinstance(error, AlchemySpendingLimitError):
            self._count(usage)
            self.limits.check_spending()
            raise error
        return self._rules.take(error, usage)

    def finish(self) -> None:
        """Take the good end."""
        self.record.state = LookState.FINISHED.value
        self.record.finished_at = self.record.finished_at or pendulum.now("UTC").isoformat()

    def say_the_end(self) -> None:
        """Write the wait's last log line: how it ended, how long it took and what it cost."""
        record = self.record
        since = read_moment(record.waiting_since) or pendulum.now("UTC")
        self.log.info(
            "%s: %s, %s, after %.1f s, %d poll%s, %s compute units",
            self.subject,
            "finished" if record.state == LookState.FINISHED else "not finished",
            self.how_far(),
            (pendulum.now("UTC") - since).total_seconds(),
            record.polls,
            "s"[: record.polls != 1],
            f"{record.compute_units:,}",
        )

    def _check_hope(self) -> None:
        """Give up where no look can bring enough any more."""

    def _interval_seconds(self) -> float:
        return self.cadence.after(self.record.looks, self.record.course)

    def _count(self, usage: Usage) -> None:
        self.record.polls += usage.calls
        self.record.compute_units += usage.compute_units
        self.record.looks += 1


async def look_in_time(work: Awaitable[None], wait: LookWait[R], usage: Usage, call_seconds: float) -> float | None:
    """
    Do the calls of one look, no longer than the wait's deadline allows, and apply the rules to them.

    :param work: The calls.
    :param wait: The wait.
    :param usage: What counts their costs, also where one fails.
    :param call_seconds: How long a call may take.
    :return: Seconds until the next look; None: the wait has ended well.
    :raises AlchemyError: The wait has failed.
    """
    try:
        async with asyncio.timeout(wait.limits.seconds_for_calls(call_seconds)):
            await work
    except TimeoutError:
        msg = f"the account's throughput left no room for all calls of a poll for {call_seconds:g} seconds"
        return wait.failed(AlchemyTimeoutError(msg), usage)
    except AlchemyError as error:
        return wait.failed(error, usage)
    return wait.looked(usage)
