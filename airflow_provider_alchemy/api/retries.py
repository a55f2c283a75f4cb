# SPDX-License-Identifier: Apache-2.0
"""How often a call is tried and how long is waited in between: one rule for both HTTP libraries."""

from __future__ import annotations

import random

from pendulum import DateTime, now

from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyUnexpectedAnswerError, ErrorKind

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
    :param is_patient: Whether an answer that the API reference does not know is worth another attempt, which it is
        where hundreds of calls are one task. Default False.
    """

    __slots__ = ("_deadline", "_failures", "_is_patient")

    def __init__(self, deadline: DateTime | None = None, *, is_patient: bool = False) -> None:
        self._deadline = deadline
        self._is_patient = is_patient
        self._failures = 0

    def __call__(self, error: Exception) -> bool | float:
        """
        Decide.

        :param error: What the call raised.
        :return: False to give up, or the seconds to wait before the next attempt.
        """
        is_worth_it = isinstance(error, AlchemyError) and (
            error.kind is ErrorKind.TRANSIENT or (self._is_patient and isinstance(error, AlchemyUnexpectedAnswerError))
        )
        if not is_worth_it:
            return False
        self._failures += 1
        delay = backoff_seconds(self._failures, getattr(error, "retry_after_seconds", None))
        if self._deadline is not None and delay > (self._deadline - now("UTC")).total_seconds():
            return False
        return delay
