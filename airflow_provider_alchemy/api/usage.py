# SPDX-License-Identifier: Apache-2.0
"""What calls have cost, and what they may cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_alchemy.api.errors import AlchemySpendingLimitError


def usd_of(compute_units: int, usd_per_million_units: float) -> float | None:
    """Give what units cost in US dollars, to a billionth; None where the connection names no price."""
    return round(compute_units * usd_per_million_units / 1e6, 9) if usd_per_million_units else None


def describe_cost(compute_units: int, usd_per_million_units: float) -> str:
    """Name units and what they cost, which no rounding makes nothing: ``480 compute units ($0.000216)``."""
    usd = usd_of(compute_units, usd_per_million_units)
    if usd is None:
        return f"{compute_units:,} compute units"
    decimals = 2 - math.floor(math.log10(usd)) if 0 < usd < 1 else 2
    return f"{compute_units:,} compute units (${usd:,.{decimals}f})"


@dataclass(slots=True)
class Usage:
    """
    A count of calls; it is passed in, so that a failed call is counted too.

    :param calls: Requests made, each attempt counted.
    :param compute_units: Units billed for them.
    :param throttled: Requests among them that the service refused because the account's throughput was used up.
    :param first_call_at: When the first of them was made; None before it.
    """

    calls: int = 0
    compute_units: int = 0
    throttled: int = 0
    first_call_at: datetime | None = None

    def add(self, other: Usage) -> None:
        self.calls += other.calls
        self.compute_units += other.compute_units
        self.throttled += other.throttled
        self.first_call_at = self.first_call_at or other.first_call_at


@dataclass(slots=True)
class SpendingLimit:
    """What calls may spend together: the units that are left; None: any amount."""

    compute_units: int | None = None

    def take(self, compute_units: int) -> bool:
        """Take the price of a call before it is made, if that much is left."""
        if self.compute_units is None:
            return True
        if self.compute_units < compute_units:
            return False
        self.compute_units -= compute_units
        return True

    def give_back(self, compute_units: int) -> None:
        """Give back what a call did not cost."""
        if self.compute_units is not None:
            self.compute_units += compute_units


@contextmanager
def paid(price: int, spending_limit: SpendingLimit, usage: Usage) -> Iterator[Usage]:
    """Pay for one request before it is made, give back what it did not cost, and count it."""
    if not spending_limit.take(price):
        msg = f"one more call costs {price} compute units, and max_compute_units leaves no room for it"
        raise AlchemySpendingLimitError(msg)
    spent = Usage()
    try:
        yield spent
    finally:
        spending_limit.give_back(price - spent.compute_units)
        usage.add(spent)
