# SPDX-License-Identifier: Apache-2.0
"""What a wait is told and what it has seen: values that travel between processes. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.cadence import Course

RESULT = (
    "contract_address",
    "network",
    "state",
    "progress",
    "already_finished",
    "submitted_at",
    "finished_at",
    "polls",
    "compute_units",
)
"""The keys of what operator and sensor return."""


@dataclass(slots=True, kw_only=True)
class WaitRecord:
    """
    What a wait has seen so far, as JSON values: it travels from worker to database to triggerer and back.

    :param contract_address: The collection's contract, in lower case.
    :param network: The network's slug; empty until the connection was read.
    :param waiting_since: When the wait began (ISO 8601).
    :param submitted_at: When the refresh was first asked for (ISO 8601).
    :param finished_at: When the first terminal answer came (ISO 8601).
    :param state: The last state.
    :param reported_state: The last state's text as it came.
    :param progress: The last progress.
    :param already_finished: Whether the very first answer was ``finished``: then it may be an earlier refresh's.
    :param polls: Requests made.
    :param compute_units: Units billed for them.
    :param looks: Looks since the wait began, for the growing interval.
    :param failures: Looks in a row that failed.
    :param resubmits: How often the refresh was submitted again after ``queue_failed``.
    :param logged_progress: The progress that the log named last.
    :param course: What the looks have shown of the refresh's course, for the forecast of its end.
    :param deadline: When the wait gives up (ISO 8601); None: never. A moment, not a duration, so that no restart
        moves it.
    :param execution_deadline: When the task's ``execution_timeout`` is over (ISO 8601); None: never, or Airflow
        watches it.
    """

    contract_address: str
    network: str = ""
    waiting_since: str = ""
    submitted_at: str | None = None
    finished_at: str | None = None
    state: str | None = None
    reported_state: str = ""
    progress: float | None = None
    already_finished: bool = False
    polls: int = 0
    compute_units: int = 0
    looks: int = 0
    failures: int = 0
    resubmits: int = 0
    logged_progress: float = 0
    course: Course = field(default_factory=Course)
    deadline: str | None = None
    execution_deadline: str | None = None

    @classmethod
    def read(cls, data: Any) -> WaitRecord | None:
        """
        Rebuild a record.

        :param data: What ``to_dict`` gave, perhaps of another version of this package.
        :return: The record, without values that this version does not know; None where it is no record.
        """
        if not isinstance(data, dict) or not isinstance(data.get("contract_address"), str):
            return None
        known = {name: data[name] for name in cls.__slots__ if name in data}
        known["course"] = Course.read(data.get("course"))
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["course"] = self.course.to_dict()
        return values

    def describe(self, source: str) -> str:
        """
        Name what is waited for, for people.

        :param source: Whose account, for example ``connection 'alchemy_default'``.
        :return: For example ``Collection 0x… on eth-mainnet (connection 'alchemy_default')``.
        """
        network = f" on {self.network}" if self.network else ""
        return f"Collection {self.contract_address}{network} ({source})"

    def result(self) -> dict[str, Any]:
        """
        Give what a task returns.

        :return: ``contract_address, network, state, progress, already_finished, submitted_at, finished_at, polls,
            compute_units``; times are ISO 8601 in UTC, or None.
        """
        return {name: getattr(self, name) for name in RESULT}


def read_moment(text: str | None) -> DateTime | None:
    """
    Read a moment that travelled as text.

    :param text: ISO 8601, or None.
    :return: The moment, aware; None where there is none.
    """
    return pendulum.instance(datetime.fromisoformat(text)) if text else None
