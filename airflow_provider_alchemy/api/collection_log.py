# SPDX-License-Identifier: Apache-2.0
"""What people read of a collection's refresh while it runs: a line for each tenth of it, and for each new try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from airflow_provider_alchemy.api.collection_record import CollectionRecord, Stage
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.token_groups import TokenGroup

STEP_PERCENT = 10


class CollectionLog:
    """
    Tells how far a refresh is.

    :param log: The task's log.
    :param subject: What is refreshed, for people.
    """

    def __init__(self, log: Log, subject: str) -> None:
        self._log = log
        self._subject = subject
        self._told_percent = 0
        self._refusals = self._failures = 0

    def say_the_price(self, record: CollectionRecord, price: int | None) -> None:
        """
        Tell what the refresh will cost, before it begins.

        :param record: The refresh.
        :param price: Compute units; None: nobody knows how many tokens there are.
        """
        if price is None:
            self._log.info(
                "%s: Alchemy does not tell how many tokens there are, hence not what their refresh costs: 1,080 "
                "compute units for each hundred with method 'batch', 5,080 with 'queue'",
                self._subject,
            )
            return
        tokens = record.open_in_stage + (0 if record.is_taken else max((record.supply or 0) - record.tokens, 0))
        done = f"; {record.refreshed:,} are proven fresh already" if record.refreshed else ""
        self._log.info(
            "%s: refreshing %s tokens with method %r costs %s compute units, more where some have to be tried again%s",
            self._subject,
            f"{tokens:,}",
            record.method.value,
            f"{price:,}",
            done,
        )

    def say_progress(self, record: CollectionRecord) -> None:
        """
        Tell how far the first asking for all tokens is, every ten percent.

        :param record: The refresh.
        """
        expected = max(record.supply or record.tokens, record.tokens)
        if record.attempt > 1 or not expected or not (record.supply or record.is_taken):
            return
        percent = 100 * record.settled // expected
        if percent >= self._told_percent + STEP_PERCENT:
            self._told_percent = percent - percent % STEP_PERCENT
            self._log.info(
                "%s: %d %%, %s tokens asked for, %s proven fresh, %s compute units",
                self._subject,
                percent,
                f"{record.settled:,}",
                f"{record.refreshed:,}",
                f"{record.compute_units:,}",
            )

    def say_the_stage(self, record: CollectionRecord, now: float) -> None:
        """
        Tell what is asked for next.

        :param record: The refresh.
        :param now: Seconds since the epoch.
        """
        if record.stage is Stage.DONE:
            return
        verb = {Stage.REFRESH: "refreshing", Stage.QUEUE: "queueing", Stage.PROVE: "looking for the proof of"}
        self._log.info(
            "%s: %s %s tokens in %.0f s (attempt %d): %s",
            self._subject,
            verb[record.stage],
            f"{record.open_in_stage:,}",
            max(record.next_at - now, 0.0),
            record.attempt,
            tell_reasons(record.todo),
        )

    def say_failure(self, tokens: int, error: AlchemyError) -> None:
        """
        Tell of a call that failed for all its tokens: the first as a warning, the others for those who look closely.

        :param tokens: How many they are.
        :param error: Why.
        """
        self._failures += 1
        say = self._log.warning if self._failures == 1 else self._log.debug
        say("A call for %d tokens failed, they are tried again: %s", tokens, error)

    def say_refusal(self, token_id: int, error: AlchemyError) -> None:
        """
        Tell of a token that the service would not queue: the first as a warning, as above.

        :param token_id: The token.
        :param error: Why.
        """
        self._refusals += 1
        say = self._log.warning if self._refusals == 1 else self._log.debug
        say("Token %d was not queued, perhaps because somebody refreshed it minutes ago: %s", token_id, error)

    def say_the_end(self, record: CollectionRecord) -> None:
        """
        Tell how it ended, and what it cost.

        :param record: The refresh.
        """
        began, ended = read_moment(record.submitted_at), read_moment(record.finished_at)
        seconds = (ended - began).total_seconds() if began and ended else 0.0
        if not record.tokens:
            self._log.info("%s: there is no token to refresh", self._subject)
        left = f", {tell_reasons(record.failed)}" if record.failed else ""
        self._log.info(
            "%s: %s of %s tokens refreshed and proven%s, after %.1f s, %s calls, %s compute units",
            self._subject,
            f"{record.refreshed:,}",
            f"{record.tokens:,}",
            left,
            seconds,
            f"{record.polls:,}",
            f"{record.compute_units:,}",
        )


def tell_reasons(groups: Iterable[TokenGroup]) -> str:
    """
    Count tokens by what is wrong with them.

    :param groups: The tokens.
    :return: For example ``300 stale, 2 ipfs_timeout``; the most frequent first.
    """
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.reason or "not asked for yet"] += group.count
    return ", ".join(f"{number:,} {reason}" for reason, number in counts.most_common())
