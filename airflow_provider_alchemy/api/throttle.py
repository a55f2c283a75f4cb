# SPDX-License-Identifier: Apache-2.0
"""
The limits of an account, for all its calls in this process: the only place that knows what a 429 means.

Calls wait here for three things: that the service does not refuse the account, that the 10-second window has room, and
that no other call goes first. Other processes of the same account are known where a Redis counts for all of them
(``shared_budget``). Of other software, the service's refusals are the only sign.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import hashlib
import heapq
import math
import random
import threading
import time
from collections import deque
from datetime import UTC, datetime
from itertools import count
from weakref import ReferenceType, WeakKeyDictionary, ref

from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyRateLimitError
from airflow_provider_alchemy.api.settings import MAX_CALL_THROUGHPUT_UNITS, WINDOW_SECONDS, ClientSettings
from airflow_provider_alchemy.api.shared_budget import SharedBudget

MAX_BACKOFF_SECONDS = 64.0
"""Alchemy's page on retries advises exponential back-off with up to a second of jitter, at most 32 or 64 s."""

SPREAD_SECONDS = 0.5
"""How much later than planned a call may arrive at the service, which counts from then."""

RECOVERY_STEP = 1 / 8
"""The part of the plan's rate that comes back with each window without a refusal: after one refusal the full rate is
there again in 40 seconds, and an account that others use is not pushed over its limit again at once."""

_jitter = random.Random()  # noqa: S311 - spreads load, guards nothing


def backoff_seconds(failures: int, retry_after_seconds: float | None = None) -> float:
    """Give the pause after failures in a row, from 1, with up to 1 s of jitter; what the service asked for at least."""
    exponential = min(2.0 ** min(failures - 1, 32), MAX_BACKOFF_SECONDS)
    return max(exponential, retry_after_seconds or 0.0) + _jitter.random()


def seconds_until(deadline: datetime | None) -> float:
    """Give the seconds that are left; infinity where there is no deadline."""
    return math.inf if deadline is None else (deadline - datetime.now(UTC)).total_seconds()


