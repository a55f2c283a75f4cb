# SPDX-License-Identifier: Apache-2.0
"""
The rules of a wait for fresh metadata: what each look means and when to look again. No I/O, no sleep.

What a failed call means, how long a back-off is and which deadline is over is decided by the wait for a refresh, which
this one is made of.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import pendulum

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyError, AlchemySpendingLimitError
from airflow_provider_alchemy.api.freshness import FINISHED, WAITING, FreshRecord, needed_of
from airflow_provider_alchemy.api.limits import WaitLimits
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.metering import Allowance, Meter
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.token_endpoints import MOST_TOKENS
from airflow_provider_alchemy.api.token_prices import price_of_look
from airflow_provider_alchemy.api.tokens import TokenMetadata
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, LOGGED_PROGRESS_STEP, RefreshWait

DEFAULT_MIN_FRESH = 1.0


class FreshLimits(WaitLimits):
    """
    The limits of a wait for fresh metadata.

    :param record: What the wait has seen and spent, and its deadlines.
    :param subject: The collection and the connection, for people.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    __slots__ = ("_tokens", "max_compute_units")

    def __init__(self, record: FreshRecord, subject: str, max_compute_units: int | None = None) -> None:
        super().__init__(record, subject, max_compute_units)
        self._tokens = record
        self.max_compute_units = max_compute_units

    def allowance(self) -> Allowance:
        """Give what is left to spend."""
        most = self.max_compute_units
        return Allowance(None if most is None else max(most - self._record.compute_units, 0))

    def check_deadlines(self, error: AlchemyError | None = None) -> None:
        """Give up where time is over, as ``WaitLimits`` does, and say how far the tokens were."""
        try:
            super().check_deadlines()
        except AlchemyDeadlineError as over:
            last = f"; the last poll failed: {error.what}" if error else ""
            msg = f"{self._told()} when the task's {over.limit} was over{last}"
            advice = (
                "A refresh that was accepted is no proof: refresh the tokens again, or raise the limit where the "
                "refresh still runs"
            )
            raise type(over)(msg, subject=self._subject, advice=advice) from None

    def check_spending(self) -> None:
        """Give up where one more call would cost more than the wait may spend."""
        self.check_price(price_of_look(1), "one more poll costs {price:,}")

    def check_price(self, price: int, words: str) -> None:
        """
        Give up where something would cost more than is left.

        :param price: Compute units.
        :param words: What it is, with a ``price`` to fill in.
        :raises AlchemySpendingLimitError: It would.
        """
        spent, most = self._record.compute_units, self.max_compute_units
        if most is None or spent + price <= most:
            return
        msg = (
            f"{self._told()} when the task had spent {spent:,} compute units: {words.format(price=price)}, and "
            f"max_compute_units is {most:,}"
        )
        advice = f"Raise max_compute_units to {spent + price:,} at least, or name fewer tokens (token_ids, sample_size)"
        raise AlchemySpendingLimitError(msg, subject=self._subject, advice=advice)

    def _told(self) -> str:
        record = self._tokens
        if record.ids is None:
            return "the collection's tokens were not known"
        counts = record.counts()
        return (
            f"{counts.fresh:,} of {counts.tokens:,} tokens were newer than {record.fresh_since} ({counts.stale:,} not, "
            f"{counts.failed:,} with an error)"
        )


