# SPDX-License-Identifier: Apache-2.0
"""When Airflow itself ends a deferred task, and what that means: no triggerer did it in time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.triggers.reingest import BACK_STOP

FAILED_BY_AIRFLOW = "__fail__"
"""The method that Airflow resumes a task with where its trigger failed, or its time was over."""


def back_stop(*deadlines: str | None) -> timedelta | None:
    """
    Tell when Airflow is to end a wait whose triggerer is gone.

    :param deadlines: The wait's own deadlines (ISO 8601).
    :return: For ``defer``: some minutes after the first of them; None where there is none.
    """
    moments = [moment for moment in map(read_moment, deadlines) if moment is not None]
    if not moments:
        return None
    # A plain timedelta: the worker's message to its supervisor takes no subclass of it, such as pendulum's.
    return timedelta(seconds=(min(moments) - pendulum.now("UTC")).total_seconds()) + BACK_STOP


def is_time_out(next_kwargs: dict[str, Any] | None) -> bool:
    """
    Tell whether Airflow ended a wait for its time, rather than for a trigger that failed.

    :param next_kwargs: What Airflow resumes the task with.
    :return: Whether it was the time.
    """
    return "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def gone_triggerer(subject: str) -> AlchemyDeadlineError:
    """
    Give the error of a wait that Airflow ended for its time.

    :param subject: What was waited for, for people.
    :return: The error.
    """
    msg = f"no triggerer ended the wait within {BACK_STOP.total_seconds():g} s after its deadline"
    return AlchemyDeadlineError(msg, subject=subject, advice="Check that a triggerer is running")
