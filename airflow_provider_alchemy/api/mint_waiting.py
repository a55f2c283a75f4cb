# SPDX-License-Identifier: Apache-2.0
"""
The rules of a wait for new tokens: which blocks a look reads, and when it is over. No I/O, no sleep.

What it shares with other waits that only look stands in ``looking``.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.endpoints import ETH_BLOCK_NUMBER, ETH_GET_LOGS
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.looking import LookLimits, LookState, LookWait
from airflow_provider_alchemy.api.mint_record import MintRecord
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, LOGGED_PROGRESS_STEP
from airflow_provider_alchemy.chain.events import ChainLog
from airflow_provider_alchemy.chain.reader import DEFAULT_CONFIRMATIONS

DEFAULT_MIN_TOKENS = 1

CALLS_OF_LOOK = 2
PRICE_OF_LOOK = ETH_BLOCK_NUMBER.compute_units + ETH_GET_LOGS.compute_units
"""A look asks for the newest block, and for what was minted since the last one in as many calls as it takes."""


class MintLimits(LookLimits):
    """
    The limits of a wait for new tokens.

    :param record: What the wait has read and spent, and its deadlines.
    :param subject: The collection and the connection, for people.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    __slots__ = ("_blocks",)

    deadline_advice = (
        "Check that the contract mints on this network (an ERC-721 Transfer from the zero address), and from which "
        "block on you want to know; raise the limit where it may still mint"
    )
    spending_advice = "poll more rarely (poke_interval), or begin at a later block"
    price_of_look = PRICE_OF_LOOK

    def __init__(self, record: MintRecord, subject: str, max_compute_units: int | None = None) -> None:
        super().__init__(record, subject, max_compute_units)
        self._blocks = record

    def told(self) -> str:
        """Tell how many tokens were minted in what was read."""
        return told(self._blocks)


class MintWait(LookWait[MintRecord]):
    """
    The wait until tokens of a collection are minted.

    :param record: What was read so far.
    :param subject: The collection and the connection, for people.
    :param cadence: How often to look.
    :param log: Where to say what happens.
    :param min_tokens: How many different tokens have to be minted.
    :param confirmations: Blocks that must follow a block before it counts.
    :param max_consecutive_failures: Looks in a row that may fail; None: any number.
    :param max_compute_units: What the wait may spend; None: any amount.
    """

    def __init__(
        self,
        record: MintRecord,
        *,
        subject: str,
        cadence: Cadence,
        log: Log | None = None,
        min_tokens: int = DEFAULT_MIN_TOKENS,
        confirmations: int = DEFAULT_CONFIRMATIONS,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__(
            record,
            MintLimits(record, subject, max_compute_units),
            subject=subject,
            cadence=cadence,
            log=log,
            max_consecutive_failures=max_consecutive_failures,
        )
        self.min_tokens = min_tokens
        self.confirmations = confirmations

    @property
    def has_enough(self) -> bool:
        """Whether enough tokens were minted in what was read."""
        return len(self.record.ids) >= self.min_tokens

    @property
    def is_over(self) -> bool:
        """Whether enough tokens were minted, and all was read that there was to read: the result has all of them."""
        return self.has_enough and not self.record.is_behind

    def first_delay_seconds(self) -> float:
        """Give a random part of the interval; none where there is more to read already."""
        return 0.0 if self.record.is_behind else super().first_delay_seconds()

    def begin_at(self, block: int) -> None:
        """
        Set where the reading begins, and say so.

        :param block: The first block that counts.
        """
        self.record.begin_at(block)
        tokens = f"{self.min_tokens:,} new token{'s'[: self.min_tokens != 1]}"
        self.log.info("%s: waiting for %s from block %s on", self.subject, tokens, f"{block:,}")

    def next_blocks(self, newest_block: int) -> tuple[int, int] | None:
        """
        Tell which blocks are to be read.

        :param newest_block: The newest block; a node may tell an older one than another did before.
        :return: The first and the last one; None: all that is confirmed was read.
        """
        confirmed = newest_block - self.confirmations
        self.record.is_behind = self.record.next_block <= confirmed
        return (self.record.next_block, confirmed) if self.record.is_behind else None

    def saw(self, last_block: int, logs: Iterable[ChainLog]) -> None:
        """
        Take the answer of one call: none of its blocks is read again.

        :param last_block: The last block that was read.
        :param logs: The mints in them.
        """
        record = self.record
        record.failures = 0
        for log in logs:
            for first, last in log.token_ranges:
                record.ids.update(range(first, last + 1))
        record.next_block = last_block + 1

    def looked(self, usage: Usage) -> float | None:
        """
        Apply the rules to a look without a failure, as ``LookWait`` does; what was found is enough at any deadline.

        :param usage: What it cost.
        :return: When to look again, in seconds; None: the wait has ended well.
        :raises AlchemyError: The wait has failed.
        """
        self.record.failures = 0
        try:
            return super().looked(usage)
        except AlchemyError as error:
            self._end_with_what_there_is(error)
            return None

    def failed(self, error: AlchemyError, usage: Usage) -> float | None:
        """
        Apply the rules to a look that a failed call has cut short, as ``LookWait`` does; here too enough is enough.

        :param error: What went wrong.
        :param usage: What the look cost.
        :return: When to look again, in seconds; None: the wait has ended well.
        :raises AlchemyError: The wait has failed.
        """
        try:
            return super().failed(error, usage)
        except AlchemyError as end:
            self._end_with_what_there_is(end)
            return None

    def how_far(self) -> str:
        """Tell how many tokens were minted."""
        return told(self.record)

    def say_progress(self) -> None:
        """Say how many tokens were minted, at each tenth of those that are waited for."""
        record = self.record
        percent = 100 * len(record.ids) // self.min_tokens
        has_moved = percent >= record.logged_progress + LOGGED_PROGRESS_STEP
        if has_moved:
            record.logged_progress = percent
        say = self.log.info if has_moved else self.log.debug
        say("%s: %s (waiting for %s)", self.subject, told(record), f"{self.min_tokens:,}")

    def _end_with_what_there_is(self, error: AlchemyError) -> None:
        """End well where the wait would fail with enough tokens found: the result says up to which block it is."""
        if not self.has_enough:
            raise error
        self.log.warning(
            "%s: not all confirmed blocks were read, and enough tokens were found: %s", self.subject, error
        )
        self.record.is_behind = False
        self.finish()

    def _interval_seconds(self) -> float:
        # A look that stopped to keep what it had read goes on at once.
        return 0.0 if self.record.is_behind else super()._interval_seconds()


def told(record: MintRecord) -> str:
    """
    Tell how many tokens were minted in what was read.

    :param record: What was read.
    :return: Such as ``3 new tokens in blocks 20,000,000 to 20,000,011``.
    """
    if record.until_block is not None:
        tokens = f"{len(record.ids):,} new token{'s'[: len(record.ids) != 1]}"
        return f"{tokens} in blocks {record.since_block:,} to {record.until_block:,}"
    if record.since_block is not None:
        return f"no new tokens, block {record.since_block:,} was not confirmed yet"
    if record.asked_moment and record.state == LookState.WAITING:
        return f"no new tokens, no block that was made since {record.asked_moment} was known"
    return "no new tokens, the newest block was not known"
