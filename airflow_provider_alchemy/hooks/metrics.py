# SPDX-License-Identifier: Apache-2.0
"""What Airflow's statistics are told, where they are on: what calls cost, and how many waits there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_alchemy.api.metering import Meter


def count_calls(meter: Meter) -> None:
    """
    Emit ``alchemy.polls``, ``alchemy.compute_units`` and ``alchemy.throttled`` (counters).

    :param meter: What was spent since the last time.
    """
    for name, amount in (
        ("alchemy.polls", meter.calls),
        ("alchemy.compute_units", meter.compute_units),
        ("alchemy.throttled", meter.throttled),
    ):
        if amount:
            Stats.incr(name, amount)


@contextmanager
def counting_calls(meter: Meter | None) -> Iterator[Meter]:
    """
    Emit what the calls made inside the context cost, also where one of them fails.

    :param meter: Counts it too, where there is one.
    :return: The meter for the calls.
    """
    spent = Meter()
    try:
        yield spent
    finally:
        count_calls(spent)
        if meter is not None:
            meter.add(spent)


def count_waits(waits: int) -> None:
    """
    Emit ``alchemy.waits`` (a gauge): how many waits this process polls for.

    :param waits: Their number.
    """
    Stats.gauge("alchemy.waits", waits)
