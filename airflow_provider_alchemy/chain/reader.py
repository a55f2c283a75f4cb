# SPDX-License-Identifier: Apache-2.0
"""
Reading the chain: the newest block, the time of a block, and what contracts announced in a range of blocks.

How many blocks and contracts one call of ``eth_getLogs`` may ask for is decided here: as many as Alchemy documents at
first, what a refusal names or half of it afterwards, and slowly more again, because plans change and quiet blocks
follow busy ones.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from airflow_provider_alchemy.api.endpoints import Call, block_number, get_block_time, get_logs
from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyConnectionError,
    AlchemyError,
    AlchemyRequestError,
    AlchemyServerError,
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
        self._warned: set[str] = set()

    @property
    def max_blocks(self) -> int:
        """How many blocks the next call may span."""
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
        Read what contracts announced from the first of the blocks on, as far as one call may go.

        The result is the last block that was read, and the logs up to it in the order of the chain. Where the node
        does not have these blocks yet, the last one that was read is the one before the first.
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
                self._warn(entry, error)
                continue
            if log is None or log.kind not in kinds:
                continue
            if log.contract_address not in contracts or not blocks[0] <= log.block_number <= blocks[1]:
                # No contract's oddity but a wrong answer: what should have been in its place would be lost.
                place = f"of contract {log.contract_address} in block {log.block_number:,}"
                msg = f"the answer has a log {place}, which was not asked for"
                raise AlchemyUnexpectedAnswerError(msg)
            logs.append(log)
        return logs

    def _warn(self, entry: Any, reason: UnreadableLogError) -> None:
        fields = entry if isinstance(entry, dict) else {}
        contract = str(fields.get("address"))[:42]
        if contract in self._warned or len(self._warned) >= MAX_WARNED_CONTRACTS:
            return
        self._warned.add(contract)
        text = (
            "Skipping a log of contract %s (transaction %s, log index %s), and others of the same contract that do "
            "not decode: %s"
        )
        transaction, index = str(fields.get("transactionHash"))[:66], str(fields.get("logIndex"))[:20]
        self._log.warning(text, contract, transaction, index, reason)

    async def _send(self, call: Call[T], usage: Usage, spending_limit: SpendingLimit | None, max_attempts: int) -> T:
        return await self._sender.send(
            call, usage=usage, max_attempts=max_attempts, spending_limit=spending_limit or SpendingLimit()
        )


class Refusal(StrEnum):
    """What an error says of the size of the call that it ended."""

    TOO_MANY = "too_many"
    """More blocks or contracts than a call may ask for, whatever is in them."""

    TOO_MUCH_HERE = "too_much_here"
    """The answer would hold too much, or took too long: of other blocks it may be less."""

    UNCLEAR = "unclear"
    """The service does not answer this call, and does not say why."""

    NONE = "none"
    """The size had nothing to do with it."""


_TOO_MUCH_HERE = re.compile(
    r"response (size|(is )?too (large|big))|\bresults\b|\blogs\b.{0,40}(exceed|returned)|(too many|[0-9k]) logs\b"
    r"|sent more than|timed?[ -]?out|deadline|too long|too (expensive|heavy|complex)",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"range|blocks|limit|exceed|too (large|wide|many|big)|more than", re.IGNORECASE)
_ABOUT_BLOCKS = re.compile(r"\b(range|ranges|blocks)\b", re.IGNORECASE)

_NAMED_ENDS = re.compile(
    r"\brange\b[^0-9]{0,40}?\b(0x[0-9a-f]+|[0-9]+)[\s\]]*(?:,|-|to)[\s\[]*(0x[0-9a-f]+|[0-9]+)", re.IGNORECASE
)
_NAMED_COUNTS = (
    re.compile(r"\b([1-9][0-9,]{0,9})(k?)[- ]blocks?\b", re.IGNORECASE),
    re.compile(r"\b(?:ranges?|max(?:imum)?|limit(?:ed)?)\b[^0-9.]{0,60}?\b([1-9][0-9,]{0,9})(k?)\b", re.IGNORECASE),
    re.compile(r"> ?([1-9][0-9,]{0,9})(k?)\b", re.IGNORECASE),
)

_BEHIND = re.compile(
    # beyond current head block, after last accepted block, greater than latest block, end (7) > latestBlock (5)
    r"(\b(beyond|after|past|above|ahead of|exceeds?|(greater|higher|larger|newer|later|less|lower) than)\b|>).{0,40}"
    r"(\bhead|latest|\btip\b|newest|highest|last accepted|current (block|chain|height)|\bsynced|finali[sz]ed)"
    # header not found, block #7 not found, one of the blocks … cannot be found, block … doesn't exist yet
    r"|\b(blocks?|header|height|body|epoch|resource)\b[^.]{0,80}"
    r"(not (found|available|known|exist|imported|synced|indexed)|not yet|cannot be found|doesn't exist|unavailable)"
    r"|(unknown|missing|no such|find|get|load) (the )?(block|header)\b(?! range)"
    r"|\bfuture (block|epoch|height|range)|in the future|\bblock[^.]{0,30} out of range"
    r"|\b(still|currently) syncing|sync(ing)? in progress|not (fully )?synced|\b(node|head|backend)\b.{0,20}\bbehind",
    re.IGNORECASE,
)
_NOT_BEHIND = re.compile(
    r"\bmax|limit|at most|up to|too (large|wide|many|big)|\b(plan|tier|upgrade)\b|prun|archiv|histor|too old|lowest",
    re.IGNORECASE,
)
"""A call that asks for too much, or for blocks that the node has no more."""


def refusal_of(error: AlchemyError) -> Refusal:
    """Tell whether a smaller call may go through where this one failed."""
    if isinstance(error, AlchemyTimeoutError):
        return Refusal.TOO_MUCH_HERE
    if isinstance(error, AlchemyConnectionError | AlchemyBadAnswerError):
        # A large answer may be what a proxy cuts, and what a node dies of.
        return Refusal.UNCLEAR
    # Without a status it is a good answer of a wrong form.
    if error.http_status is None:
        return Refusal.NONE
    words = error.message
    is_about_blocks = _ABOUT_BLOCKS.search(words) is not None
    is_refused = isinstance(error, AlchemyRequestError | AlchemyUnexpectedAnswerError)
    if is_about_blocks or is_refused or isinstance(error, AlchemyServerError):
        if _TOO_MUCH_HERE.search(words):
            return Refusal.TOO_MUCH_HERE
        is_too_many = is_refused and (
            _TOO_MANY.search(words) or error.http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
        return Refusal.TOO_MANY if is_about_blocks or is_too_many else Refusal.UNCLEAR
    return Refusal.NONE


def named_blocks(message: str, below: int) -> int | None:
    """Read the range that a refusal names, in blocks; what is not below those of the call is no name of it."""
    for ends in _NAMED_ENDS.finditer(message):
        first, last = (int(end, 16 if end[:2].lower() == "0x" else 10) for end in ends.groups())
        if 0 < (blocks := last - first + (first > 0)) < below:
            return blocks
    # A limit of logs is none of blocks.
    found = [count for pattern in _NAMED_COUNTS for count in pattern.findall(message)]
    counts = [int(digits.replace(",", "")) * (1_000 if thousands else 1) for digits, thousands in found]
    is_named = _ABOUT_BLOCKS.search(message) or "block" in message.lower()
    return max((count for count in counts if is_named and 0 < count < below), default=None)


def is_behind(error: AlchemyError) -> bool:
    """Whether the node does not have a block yet: it is behind the one that named the newest block."""
    words = error.message
    return error.http_status is not None and _BEHIND.search(words) is not None and not _NOT_BEHIND.search(words)
