# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task with a collection's tokens; each error is final, as in ``arguments``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_alchemy.api.collection_record import LEAST_SECONDS_BETWEEN_ATTEMPTS, Method
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.tasks.arguments import read_count, read_seconds
from airflow_provider_alchemy.tasks.failures import final


def read_method(method: Any) -> Method:
    """
    Check how tokens are to be refreshed.

    :param method: ``batch``, ``queue`` or ``auto``.
    :return: The method.
    :raises AlchemyArgumentError: It is none of them.
    """
    try:
        return Method(method)
    except ValueError:
        msg = f"argument 'method' is {method!r}; expected 'batch', 'queue' or 'auto'"
        raise final(AlchemyArgumentError(msg)) from None


def read_attempts(token_attempts: Any) -> int:
    """
    Check how often a token is to be tried.

    :param token_attempts: A whole number from 1.
    :return: The number.
    :raises AlchemyArgumentError: It is none.
    """
    attempts = read_count(token_attempts, "token_attempts")
    if not attempts:
        msg = f"argument 'token_attempts' is {token_attempts!r}; expected a whole number from 1"
        raise final(AlchemyArgumentError(msg))
    return attempts


def read_interval(attempt_interval: float | timedelta) -> float:
    """
    Check the time between two tries of a token.

    :param attempt_interval: Seconds or a timedelta.
    :return: Seconds.
    :raises AlchemyArgumentError: It is shorter than Alchemy asks for, or no duration.
    """
    seconds = read_seconds(attempt_interval, "attempt_interval")
    if seconds < LEAST_SECONDS_BETWEEN_ATTEMPTS:
        msg = (
            f"argument 'attempt_interval' is {seconds:g} s; expected at least {LEAST_SECONDS_BETWEEN_ATTEMPTS:g} s, "
            "which is what Alchemy asks for"
        )
        raise final(AlchemyArgumentError(msg))
    return seconds
