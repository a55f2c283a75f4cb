# SPDX-License-Identifier: Apache-2.0
"""
The rules of a wait for fresh metadata: what each look means and when it is over. No I/O, no sleep.

What it shares with other waits that only look stands in ``looking``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.endpoints import MOST_TOKENS, price_of_look
from airflow_provider_alchemy.api.freshness import FreshRecord, needed_of
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.looking import LookLimits, LookState, LookWait
from airflow_provider_alchemy.api.models import TokenMetadata
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, LOGGED_PROGRESS_STEP

DEFAULT_MIN_FRESH = 1.0


class FreshLimits(LookLimits):
    """
    The limits of a wait for fresh metadata.

    :param record: What the wait has seen and spent, and its deadlines.
    :param subject: The collection and the connection, for people.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    __slots__ = ("_tokens",)

    deadline_advice = (
        "A refresh that was accepted is no proof: refresh the tokens again, or raise the limit where the refresh still "
        "runs"
    )
    spending_advice = "name fewer tokens (token_ids, sample_size)"
    price_of_look = price_of_look(1)

    def __init__(self, record: FreshRecord, subject: str, max_compute_units: int | None = None) -> None:
        super().__init__(record, subject, max_compute_units)
        self._tokens = record

    def told(self) -> str:
        """Tell how many tokens are proven."""
        record = self._tokens
        if record.ids is None:
            return "the collection's tokens were not known"
        counts = record.counts()
        return (
            f"{counts.fresh:,} of {counts.tokens:,} tokens were newer than {record.fresh_since} ({counts.stale:,} not, "
            f"{counts.failed:,} with an error)"
        )


class FreshWait(LookWait[FreshRecord]):
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
        super().__init__(
            record,
            FreshLimits(record, subject, max_compute_units),
            subject=subject,
            cadence=cadence,
            log=log,
            max_consecutive_failures=max_consecutive_failures,
        )
        self._min_fresh = min_fresh
        self._moment = read_moment(record.fresh_since)

    @property
    def is_over(self) -> bool:
        """Whether enough tokens are proven."""
        record = self.record
        return record.ids is not None and len(record.fresh) >= needed_of(self._min_fresh, len(record.ids))

    @property
    def is_hopeless(self) -> bool:
        """Whether enough can not be proven any more."""
        return self.record.why_hopeless(self._min_fresh, self.subject) is not None

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
        record.state = LookState.WAITING.value
        for position in positions:
            metadata = found.get(record.tokens[position])
            is_fresh = metadata is not None and self._moment is not None and metadata.is_newer_than(self._moment)
            record.take(position, metadata.error if metadata is not None else None, is_fresh=is_fresh)
            record.next_position = position + 1

    def looked(self, usage: Usage) -> float | None:
        """Apply the rules to a pass that was answered to its end, as ``LookWait`` does; the next one begins anew."""
        delay = super().looked(usage)
        if delay is not None:
            self.record.next_position = 0
        return delay

    def how_far(self) -> str:
        """Tell how many tokens are proven."""
        record, counts = self.record, self.record.counts()
        return f"{counts.fresh:,} of {counts.tokens:,} tokens newer than {record.fresh_since}"

    def say_progress(self) -> None:
        """Say how many tokens are proven, at each tenth of them."""
        record, counts = self.record, self.record.counts()
        percent = record.percent()
        record.progress = percent
        has_moved = math.floor(percent) >= record.logged_progress + LOGGED_PROGRESS_STEP
        is_complete = counts.fresh == counts.tokens and record.logged_progress < 100  # noqa: PLR2004 - percent
        if has_moved or is_complete:
            record.logged_progress = percent
        say = self.log.info if has_moved or is_complete else self.log.debug
        say("%s: %s of %s tokens proven fresh", self.subject, f"{counts.fresh:,}", f"{counts.tokens:,}")

    def _check_hope(self) -> None:
        hopeless = self.record.why_hopeless(self._min_fresh, self.subject)
        if hopeless is not None:
            raise hopeless