class FreshWait:
    """
    The wait until some tokens of a collection are proven fresh.

    :param record: What was seen so far.
    :param subject: The collection and the connection, for people.
    :param cadence: How often to look.
    :param log: Where to say what happens.
    :param min_fresh: How many tokens have to be fresh: an int is their number, a float their share.
    :param max_consecutive_failures: Looks in a row that may fail; None: any number.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    def __init__(
        self,
        record: FreshRecord,
        *,
        subject: str,
        cadence: Cadence,
        log: Log | None = None,
        min_fresh: float = DEFAULT_MIN_FRESH,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        self.record = record
        self.subject = subject
        self.log = log or logging.getLogger(__name__)
        self.limits = FreshLimits(record, subject, max_compute_units)
        self._min_fresh = min_fresh
        self._moment = read_moment(record.fresh_since)
        self._rules = RefreshWait(
            record,
            subject=subject,
            cadence=cadence,
            log=self.log,
            max_consecutive_failures=max_consecutive_failures,
            max_compute_units=max_compute_units,
        )
        self._rules.limits = self.limits
        record.submitted_at = record.submitted_at or record.waiting_since

    @property
    def cadence(self) -> Cadence:
        """How often to look."""
        return self._rules.cadence

    @property
    def is_over(self) -> bool:
        """Whether enough tokens are proven."""
        record = self.record
        return record.ids is not None and len(record.fresh) >= needed_of(self._min_fresh, len(record.ids))

    @property
    def is_hopeless(self) -> bool:
        """Whether enough can not be proven any more."""
        return self.record.why_hopeless(self._min_fresh, self.subject) is not None

    def first_delay_seconds(self) -> float:
        """Give a random part of the interval, so that many waits that begin at once do not look at once."""
        return self._rules.first_delay_seconds()

    def next_positions(self) -> Sequence[int]:
        """Give the positions of the tokens for the next call of this pass; none: the pass is over."""
        return self.record.to_ask()[:MOST_TOKENS]

    def saw(self, positions: Sequence[int], found: dict[int, TokenMetadata]) -> None:
        """
        Take the answer of one call. A token that it leaves out is no better known than before.

        :param positions: The tokens that were asked for.
        :param found: What was said, by token id.
        """
        record = self.record
        record.failures = 0
        record.state = WAITING
        for position in positions:
            metadata = found.get(record.tokens[position])
            is_fresh = metadata is not None and self._moment is not None and metadata.is_newer_than(self._moment)
            record.take(position, metadata.error if metadata is not None else None, is_fresh=is_fresh)
            record.next_position = position + 1

    def looked(self, meter: Meter) -> float | None:
        """
        Apply the rules to a pass that was answered to its end.

        :param meter: What it cost.
        :return: When to look again, in seconds; None: the wait has ended well.
        :raises AlchemyError: The wait has failed.
        """
        self._count(meter)
        self._say_progress()
        if self.is_over:
            self.finish()
            return None
        hopeless = self.record.why_hopeless(self._min_fresh, self.subject)
        if hopeless is not None:
            raise hopeless
        self.limits.check_deadlines()
        self.limits.check_spending()
        self.record.next_position = 0
        return self.limits.cut(self.cadence.after(self.record.looks, self.record.course))

    def failed(self, error: AlchemyError, meter: Meter) -> float | None:
        """
        Apply the rules to a pass that a failed call has cut short. The next look goes on where it failed.

        :param error: What went wrong.
        :param meter: What the pass cost.
        :return: When to look again, in seconds; None: what was answered is enough.
        :raises AlchemyError: The wait has failed.
        """
        self._say_progress()
        if self.is_over:
            self._count(meter)
            self.finish()
            return None
        if isinstance(error, AlchemySpendingLimitError):
            self._count(meter)
            self.limits.check_spending()
            raise error
        return self._rules.take(error, meter)

    def finish(self) -> None:
        """Take the good end."""
        self.record.state = FINISHED
        self.record.finished_at = self.record.finished_at or pendulum.now("UTC").isoformat()

    def say_the_end(self) -> None:
        """Write the wait's last log line: how it ended, how long it took and what it cost."""
        record, counts = self.record, self.record.counts()
        since = read_moment(record.waiting_since) or pendulum.now("UTC")
        self.log.info(
            "%s: %s, %s of %s tokens newer than %s, after %.1f s, %d poll%s, %s compute units",
            self.subject,
            "finished" if record.state == FINISHED else "not finished",
            f"{counts.fresh:,}",
            f"{counts.tokens:,}",
            record.fresh_since,
            (pendulum.now("UTC") - since).total_seconds(),
            record.polls,
            "s"[: record.polls != 1],
            f"{record.compute_units:,}",
        )

    def _count(self, meter: Meter) -> None:
        self.record.polls += meter.calls
        self.record.compute_units += meter.compute_units
        self.record.looks += 1

    def _say_progress(self) -> None:
        record, counts = self.record, self.record.counts()
        percent = record.percent()
        record.progress = percent
        has_moved = math.floor(percent) >= record.logged_progress + LOGGED_PROGRESS_STEP
        is_complete = counts.fresh == counts.tokens and record.logged_progress < 100  # noqa: PLR2004 - percent
        if has_moved or is_complete:
            record.logged_progress = percent
        say = self.log.info if has_moved or is_complete else self.log.debug
        say("%s: %s of %s tokens proven fresh", self.subject, f"{counts.fresh:,}", f"{counts.tokens:,}")
