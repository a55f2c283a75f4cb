# SPDX-License-Identifier: Apache-2.0
"""How a deferred task goes on: with its trigger's event, or because Airflow itself ended the wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import pendulum

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyUnexpectedAnswerError,
    error_from_dict,
)
from airflow_provider_alchemy.api.records import WaitRecord, read_moment
from airflow_provider_alchemy.triggers.reingest import BACK_STOP

R = TypeVar("R")

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


def set_deadlines(record: WaitRecord, time_limit_seconds: float, execution_timeout: timedelta | None) -> None:
    """
    Set when a wait is over, as moments: they stay where they are through every restart.

    :param record: The wait; it begins now, unless it knows better.
    :param time_limit_seconds: How long it may take.
    :param execution_timeout: The task's, where it waits in the triggerer: Airflow watches it in the worker only.
    """
    now = pendulum.now("UTC")
    since = read_moment(record.waiting_since) or now
    record.waiting_since = since.isoformat()
    record.deadline = since.add(seconds=time_limit_seconds).isoformat()
    if execution_timeout is not None:
        record.execution_deadline = (now + execution_timeout).isoformat()


def is_time_out(next_kwargs: dict[str, Any] | None) -> bool:
    """
    Tell whether Airflow ended a wait for its time, rather than for a trigger that failed.

    :param next_kwargs: What Airflow resumes the task with.
    :return: Whether it was the time.
    """
    return "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def read_event(
    event: Any, good_end: StrEnum, read_record: Callable[[Any], R | None], subject: str
) -> tuple[R, AlchemyError | None]:
    """
    Read what a trigger told, perhaps one of another version of this package.

    :param event: The event: ``status, record, error``.
    :param good_end: The status of a wait that ended well; its enum has all there are.
    :param read_record: Rebuilds the record; gives None where it is none.
    :param subject: What was waited for, for people.
    :return: The record, and what went wrong.
    :raises AlchemyUnexpectedAnswerError: It is no event of this package's triggers.
    """
    told = event if isinstance(event, dict) else {}
    status, record = told.get("status"), read_record(told.get("record"))
    if status not in list(type(good_end)) or record is None:
        msg = f"the trigger's event is {str(event)[:200]!r}"
        advice = "Check that workers and triggerers run the same version of airflow-provider-alchemy"
        raise AlchemyUnexpectedAnswerError(msg, subject=subject, advice=advice)
    return record, None if status == good_end else error_from_dict(told.get("error") or {})


def gone_triggerer(subject: str) -> AlchemyDeadlineError:
    """
    Give the error of a wait that Airflow ended for its time.

    :param subject: What was waited for, for people.
    :return: The error.
    """
    msg = f"no triggerer ended the wait within {BACK_STOP.total_seconds():g} s after its deadline"
    return AlchemyDeadlineError(msg, subject=subject, advice="Check that a triggerer is running")
