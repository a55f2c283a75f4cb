# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a deadline, in one place, so that nobody sleeps for a guessed time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from local_airflow.errors import LocalAirflowError

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found | None],
    *,
    deadline_seconds: float,
    failure: Callable[[], str],
    interval_seconds: float = 0.1,
) -> Found:
    """Call ``condition`` until it returns something true.

    :param condition: What is waited for; it may raise to give up early.
    :param deadline_seconds: Seconds after which waiting ends with an exception.
    :param failure: Makes the sentence of that exception, called only then, so it may look around.
    :param interval_seconds: Seconds between two calls; a tenth, since what is waited for are processes.
    :returns: The first true result of ``condition``.
    :raises LocalAirflowError: When the deadline passed.
    """
    deadline = time.monotonic() + deadline_seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            msg = f"{failure()} (waited {deadline_seconds:g} seconds)"
            raise LocalAirflowError(msg)
        time.sleep(interval_seconds)
