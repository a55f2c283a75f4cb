# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition in one place, with a guard against waiting for what will never come.

The guard asks whether anything still moves and not how late it is: a slow machine makes a wait long, not fail.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from dev.local_airflow.errors import LocalAirflowError

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

READING_SECONDS = 1.0
"""Between two readings of what moves."""
STILL_SECONDS = 300.0
"""How long nothing may have moved. Only what the waiter slept counts: a machine that stands still counts nothing."""


def wait_until(
    condition: Callable[[], Found | None],
    *,
    failure: Callable[[], str],
    moves: Callable[[], object] = lambda: None,
    interval_seconds: float = 0.1,
    still_seconds: float | None = None,
) -> Found:
    """Call ``condition`` until it returns something true.

    :param condition: What is waited for; it may raise to give up early.
    :param failure: Makes the sentence of the exception, called only then, so it may look around.
    :param moves: Reads how far things have come; it may raise to give up early. What changes also where the condition
        comes no nearer, such as a heartbeat, would keep a hopeless wait going.
    :param interval_seconds: Seconds between two calls; a tenth, since what is waited for are processes.
    :param still_seconds: Seconds after which waiting ends with an exception if nothing moved; None for five minutes.
    :returns: The first true result of ``condition``.
    :raises LocalAirflowError: When nothing moved for that long.
    """
    patience = STILL_SECONDS if still_seconds is None else still_seconds
    reading: object = None
    still = slept = 0.0
    while not (found := condition()):
        time.sleep(interval_seconds)
        slept += interval_seconds
        if slept < READING_SECONDS:
            continue
        before, reading = reading, moves()
        still = still + slept if reading == before else 0.0
        slept = 0.0
        if still >= patience:
            msg = f"{failure()} (nothing moved for {patience:g} seconds)"
            raise LocalAirflowError(msg)
    return found