class Throttle:
    """
    An account's budget of compute units in the service's sliding window, and its pause after a refusal.

    A refusal (HTTP 429) halves the rate, which grows back by an eighth of the plan's each window, and pauses all calls
    of the account. Calls that were under way together are refused together and count once.
    """

    def __init__(
        self,
        units_per_second: float,
        window_seconds: float = WINDOW_SECONDS,
        spread_seconds: float = SPREAD_SECONDS,
        shared: SharedBudget | None = None,
    ) -> None:
        self._plan_rate = self._rate = units_per_second
        self._window_seconds = window_seconds
        self._held_seconds = window_seconds + spread_seconds
        self._starts: deque[tuple[float, int]] = deque()
        self._used = 0
        self._grows_at = math.inf
        self._refused_at = -math.inf
        self._resumes_at = -math.inf
        self._refusals_in_a_row = 0
        self._lock = threading.Lock()
        self._first_in_line = threading.Lock()
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, ReferenceType[Queue]] = WeakKeyDictionary()
        self.shared = shared
        """What all processes of the account share; None: each has its own window alone."""
        self.refusals = 0
        """How often the service has refused the account."""
        self.refusal: AlchemyRateLimitError | None = None
        """What the service answered last, while it refuses the account."""
        self.is_accepted = False
        """Whether the service accepted the account's last call. Before the first answer that is not known."""

    @property
    def units_per_second(self) -> float:
        """The rate that is kept to now: the plan's, or less after refusals."""
        return self._rate

    def try_start(self, units: int, now: float, *, is_booked: bool = True) -> float:
        """
        Reserve units for a call that starts now and give 0, or give the seconds after which to try again.

        Where it is not booked in the shared budget, nothing is reserved.
        """
        with self._lock:
            if self._resumes_at > now:
                return self._resumes_at - now
            self._recover(now)
            while self._starts and self._starts[0][0] + self._held_seconds <= now:
                self._used -= self._starts.popleft()[1]
            excess = self._used + units - self._rate * self._window_seconds
            if excess <= 0 or not self._starts:
                if is_booked:
                    self._starts.append((now, units))
                    self._used += units
                return 0.0
            for started_at, used in self._starts:
                excess -= used
                if excess <= 0:
                    return started_at + self._held_seconds - now
            return self._starts[-1][0] + self._held_seconds - now

    def wait(self, units: int, *, deadline: datetime | None = None, max_refusals: float = math.inf) -> float:
        """Block until a call may start; give that moment in monotonic seconds. See ``Queue.wait``."""
        gives_up_at = self.refusals + max_refusals
        # The others wait for the lock meanwhile, so that expensive calls do not starve behind cheap ones.
        left = seconds_until(deadline)
        is_in_time = left > 0
        is_booked = self.shared is None
        is_first = self._first_in_line.acquire(timeout=-1 if math.isinf(left) else max(left, 0.0))
        try:
            while True:
                now = time.monotonic()
                if delay := self.try_start(units, now, is_booked=is_booked):
                    # A booking that is not used in its time is lost: the service counts the call when it arrives.
                    is_booked = self.shared is None
                elif is_booked or self.shared is None:
                    return now
                else:
                    delay, is_booked = self.shared.book(units), True
                    if not delay:
                        continue
                left = seconds_until(deadline)
                if self.refusals >= gives_up_at or (left < delay and self.refusal):
                    raise self.current_refusal()
                if left > 0:
                    time.sleep(min(delay, left))
                elif is_in_time:
                    return self.start_over_budget(units, now)
                else:
                    time.sleep(delay)
        finally:
            if is_first:
                self._first_in_line.release()

    def report(self, began_at: float, error: AlchemyError | None = None) -> bool:
        """Learn from the answer to a call that began at that moment; give whether it says anything about now."""
        with self._lock:
            if began_at < self._refused_at:
                return False
            if not isinstance(error, AlchemyRateLimitError):
                self._refusals_in_a_row, self.refusal, self.is_accepted = 0, None, True
                return True
            now = time.monotonic()
            self._recover(now)
            # Never below one call in a window, or no call would show that the service accepts calls again.
            least = min(MAX_CALL_THROUGHPUT_UNITS / self._window_seconds, self._plan_rate)
            self._rate = max(self._rate / 2, least)
            # Growth that is due goes on: else refusals that come now and then would drive the rate to nothing.
            self._grows_at = min(self._grows_at, now + self._window_seconds)
            self._refused_at = now
            self._refusals_in_a_row += 1
            self._resumes_at = now + backoff_seconds(self._refusals_in_a_row, error.retry_after_seconds)
            self.refusals += 1
            self.refusal, self.is_accepted = copy.copy(error), False
            return True

    def queue(self) -> Queue:
        """Give the account's queue in the running event loop; it lives as long as one of its users holds it."""
        loop = asyncio.get_running_loop()
        known = self._queues.get(loop)
        queue = known() if known is not None else None
        if queue is None:
            queue = Queue(self)
            self._queues[loop] = ref(queue)
        return queue

    def start_over_budget(self, units: int, now: float) -> float:
        """Count a call that starts without room: the last one before a deadline is not held back."""
        with self._lock:
            self._starts.append((now, units))
            self._used += units
        return now

    def current_refusal(self) -> AlchemyRateLimitError:
        """Give the service's refusal of the account, to raise it for a call that was not made."""
        return copy.copy(self.refusal) or AlchemyRateLimitError("the account's throughput is used up")

    def _recover(self, now: float) -> None:
        while self._grows_at <= now:
            self._rate = min(self._rate + self._plan_rate * RECOVERY_STEP, self._plan_rate)
            self._grows_at = self._grows_at + self._window_seconds if self._rate < self._plan_rate else math.inf


