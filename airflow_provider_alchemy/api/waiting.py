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
from typing import Any

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNoSuchCollectionError,
    AlchemyQueueFailedError,
    ErrorKind,
)
from airflow_provider_alchemy.api.limits import WaitLimits
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.records import WaitRecord, read_moment
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import Usage

DEFAULT_MAX_CONSECUTIVE_FAILURES = 10
LOGGED_PROGRESS_STEP = 10

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(slots=True)
class Look:
    """
    One look at a refresh.

    :param usage: Counts what it costs; to be given to the client.
    :param status: What the client answered; to be set by the caller.
    :param delay_seconds: When to look again, in seconds; None: the wait has ended well.
    """

    usage: Usage
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
    :param max_compute_units: What the wait may spend; None: any amount.
    :param submits: Whether the wait's own looks submit the refresh, one attempt each: then they follow each other
        quickly until the service has answered once.
    """

    __slots__ = (
        "cadence",
        "limits",
        "log",
        "max_consecutive_failures",
        "max_resubmits",
        "record",
        "subject",
        "submits",
    )

    def __init__(
        self,
        record: WaitRecord,
        *,
        subject: str,
        cadence: Cadence,
        log: Log | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 0,
        max_compute_units: int | None = None,
        submits: bool = False,
    ) -> None:
        self.record = record
        self.subject = subject
        self.cadence = cadence
        self.log = log or logging.getLogger(__name__)
        self.limits = WaitLimits(record, subject, max_compute_units)
        self.max_consecutive_failures = max_consecutive_failures
        self.max_resubmits = max_resubmits
        self.submits = submits
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

        :return: Seconds; 0 for a wait that submits, because a refresh that begins late ends late.
        """
        if self.submits and not self.was_answered:
            return 0.0
        interval = self.cadence.interval_seconds
        if not (self.cadence.adaptive and self.record.looks):
            return self.limits.cut(_random.uniform(0, interval))
        # A look before the least interval is over is a call for nothing, and what was seen tells when it is not.
        due = self.cadence.after(self.record.looks, self.record.course, _now())
        return self.limits.cut(due + _random.uniform(0, interval / 2))

    def head_start_seconds(self, delay_seconds: float) -> float:
        """
        Tell how much the next answer is worth before those of other waits, where not all can be asked in time.

        :param delay_seconds: When the next look is due, in seconds.
        :return: Seconds: an interval where the answer will most likely end the wait (the refresh should have ended by
            then, or the time is over), else none. It is bounded, so that it starves nobody.
        """
        if self.limits.cut(math.inf) <= delay_seconds:
            return self.cadence.interval_seconds
        end = self.record.course.expected_end() if self.cadence.adaptive else None
        is_over = end is not None and end.timestamp() <= _now().timestamp() + delay_seconds
        return self.cadence.interval_seconds if is_over else 0.0

    @contextmanager
    def look(self) -> Iterator[Look]:
        """
        Look at the refresh: the caller asks inside the context, and the rules are applied at its end.

        :return: The look; its ``delay_seconds`` is set when the context is left.
        :raises AlchemyError: The wait has failed.
        """
        self.limits.check_spending()
        look = Look(Usage())
        outcome: RefreshStatus | AlchemyError | None
        try:
            yield look
            outcome = look.status
        except AlchemyError as error:
            outcome = error
        if outcome is None:
            msg = "a look ended without a status and without an error"
            raise ValueError(msg)
        look.delay_seconds = self.take(outcome, look.usage)

    def take(self, outcome: RefreshStatus | AlchemyError, usage: Usage) -> float | None:
        """
        Apply the rules to what a look brought.

        :param outcome: The status, or what went wrong.
        :param usage: What it cost.
        :return: When to look again, in seconds; None: the wait has ended well.
        :raises AlchemyError: The wait has failed.
        """
        self._count(usage)
        return self._after_failure(outcome) if isinstance(outcome, AlchemyError) else self._after_answer(outcome)

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

    def _count(self, usage: Usage) -> None:
        self.record.polls += usage.calls
        self.record.compute_units += usage.compute_units
        self.record.looks += 1
        if self.record.submitted_at is None and usage.first_call_at is not None:
            self.record.submitted_at = usage.first_call_at.isoformat()

    def _after_answer(self, status: RefreshStatus) -> float | None:
        record = self.record
        is_first = not self.was_answered
        self._say_what_changed(status)
        seen_at = _now()
        record.failures = 0
        record.network = status.network
        record.state, record.progress = status.state.value, status.progress
        # An answer that another wait of the same contract asked for is this one's submission too.
        record.submitted_at = record.submitted_at or seen_at.isoformat()
        if status.is_finished:
            record.already_finished = is_first
            record.finished_at = seen_at.isoformat()
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
        self.limits.check_deadlines()
        self.limits.check_spending()
        if self.cadence.adaptive:
            record.course = record.course.seen(status.state, status.progress, seen_at)
        return self.limits.cut(self.cadence.after(record.looks, record.course))

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
        self.limits.check_deadlines()
        self.limits.check_spending()
        record.resubmits += 1
        delay = self.limits.cut(backoff_seconds(record.resubmits))
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
        self.limits.check_deadlines(error)
        self.limits.check_spending()
        back_off = backoff_seconds(record.failures, error.retry_after_seconds)
        is_submission = self.submits and not self.was_answered
        delay = back_off if is_submission else max(self.cadence.after(record.looks, record.course, _now()), back_off)
        delay = self.limits.cut(delay)
        self.log.warning("Poll failed (%d in a row), trying again in %.1f s: %s", record.failures, delay, error)
        return delay

    def _may_be_waited_out(self, error: AlchemyError) -> bool:
        # A host that answered before has not become an unknown network: the name service is in trouble.
        name_service_trouble = isinstance(error, AlchemyHostNotFoundError) and self.was_answered
        return error.kind is ErrorKind.TRANSIENT or name_service_trouble

    def _say_what_changed(self, status: RefreshStatus) -> None:
        record = self.record
        progress = status.progress or 0
        is_unknown = status.state is RefreshState.UNKNOWN
        changed = status.state.value != record.state or (is_unknown and status.reported_state != record.reported_state)
        record.reported_state = status.reported_state
        if changed and is_unknown:
            words = "%s: unknown state %r, taken as pending until the deadline"
            self.log.warning(words, self.subject, status.reported_state)
        if not changed and progress < record.logged_progress + LOGGED_PROGRESS_STEP:
            self.log.debug("%s: %s, progress %s", self.subject, status.state.value, status.progress)
            return
        record.logged_progress = progress
        shown = "" if status.progress is None else f", {status.progress:g} %"
        self.log.info("%s: %s%s", self.subject, status.state.value, shown)


def _now() -> DateTime:
    return pendulum.now("UTC")
