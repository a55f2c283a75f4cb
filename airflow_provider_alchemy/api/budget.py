# SPDX-License-Identifier: Apache-2.0
"""
The throughput budget: an account's compute units in the service's sliding window, shared by this process.

Reservations instead of a lock that is waited for: one rule then serves threads and event loops alike, and
calls start in the order in which they asked, so that dear calls do not starve behind cheap ones.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from weakref import WeakValueDictionary

from airflow_provider_alchemy.api.settings import WINDOW_SECONDS, ClientSettings


class UnitBudget:
    """
    Compute units that may be used in each window.

    :param units_per_second: The plan's throughput.
    :param window_seconds: Length of the window. Default 10, the service's.
    :param spread_seconds: How much later than planned a call may reach the service. Default half a second; units
        are held that much longer, because the service counts from when a call arrives.
    """

    __slots__ = ("__weakref__", "_capacity", "_lock", "_starts", "_used", "_window_seconds")

    def __init__(
        self, units_per_second: float, window_seconds: float = WINDOW_SECONDS, spread_seconds: float = 0.5
    ) -> None:
        self._capacity = units_per_second * window_seconds
        self._window_seconds = window_seconds + spread_seconds
        self._starts: deque[tuple[float, int]] = deque()
        self._used = 0
        self._lock = threading.Lock()

    def reserve(self, units: int, now: float) -> float:
        """
        Reserve units for a call, first come, first served.

        :param units: Throughput units of the call.
        :param now: Monotonic time in seconds.
        :return: Seconds to wait before the call may start.
        """
        with self._lock:
            start = max(now, self._starts[-1][0]) if self._starts else now
            while self._starts and (
                self._used + units > self._capacity or self._starts[0][0] + self._window_seconds <= start
            ):
                oldest_start, oldest_units = self._starts.popleft()
                self._used -= oldest_units
                start = max(start, oldest_start + self._window_seconds)
            self._starts.append((start, units))
            self._used += units
            return start - now


_budgets: WeakValueDictionary[tuple[str, str, float], UnitBudget] = WeakValueDictionary()
_budgets_lock = threading.Lock()


def budget_of(settings: ClientSettings) -> UnitBudget:
    """
    Give the budget that all clients of an account share in this process.

    :param settings: Whose account, where, and its throughput.
    :return: The budget; it lives as long as one of its clients.
    """
    # The digest keeps the key out of a table that a debugger or a memory dump would show at once.
    account = hashlib.sha256(settings.api_key.encode()).hexdigest()
    name = (settings.host or "", account, settings.compute_units_per_second)
    with _budgets_lock:
        budget = _budgets.get(name)
        if budget is None:
            budget = _budgets[name] = UnitBudget(settings.compute_units_per_second)
        return budget
