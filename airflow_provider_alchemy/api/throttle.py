# SPDX-License-Identifier: Apache-2.0
"""The account's limits: the unit budget, the pause after a refusal, the queue for an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import heapq
import math
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import count
from weakref import WeakKeyDictionary, WeakValueDictionary

from pendulum import DateTime, now

from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyUnexpectedAnswerError,
    ErrorKind,
)
from airflow_provider_alchemy.api.settings import MAX_CALL_THROUGHPUT_UNITS, WINDOW_SECONDS, ClientSettings

RECOVERY_STEP = 1 / 8
"""The part of the plan's rate that comes back with each window without a refusal: after one refusal the full rate
is there again in 40 seconds, and an account that others use is not pushed over its limit again at once."""


class UnitBudget:
    """
    Compute units that may be used in each window.

    Other processes and other software use the same account, and nobody coordinates them: the service's refusals are
    the only sign of them. Each one halves the rate, which then grows back by an eighth of the plan's each window.

    :param units_per_second: The plan's throughput.
    :param window_seconds: Length of the window. Default 10, the service's.
    :param spread_seconds: How much later than planned a call may reach the service. Default half a second; units
        are held that much longer, because the service counts from when a call arrives.
    """

    __slots__ = (
        "_grows_at",
        "_lock",
        "_rate",
        "_slowed_at",
        "_starts",
        "_units_per_second",
        "_used",
        "_window",
        "_window_seconds",
    )

    def __init__(
        self, units_per_second: float, window_seconds: float = WINDOW_SECONDS, spread_seconds: float = 0.5
    ) -> None:
        self._units_per_second = self._rate = units_per_second
        self._window = window_seconds
        self._window_seconds = window_seconds + spread_seconds
        self._starts: deque[tuple[float, int]] = deque()
        self._used = 0
        self._slowed_at = -math.inf
        self._grows_at = math.inf
        self._lock = threading.Lock()

    @property
    def units_per_second(self) -> float:
        """The rate that is kept to now: the plan's, or less after refusals."""
        return self._rate

    def reserve(self, units: int, now: float) -> float:
        """
        Reserve units for a call, first come, first served.

        :param units: Throughput units of the call.
        :param now: Monotonic time in seconds.
        :return: Seconds to wait before the call may start.
        """
        with self._lock:
            self._recover(now)
            capacity = self._rate * self._window
            start = max(now, self._starts[-1][0]) if self._starts else now
            while self._starts and (
                self._used + units > capacity or self._starts[0][0] + self._window_seconds <= start
            ):
                oldest_start, oldest_units = self._starts.popleft()
                self._used -= oldest_units
                start = max(start, oldest_start + self._window_seconds)
            self._starts.append((start, units))
            self._used += units
            return start - now

    def try_to_reserve(self, units: int, now: float) -> bool:
        """
        Reserve units for a call that starts now, if there is room and nobody waits for any.

        :param units: Throughput units of the call.
        :param now: Monotonic time in seconds.
        :return: Whether there was.
        """
        with self._lock:
            self._recover(now)
            while self._starts and self._starts[0][0] + self._window_seconds <= now:
                self._used -= self._starts.popleft()[1]
            is_free = self._used + units <= self._rate * self._window or not self._starts
            if not is_free or (self._starts and self._starts[-1][0] > now):
                return False
            self._starts.append((now, units))
            self._used += units
            return True

    def slow_down(self, started_at: float, now: float) -> None:
        """
        Halve the rate, because the service refused a call for the account's throughput.

        :param started_at: When that call started (monotonic seconds). Calls that were under way together are refused
            together: the rate is halved once for all of them.
        :param now: Monotonic time in seconds.
        """
        with self._lock:
            if started_at < self._slowed_at:
                return
            self._recover(now)
            # Never below one call in a window, or nothing would ever tell that the service accepts calls again.
            least = min(MAX_CALL_THROUGHPUT_UNITS / self._window, self._units_per_second)
            self._rate = max(self._rate / 2, least)
            self._slowed_at = now
            # Growth that is due goes on: else refusals that come now and then would drive the rate to nothing.
            self._grows_at = min(self._grows_at, now + self._window)

    def _recover(self, now: float) -> None:
        while self._grows_at <= now:
            self._rate = min(self._rate + self._units_per_second * RECOVERY_STEP, self._units_per_second)
            self._grows_at = self._grows_at + self._window if self._rate < self._units_per_second else math.inf


_budgets: dict[tuple[str, str, float], UnitBudget] = {}
"""One for each account that this process has talked to: kept, because the service's window outlives a client."""

_budgets_lock = threading.Lock()


def budget_of(settings: ClientSettings) -> UnitBudget:
    """
    Give the budget that all clients of an account share in this process.

    :param settings: Whose account, where, and its throughput.
    :return: The budget.
    """
    # The digest keeps the key out of a table that a debugger or a memory dump would show at once.
    account = hashlib.sha256(settings.api_key.encode()).hexdigest()
    name = (settings.host or "", account, settings.compute_units_per_second)
    with _budgets_lock:
        budget = _budgets.get(name)
        if budget is None:
            budget = _budgets[name] = UnitBudget(settings.compute_units_per_second)
        return budget


MAX_BACKOFF_SECONDS = 64.0
"""Alchemy's page on retries advises exponential back-off with up to a second of jitter, at most 32 or 64 s."""

_jitter = random.Random()  # noqa: S311 - spreads load, guards nothing


def backoff_seconds(failures: int, retry_after_seconds: float | None = None) -> float:
    """
    Tell how long to wait after failures in a row.

    :param failures: Failures in a row, from 1.
    :param retry_after_seconds: What the service asked for; it is never undercut.
    :return: Seconds, with up to 1 s of jitter.
    """
    exponential = min(2.0 ** min(failures - 1, 32), MAX_BACKOFF_SECONDS)
    return max(exponential, retry_after_seconds or 0.0) + _jitter.random()


class Retrying:
    """
    Decides for stamina whether a failed call is tried again, and when.

    :param deadline: No sleep outlasts it; None: no deadline.
    :param is_patient: Whether an answer that the API reference does not know is worth another attempt, which it is
        where hundreds of calls are one task. Default False.
    """

    __slots__ = ("_deadline", "_failures", "_is_patient")

    def __init__(self, deadline: DateTime | None = None, *, is_patient: bool = False) -> None:
        self._deadline = deadline
        self._is_patient = is_patient
        self._failures = 0

    def __call__(self, error: Exception) -> bool | float:
        """
        Decide.

        :param error: What the call raised.
        :return: False to give up, or the seconds to wait before the next attempt.
        """
        is_worth_it = isinstance(error, AlchemyError) and (
            error.kind is ErrorKind.TRANSIENT or (self._is_patient and isinstance(error, AlchemyUnexpectedAnswerError))
        )
        if not is_worth_it:
            return False
        self._failures += 1
        delay = backoff_seconds(self._failures, getattr(error, "retry_after_seconds", None))
        if self._deadline is not None and delay > (self._deadline - now("UTC")).total_seconds():
            return False
        return delay


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
