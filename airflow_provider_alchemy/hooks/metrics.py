# SPDX-License-Identifier: Apache-2.0
"""What Airflow's statistics are told, where they are on: what calls cost, and how many waits there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_alchemy.api.usage import Usage


def count_calls(usage: Usage) -> None:
    """
    Emit ``alchemy.polls``, ``alchemy.compute_units`` and ``alchemy.throttled`` (counters).

    :param usage: What was spent since the last time.
    """
    for name, amount in (
        ("alchemy.polls", usage.calls),
        ("alchemy.compute_units", usage.compute_units),
        ("alchemy.throttled", usage.throttled),
    ):
        if amount:
            Stats.incr(name, amount)


@contextmanager
def counting_calls(usage: Usage | None) -> Iterator[Usage]:
    """
    Emit what the calls made inside the context cost, also where one of them fails.

    :param usage: Counts it too, where there is one.
    :return: The usage for the calls.
    """
    spent = Usage()
    try:
        yield spent
    finally:
        count_calls(spent)
        if usage is not None:
            usage.add(spent)


def count_waits(waits: int) -> None:
    """
    Emit ``alchemy.waits`` (a gauge): how many waits this process polls for.

    :param waits: Their number.
    """
    Stats.gauge("alchemy.waits", waits)
