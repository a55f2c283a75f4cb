# SPDX-License-Identifier: Apache-2.0
"""
The rules of a wait: what each look at a refresh means and when to look again. No I/O, no sleep.

A wait is the same in a worker, between reschedules and in the triggerer; who sleeps and who calls differs. So
the caller looks, this module decides, and the record of what was seen travels as JSON values.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyHostNotFoundError,
    AlchemyNoSuchCollectionError,
    AlchemyQueueFailedError,
    ErrorKind,
)
from airflow_provider_alchemy.api.metering import Meter
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.records import Cadence, WaitRecord, read_moment
from airflow_provider_alchemy.api.retries import backoff_seconds

DEFAULT_MAX_CONSECUTIVE_FAILURES = 10
LOGGED_PROGRESS_STEP = 10

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


class Log(Protocol):
    """What a wait says; Airflow's task logs and ``logging.Logger`` are of this shape."""

    def debug(self, msg: str, /, *args: Any) -> Any:
        """Say what only a developer wants to know."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Say what a reader of the log wants to know."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Say what a reader of the log should know."""


@dataclass(slots=True)
class Look:
    """
    One look at a refresh.

    :param meter: Counts what it costs; to be given to the client.
    :param status: What the client answered; to be set by the caller.
    :param delay_seconds: When to look again, in seconds; None: the wait has ended well.
    """

    meter: Meter
    status: RefreshStatus | None = None
    delay_seconds: float | None = None


