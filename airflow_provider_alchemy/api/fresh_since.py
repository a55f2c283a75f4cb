# SPDX-License-Identifier: Apache-2.0
"""The moment that metadata has to be newer than, as a person, a template or another task wrote it. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NoReturn

import pendulum
from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.lists import shown

ARGUMENT = "fresh_since"

FARTHEST_AHEAD = timedelta(minutes=5)
"""How far ahead the moment may be: the clocks of a worker, of the machine that wrote it and of Alchemy differ by less,
and what lies beyond is a mistake that would only show when the wait's time is over."""

_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', the XCom 'submitted_at' of the task that "
    "refreshed, an ISO 8601 text such as '2026-11-22T10:00:00+00:00', or an aware datetime"
)
NOTHING = frozenset({"", "none", "null"})
"""What a template renders to where what it names is not there."""


def read_fresh_since(value: Any) -> DateTime:
    """
    Check the form of a moment.

    :param value: An aware datetime, or a text in ISO 8601 with a time zone; a blank may stand for its ``T``.
    :return: The moment, in UTC.
    :raises AlchemyArgumentError: It is something else; the text says what to write.
    """
    return read_aware(value, ARGUMENT, _ADVICE)


def read_aware(value: Any, argument: str, advice: str) -> DateTime:
    """
    Check the form of a moment in any argument.

    :param value: An aware datetime, or a text in ISO 8601 with a time zone; a blank may stand for its ``T``.
    :param argument: The argument's name, for the error.
    :param advice: What to write instead, for the error.
    :return: The moment, in UTC.
    :raises AlchemyArgumentError: It is something else.
    """
    if isinstance(value, str) and value.strip().lower() in NOTHING:
        _refuse(argument, "is empty, or its template rendered to nothing", advice)
    moment = _read_text(value.strip()) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        _refuse(argument, f"is {shown(value)}, which is no moment", advice)
    if moment.utcoffset() is None:
        _refuse(argument, f"is {_told(value)}, which has no time zone: it could be any of 27 hours", advice)
    in_utc = _in_utc(moment)
    if in_utc is None:
        _refuse(argument, f"is {_told(value)}, which is beyond the calendar", advice)
    return in_utc


def check_not_ahead(moment: DateTime, now: DateTime) -> None:
    """
    Refuse a moment that is still to come.

    :param moment: The moment.
    :param now: This machine's time.
    :raises AlchemyArgumentError: It is more than ``FARTHEST_AHEAD`` ahead.
    """
    if moment <= now + FARTHEST_AHEAD:
        return
    ahead = pendulum.duration(seconds=int((moment - now).total_seconds())).in_words(locale="en")
    _refuse(
        ARGUMENT, f"is {moment.isoformat()}, {ahead} in the future: no metadata can be newer than that yet", _ADVICE
    )


def _refuse(argument: str, problem: str, advice: str) -> NoReturn:
    msg = f"argument {argument!r} {problem}"
    raise AlchemyArgumentError(msg, advice=advice)


def _read_text(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _in_utc(moment: datetime) -> DateTime | None:
    try:
        # By the moment's own rules of its zone, which pendulum may know otherwise.
        return pendulum.instance(moment.astimezone(UTC))
    except OverflowError:
        return None


def _told(value: Any) -> str:
    return shown(value if isinstance(value, str) else value.isoformat())
