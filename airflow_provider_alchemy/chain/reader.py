# SPDX-License-Identifier: Apache-2.0
"""
Reading the chain: the newest block, the time of a block, and what contracts announced in a range of blocks.

How many blocks and contracts one call of ``eth_getLogs`` may ask for is decided here: as many as Alchemy documents at
first, what a refusal names or half of it afterwards, and slowly more again, because plans change and quiet blocks
follow busy ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol, TypeVar

from airflow_provider_alchemy.api.endpoints import Call, block_number, get_block_time, get_logs
from airflow_provider_alchemy.api.errors import (
    AlchemyConnectionError,
    AlchemyError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
    ErrorKind,
)
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.chain.events import ChainLog, EventKind, UnreadableLogError, read_log, topics_of
from airflow_provider_alchemy.chain.networks import documented_blocks, max_blocks_of
from airflow_provider_alchemy.chain.refusals import Refusal, is_behind, named_blocks, refusal_of

T = TypeVar("T")

MAX_CONTRACTS = 5_000
"""Contracts that a call names at most: a tenth of the largest body that the API takes."""

MIN_CALLS_BEFORE_GROWTH, MAX_CALLS_BEFORE_GROWTH = 4, 128
"""Calls of one size before a larger one is tried: more, the more often a larger one was refused."""

ENTRIES_AT_ONCE = 500
"""Entries that are read before others may use the event loop: some 5 ms."""

BEHIND_BEFORE_WARNING = 20
"""Polls in a row that find a node behind before that is warned of: nodes are now and then, but catch up."""

MAX_WARNED_CONTRACTS = 100
"""Contracts whose broken logs are warned of."""


class Sender(Protocol):
    """What makes calls: a ``Poller`` or a client."""

    @property
    def settings(self) -> ClientSettings:
        """The account and its network."""

    async def send(self, call: Call[T], *, usage: Usage, max_attempts: int, spending_limit: SpendingLimit) -> T:
        """Make a call."""


class CallSize:
    """How much one call may ask for."""

    def __init__(self, size: int, most: int) -> None:
        self.current = size
        self._max = most
        self._accepted = 0
        self._is_tried = True
        self._calls_before_growth = MIN_CALLS_BEFORE_GROWTH

    def accept(self, size: int) -> None:
        """Count a call that went through: after some of the current size the next one is twice as large."""
        if size < self.current:
            return
        if not self._is_tried:
            self._is_tried = True
            self._calls_before_growth = max(self._calls_before_growth // 2, MIN_CALLS_BEFORE_GROWTH)
        self._accepted += 1
        if self._accepted >= self._calls_before_growth and self.current < self._max:
            self.current = min(2 * self.current, self._max)
            self._accepted, self._is_tried = 0, False

    def refuse(self, size: int, named: int | None = None, *, is_lasting: bool = False) -> None:
        """Go down to what the refusal names, else to half of the refused size; one that lasts is not tried soon."""
        if is_lasting:
            self._calls_before_growth = MAX_CALLS_BEFORE_GROWTH
        elif not self._is_tried:
            self._calls_before_growth = min(2 * self._calls_before_growth, MAX_CALLS_BEFORE_GROWTH)
        self.current = named or max(size // 2, 1)
        self._accepted, self._is_tried = 0, True


class ChainReader:
    """Reads a network's chain through a sender, and remembers how much one call may ask for."""

    def __init__(self, sender: Sender, log: Log) -> None:
        self._sender = sender
        self._log = log
        self._blocks = CallSize(documented_blocks(sender.settings), max_blocks_of(sender.settings.network))
        self._contracts = CallSize(MAX_CONTRACTS, MAX_CONTRACTS)
        self._unclear_refusals = 0
        self._times_behind = 0
        self._warned: set[tuple[str, str]] = set()

    @property
    def max_blocks(self) -> int:
        return self._blocks.current

    async def newest_block(self, usage: Usage, spending_limit: SpendingLimit | None = None) -> int:
        """Ask for the newest block. Another node than the last time may answer, and be behind."""
        call = block_number(self._sender.settings)
        return await self._send(call, usage, spending_limit, self._sender.settings.max_attempts)

    async def block_time(
        self, number: int, usage: Usage, spending_limit: SpendingLimit | None = None
    ) -> datetime | None:
        """Ask when a block was made; None where the node has no such block, or says that it is behind."""
        call = get_block_time(number, self._sender.settings)
        try:
            return await self._send(call, usage, spending_limit, self._sender.settings.max_attempts)
        except AlchemyError as error:
            if is_behind(error):
                return None
            raise

    async def read(
        self,
        blocks: tuple[int, int],
        contracts: Collection[str],
        kinds: Collection[EventKind],
        usage: Usage,
        spending_limit: SpendingLimit | None = None,
    ) -> tuple[int, list[ChainLog]]:
        """
        Read what contracts announced, as far as one call may go; give the last block that was read, and the logs.

        Where the node does not have these blocks yet, the last one that was read is the one before the first.
        """
        first, wanted = blocks
        failures = 0
        while True:
            last = min(wanted, first + self._blocks.current - 1)
            try:
                logs = await self._read_once((first, last), sorted(contracts), kinds, usage, spending_limit)
            except AlchemyError as error:
                if is_behind(error):
                    self._count_behind(error)
                    return first - 1, []
                if self._can_ask_again(error, last - first + 1, min(self._contracts.current, len(contracts))):
                    continue
                failures += 1
                if error.kind is not ErrorKind.TRANSIENT or failures >= self._sender.settings.max_attempts:
                    raise
                await asyncio.sleep(backoff_seconds(failures, error.retry_after_seconds))
            else:
                self._unclear_refusals = self._times_behind = 0
                self._blocks.accept(last - first + 1)
                return last, sorted(logs)

    async def _read_once(
        self,
        blocks: tuple[int, int],
        contracts: list[str],
        kinds: Collection[EventKind],
        usage: Usage,
        spending_limit: SpendingLimit | None,
    ) -> list[ChainLog]:
        logs: list[ChainLog] = []
        while contracts:
            size = self._contracts.current
            part, contracts = contracts[:size], contracts[size:]
            call = get_logs(*blocks, part, topics_of(kinds), self._sender.settings)
            entries = await self._send(call, usage, spending_limit, max_attempts=1)
            self._contracts.accept(len(part))
            logs += await self._read_entries(entries, blocks, frozenset(part), kinds)
        return logs

    def _count_behind(self, error: AlchemyError) -> None:
        """Warn where no node ever has the blocks: that is no failure, and nothing else would show it."""
        self._times_behind += 1
        if self._times_behind == BEHIND_BEFORE_WARNING:
            words = "%s times in a row a node did not have blocks that another one has; still polling: %s"
            self._log.warning(words, self._times_behind, error)

    def _can_ask_again(self, error: AlchemyError, blocks: int, contracts: int) -> bool:
        """Ask for less after a refusal; give whether the next call may follow at once."""
        refusal = refusal_of(error)
        if refusal is Refusal.NONE:
            return False
        is_answer = error.kind is not ErrorKind.TRANSIENT
        if refusal is Refusal.UNCLEAR:
            self._unclear_refusals += 1
            if self._unclear_refusals == 1:
                # Once may be a fault of the way there.
                return is_answer
        is_smaller = self._ask_for_less(error, blocks, contracts, is_lasting=refusal is Refusal.TOO_MANY)
        return is_smaller and (is_answer or refusal is not Refusal.UNCLEAR)

    def _ask_for_less(self, error: AlchemyError, blocks: int, contracts: int, *, is_lasting: bool) -> bool:
        is_about_contracts = blocks == 1 or "address" in error.message.lower()
        # A service that is out of reach is so for fewer contracts too, and each call would take its time.
        is_out_of_reach = isinstance(error, AlchemyTimeoutError | AlchemyConnectionError)
        if is_about_contracts and contracts > 1 and not is_out_of_reach:
            self._contracts.refuse(contracts, is_lasting=is_lasting)
            return True
        if blocks > 1:
            self._blocks.refuse(blocks, named_blocks(error.message, blocks), is_lasting=is_lasting)
            return True
        return False

    async def _read_entries(
        self, entries: list[Any], blocks: tuple[int, int], contracts: frozenset[str], kinds: Collection[EventKind]
    ) -> list[ChainLog]:
        logs = []
        for at, entry in enumerate(entries):
            if at and at % ENTRIES_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                log = read_log(entry)
            except UnreadableLogError as error:
                # One odd contract must not stop the updates of five hundred others.
                text = (
                    "Skipping a log of contract %s (transaction %s, log index %s), and others of the same contract "
                    "that do not decode: %s"
                )
                self._warn(entry, text, error)
                continue
            if log is None or log.kind not in kinds:
                continue
            if log.contract_address not in contracts or not blocks[0] <= log.block_number <= blocks[1]:
                # No contract's oddity but a wrong answer: what should have been in its place would be lost.
                place = f"of contract {log.contract_address} in block {log.block_number:,}"
                msg = f"the answer has a log {place}, which was not asked for"
                raise AlchemyUnexpectedAnswerError(msg)
            if log.oddity:
                self._warn(entry, "Contract %s (transaction %s, log index %s), now and later: %s", log.oddity)
            logs.append(log)
        return logs

    def _warn(self, entry: Any, text: str, reason: object) -> None:
        fields = entry if isinstance(entry, dict) else {}
        contract = str(fields.get("address"))[:42]
        if (contract, text) in self._warned or len(self._warned) >= MAX_WARNED_CONTRACTS:
            return
        self._warned.add((contract, text))
        transaction, index = str(fields.get("transactionHash"))[:66], str(fields.get("logIndex"))[:20]
        self._log.warning(text, contract, transaction, index, reason)

    async def _send(self, call: Call[T], usage: Usage, spending_limit: SpendingLimit | None, max_attempts: int) -> T:
        return await self._sender.send(
            call, usage=usage, max_attempts=max_attempts, spending_limit=spending_limit or SpendingLimit()
        )
