# SPDX-License-Identifier: Apache-2.0
"""What a wait may not exceed: its two deadlines, and the compute units that it may spend. No I/O, no sleep."""

from __future__ import annotations

import math
import time

import pendulum

from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT
from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.records import WaitRecord, read_moment


class WaitLimits:
    """
    The limits of one wait.

    :param record: What the wait has seen and spent, and its deadlines.
    :param subject: The collection and the connection, for people.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    __slots__ = ("_ends_at", "_max_compute_units", "_record", "_subject", "deadline", "execution_deadline")

    def __init__(self, record: WaitRecord, subject: str, max_compute_units: int | None = None) -> None:
        self._record = record
        self._subject = subject
        self._max_compute_units = max_compute_units
        self.deadline = read_moment(record.deadline)
        self.execution_deadline = read_moment(record.execution_deadline)
        deadlines = (self.deadline, self.execution_deadline)
        # Seconds, because subtracting moments takes long, and a triggerer does it several times for each poll.
        self._ends_at = min((moment.timestamp() for moment in deadlines if moment is not None), default=math.inf)

    def cut(self, delay_seconds: float) -> float:
        """
        Cut a delay to the deadlines: no sleep outlasts them.

        :param delay_seconds: Seconds.
        :return: Seconds, not below 0.
        """
        return max(min(delay_seconds, self._ends_at - time.time()), 0.0)

    def check_deadlines(self, error: AlchemyError | None = None) -> None:
        """
        Give up where time is over. It comes after a look, so that each wait looks once more before it ends.

        :param error: Why the last look failed, where it did.
        :raises AlchemyDeadlineError: Time is over.
        """
        if time.time() < self._ends_at:
            return
        for deadline, error_type in (
            (self.deadline, AlchemyDeadlineError),
            (self.execution_deadline, AlchemyExecutionDeadlineError),
        ):
            if deadline is not None and pendulum.now("UTC") >= deadline:
                record = self._record
                progress = "" if record.progress is None else f" ({record.progress:g} %)"
                last = f"; the last poll failed: {error.what}" if error else ""
                was = f"the refresh was still {_state(record)}{progress}"
                msg = f"{was} when the task's {error_type.limit} was over{last}"
                raise error_type(msg, subject=self._subject)

    def check_spending(self) -> None:
        """
        Give up where one more poll would cost more than the wait may spend.

        :raises AlchemySpendingLimitError: It would.
        """
        price, spent, most = REINGEST_CONTRACT.compute_units, self._record.compute_units, self._max_compute_units
        if most is not None and spent + price > most:
            msg = (
                f"the refresh was still {_state(self._record)} when the task had spent {spent} compute units: one more "
                f"poll costs {price}, and max_compute_units is {most}"
            )
            raise AlchemySpendingLimitError(msg, subject=self._subject)


def _state(record: WaitRecord) -> str:
    return record.state or "without an answer"