class RefreshWait:
    """
    The wait for one collection's refresh.

    :param record: What was seen so far.
    :param subject: The collection and the connection, for people.
    :param cadence: How often to look.
    :param log: Where to say what happens.
    :param max_consecutive_failures: Looks in a row that may fail; None: any number.
    :param max_resubmits: How often a refresh that could not be queued is submitted again. Default 0: a wait that
        has not submitted does not submit again either.
    """

    def __init__(
        self,
        record: WaitRecord,
        *,
        subject: str,
        cadence: Cadence,
        log: Log | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 0,
    ) -> None:
        self.record = record
        self.subject = subject
        self.cadence = cadence
        self.log = log or logging.getLogger(__name__)
        self.deadline = read_moment(record.deadline)
        self.execution_deadline = read_moment(record.execution_deadline)
        self.max_consecutive_failures = max_consecutive_failures
        self.max_resubmits = max_resubmits
        if not record.waiting_since:
            record.waiting_since = _now().isoformat()

    @property
    def was_answered(self) -> bool:
        """Whether the service has answered at least once, which means that it knows of the refresh."""
        return self.record.state is not None

    @property
    def must_submit_again(self) -> bool:
        """Whether the last answer was ``queue_failed`` and the next look submits the refresh again."""
        return self.record.state == RefreshState.QUEUE_FAILED

    def first_delay_seconds(self) -> float:
        """
        Give a random part of the interval, so that many waits that begin at once do not look at once.

        :return: Seconds.
        """
        return self._until_next_look(_random.uniform(0, self.cadence.interval_seconds))

    @contextmanager
    def look(self) -> Iterator[Look]:
        """
        Look at the refresh: the caller asks inside the context, and the rules are applied at its end.

        :return: The look; its ``delay_seconds`` is set when the context is left.
        :raises AlchemyError: The wait has failed.
        """
        look = Look(Meter())
        self.record.submitted_at = self.record.submitted_at or _now().isoformat()
        try:
            yield look
        except AlchemyError as error:
            self._count(look.meter)
            look.delay_seconds = self._after_failure(error)
        else:
            self._count(look.meter)
            if look.status is None:
                msg = "a look ended without a status and without an error"
                raise ValueError(msg)
            look.delay_seconds = self._after_answer(look.status)

    def result(self) -> dict[str, Any]:
        """Give what the task returns; its keys are those of ``WaitRecord.result``."""
        return self.record.result()

    def say_the_end(self) -> None:
        """Write the wait's last log line: how it ended, how long it took and what it cost."""
        since = read_moment(self.record.waiting_since) or _now()
        self.log.info(
            "%s: %s after %.1f s, %d poll%s, %d compute units",
            self.subject,
            self.record.state or "no answer",
            (_now() - since).total_seconds(),
            self.record.polls,
            "" if self.record.polls == 1 else "s",
            self.record.compute_units,
        )

    def _count(self, meter: Meter) -> None:
        self.record.polls += meter.calls
        self.record.compute_units += meter.compute_units
        self.record.looks += 1

    def _after_answer(self, status: RefreshStatus) -> float | None:
        record = self.record
        is_first = not self.was_answered
        self._say_what_changed(status)
        record.failures = 0
        record.network = status.network
        record.state, record.progress = status.state.value, status.progress
        if status.is_finished:
            record.already_finished = is_first
            record.finished_at = _now().isoformat()
            if is_first:
                self.log.info(
                    "%s: finished at the first answer: perhaps by a refresh that began earlier (already_finished)",
                    self.subject,
                )
            return None
        if status.state is RefreshState.DOES_NOT_EXIST:
            msg = "Alchemy answered does_not_exist"
            raise AlchemyNoSuchCollectionError(msg, subject=self.subject)
        if status.state is RefreshState.QUEUE_FAILED:
            return self.delay_before_submitting_again()
        self._check_deadline()
        return self._until_next_look(self.cadence.after(record.looks))

    def delay_before_submitting_again(self) -> float:
        """
        Tell how long to wait before a refresh that could not be queued is submitted again.

        :return: Seconds.
        :raises AlchemyQueueFailedError: It was submitted often enough.
        :raises AlchemyDeadlineError: Time is over.
        """
        record = self.record
        if record.resubmits >= self.max_resubmits:
            times = f", also after {record.resubmits} more submissions" if record.resubmits else ""
            msg = f"Alchemy could not queue the refresh (queue_failed){times}"
            raise AlchemyQueueFailedError(msg, subject=self.subject)
        self._check_deadline()
        record.resubmits += 1
        delay = self._until_next_look(backoff_seconds(record.resubmits))
        self.log.warning(
            "%s: Alchemy could not queue the refresh (queue_failed); submitting it again in %.1f s (%d of %d)",
            self.subject,
            delay,
            record.resubmits,
            self.max_resubmits,
        )
        return delay

    def _after_failure(self, error: AlchemyError) -> float:
        record = self.record
        record.failures += 1
        limit = math.inf if self.max_consecutive_failures is None else self.max_consecutive_failures
        if record.failures > limit or not self._may_be_waited_out(error):
            raise error
        self._check_deadline(error)
        delay = max(self.cadence.after(record.looks), backoff_seconds(record.failures, error.retry_after_seconds))
        delay = self._until_next_look(delay)
        self.log.warning("Poll failed (%d in a row), trying again in %.1f s: %s", record.failures, delay, error)
        return delay

    def _may_be_waited_out(self, error: AlchemyError) -> bool:
        # A host that answered before has not become an unknown network: the name service is in trouble.
        name_service_trouble = isinstance(error, AlchemyHostNotFoundError) and self.was_answered
        return error.kind is ErrorKind.WAIT_OUT or name_service_trouble

    def _check_deadline(self, error: AlchemyError | None = None) -> None:
        """Give up where time is over. It comes after a look, so that each wait looks once more before it ends."""
        for deadline, error_type in (
            (self.deadline, AlchemyDeadlineError),
            (self.execution_deadline, AlchemyExecutionDeadlineError),
        ):
            if deadline is not None and _now() >= deadline:
                progress = "" if self.record.progress is None else f" ({self.record.progress:g} %)"
                last = f"; the last poll failed: {error.what}" if error else ""
                state = self.record.state or "without an answer"
                msg = f"the refresh was still {state}{progress} when the task's {error_type.limit} was over{last}"
                raise error_type(msg, subject=self.subject)

    def _until_next_look(self, delay: float) -> float:
        """Cut a delay to the deadline: no sleep outlasts it."""
        for deadline in (self.deadline, self.execution_deadline):
            if deadline is not None:
                delay = min(delay, (deadline - _now()).total_seconds())
        return max(delay, 0.0)

    def _say_what_changed(self, status: RefreshStatus) -> None:
        record = self.record
        progress = status.progress or 0
        is_unknown = status.state is RefreshState.UNKNOWN
        changed = status.state.value != record.state or (is_unknown and status.reported_state != record.reported_state)
        record.reported_state = status.reported_state
        if changed and is_unknown:
            self.log.warning(
                "%s: unknown state %r, taken as pending until the deadline",
                self.subject,
                status.reported_state,
            )
        if not changed and progress < record.logged_progress + LOGGED_PROGRESS_STEP:
            self.log.debug("%s: %s, progress %s", self.subject, status.state.value, status.progress)
            return
        record.logged_progress = progress
        shown = "" if status.progress is None else f", {status.progress:g} %"
        self.log.info("%s: %s%s", self.subject, status.state.value, shown)


def _now() -> DateTime:
    return pendulum.now("UTC")
