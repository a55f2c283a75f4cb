# SPDX-License-Identifier: Apache-2.0
"""How often a call is tried and how long is waited in between: one rule for both HTTP libraries."""

from __future__ import annotations

import random

from pendulum import DateTime, now

from airflow_provider_alchemy.api.errors import AlchemyError, ErrorKind

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
    """

    __slots__ = ("_deadline", "_failures")

    def __init__(self, deadline: DateTime | None = None) -> None:
        self._deadline = deadline
        self._failures = 0

    def __call__(self, error: Exception) -> bool | float:
        """
        Decide.

        :param error: What the call raised.
        :return: False to give up, or the seconds to wait before the next attempt.
        """
        if not isinstance(error, AlchemyError) or error.kind is not ErrorKind.WAIT_OUT:
            return False
        self._failures += 1
        delay = backoff_seconds(self._failures, error.retry_after_seconds)
        if self._deadline is not None and delay > (self._deadline - now("UTC")).total_seconds():
            return False
        return delay
