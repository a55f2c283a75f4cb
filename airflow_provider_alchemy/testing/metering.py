# SPDX-License-Identifier: Apache-2.0
"""What calls cost: the throughput window of the account, and which answers are billed.

Kept apart from the endpoints because the limit is the account's, not an endpoint's: every task of every DAG
shares it.
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 10.0
"""The length of the window over which Alchemy counts throughput (Alchemy's API reference, "Throughput")."""

UNBILLED_STATUSES = frozenset({403, 429})
"""Statuses that cost nothing."""


def is_billed(status: int | None) -> bool:
    """Tell whether an answer is billed; errors are, except 403 and 429.

    Source: Alchemy's API reference, "Compute units".

    :param status: HTTP status; None when nothing was answered.
    :return: whether it costs units. A redirect comes from before the service and costs nothing.
    """
    return status is not None and status not in UNBILLED_STATUSES and not 300 <= status < 400  # noqa: PLR2004 -- HTTP's own class of statuses


class ThroughputWindow:
    """The units that the account used in the last 10 seconds."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def admit(self, now: float, units: int, units_per_second: float | None) -> bool:
        """Count a call if the window has room for it.

        :param now: seconds since the epoch.
        :param units: throughput units of the call.
        :param units_per_second: the account's limit; None: no limit.
        :return: False if the call must be refused; a refused call does not count.
        """
        if units_per_second is not None and self.used(now) + units > units_per_second * WINDOW_SECONDS:
            return False
        self.add(now, units)
        return True

    def add(self, now: float, units: int) -> None:
        """Count a call whether or not there is room, as where a fault has already settled the answer."""
        self._spent.append((now, units))
        self._total += units

    def used(self, now: float) -> int:
        """Give the units of the window that ends now."""
        while self._spent and self._spent[0][0] <= now - WINDOW_SECONDS:
            self._total -= self._spent.popleft()[1]
        return self._total
