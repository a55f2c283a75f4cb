# SPDX-License-Identifier: Apache-2.0
"""
The throughput budget: an account's compute units in the service's sliding window, shared by this process.

Reservations instead of a lock that is waited for: one rule then serves threads and event loops alike, and
calls start in the order in which they asked, so that dear calls do not starve behind cheap ones.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import deque

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