class Queue:
    """
    The calls of an account that wait in one event loop. Which one is next is decided when there is room for it.

    While the service refuses the account there is one attempt for each step of the back-off. The same holds before the
    first answer, when it is not known whether the service accepts anything.
    """

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self._waiting: list[tuple[float, int, int, float, asyncio.Future[float]]] = []
        self._numbers = count()
        self._runner: asyncio.Task[None] | None = None
        self._booked = 0  # units of the shared budget that no call has used
        self._is_probing = False
        self._probe_ended = asyncio.Event()

    async def wait(
        self,
        units: int,
        *,
        priority: float = 0.0,
        deadline: datetime | None = None,
        max_refusals: float = math.inf,
    ) -> float:
        """
        Wait until a call may start; give that moment in monotonic seconds, for ``report`` or ``abandon``.

        A call goes first by ``priority`` seconds: bounded, it starves no other. At its deadline it starts without room,
        unless it came later still, or raises the service's refusal; it raises that as well after so many refusals of
        the account.
        """
        now = time.monotonic()
        is_free = self.throttle.shared is None and self.throttle.is_accepted and not self._waiting
        if is_free and not self.throttle.try_start(units, now):
            return now
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        gives_up_at = self.throttle.refusals + max_refusals
        heapq.heappush(self._waiting, (now - priority, next(self._numbers), units, gives_up_at, turn))
        if self._runner is None or self._runner.done():
            # An empty context: this task serves every wait, and its log lines belong to none of them.
            self._runner = asyncio.create_task(self._hand_out(), context=contextvars.Context())
        left = seconds_until(deadline)
        # A call that comes after its deadline may be one of many: those wait for room.
        has_limit = not math.isinf(left) and (left > 0 or self.throttle.refusal is not None)
        try:
            await asyncio.wait((turn,), timeout=max(left, 0.0) if has_limit else None)
        except asyncio.CancelledError:
            self._leave(turn)
            raise
        if turn.done():
            return turn.result()
        self._leave(turn)
        if self.throttle.refusal is not None:
            raise self.throttle.current_refusal()
        return self.throttle.start_over_budget(units, time.monotonic())

    def report(self, began_at: float, error: AlchemyError | None = None) -> None:
        if not self.throttle.report(began_at, error):
            return
        if self.throttle.refusal is not None:
            for *_, gives_up_at, turn in self._waiting:
                if self.throttle.refusals >= gives_up_at and not turn.done():
                    turn.set_exception(self.throttle.current_refusal())
        self.abandon()

    def abandon(self) -> None:
        """Let others go on: a call that might start has not been made, or has no answer."""
        self._is_probing = False
        self._probe_ended.set()

    def _leave(self, turn: asyncio.Future[float]) -> None:
        if turn.done():
            if not turn.exception():
                self.abandon()
            return
        turn.cancel()
        if self._runner is not None and all(waiting[-1].done() for waiting in self._waiting):
            self._runner.cancel()

    async def _hand_out(self) -> None:
        self._booked = 0
        while self._waiting:
            _, _, units, _, turn = self._waiting[0]
            is_booked = self.throttle.shared is None or units <= self._booked
            if turn.done():
                heapq.heappop(self._waiting)
            elif self._is_probing:
                self._probe_ended.clear()
                await self._probe_ended.wait()
            elif delay := self.throttle.try_start(units, time.monotonic(), is_booked=is_booked):
                self._booked = 0  # lost: the service counts a call when it arrives
                await asyncio.sleep(delay)
            elif not is_booked:
                await self._book(units)
            else:
                heapq.heappop(self._waiting)
                self._booked = max(self._booked - units, 0)
                self._is_probing = not self.throttle.is_accepted
                turn.set_result(time.monotonic())

    async def _book(self, units: int) -> None:
        """Book what the next call takes in the shared budget, and wait until it may start; another may then be next."""
        try:
            delay = await self.throttle.shared.abook(units - self._booked) if self.throttle.shared else 0.0
        except AlchemyError as error:
            for *_, turn in self._waiting:
                if not turn.done():
                    turn.set_exception(copy.copy(error))
            return
        self._booked = units
        await asyncio.sleep(delay)


_throttles: dict[tuple[str, str, float, str], Throttle] = {}
"""One for each account that this process has called: kept, because the service's window outlives a client."""

_throttles_lock = threading.Lock()


def throttle_of(settings: ClientSettings) -> Throttle:
    """Give the throttle that all clients of an account share in this process."""
    account, shared_budget = map(_digest, (settings.api_key, settings.shared_budget or ""))
    name = (settings.host or "", account, settings.compute_units_per_second, shared_budget)
    with _throttles_lock:
        throttle = _throttles.get(name)
        if throttle is None:
            held_seconds = WINDOW_SECONDS + SPREAD_SECONDS
            shared = SharedBudget(settings, held_seconds=held_seconds) if settings.shared_budget else None
            throttle = _throttles[name] = Throttle(settings.compute_units_per_second, shared=shared)
        return throttle


def _digest(text: str) -> str:
    # It keeps keys out of a table that a debugger or a memory dump would show at once.
    return hashlib.sha256(text.encode()).hexdigest()
