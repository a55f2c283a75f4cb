# SPDX-License-Identifier: Apache-2.0
"""
Reading the chain through a connection: the newest block, and what contracts announced in a range of blocks.

It asks for as much as the API lets it and learns from what is refused. A log that does not decode is skipped with one
warning for its contract: one odd contract must not stop the news of five hundred others. One that was not asked for is
no contract's oddity but a spoilt answer, and who skipped it would lose what should have been in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from airflow_provider_alchemy.api import endpoints as chain_endpoints
from airflow_provider_alchemy.api.chain_events import ChainLog, EventKind, UnreadableLogError, read_log, topics_of
from airflow_provider_alchemy.api.chain_limits import (
    MOST_BLOCKS,
    MOST_CONTRACTS,
    CallLimit,
    Refusal,
    allowed_blocks,
    is_about_contracts,
    refusal_of,
)
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyTimeoutError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage

T = TypeVar("T")

ENTRIES_AT_ONCE = 500
"""Entries that are read before others may use the event loop: some 5 ms."""

UNCLEAR_REFUSALS = 2
"""Refusals in a row that do not say why, after which less is asked for."""

MOST_WARNINGS = 100
"""Contracts that are warned of: whoever watches more odd ones has seen enough."""


class Caller(Protocol):
    """Who makes calls: ``RefreshPoller`` is one."""

    @property
    def settings(self) -> ClientSettings:
        """Whose account, and the way to it."""

    async def send(self, call: Call[T], *, usage: Usage, max_attempts: int, spending_limit: SpendingLimit) -> T:
        """Make a call."""


class ChainReader:
    """
    What is known of a network's chain, and of how much may be asked of it at once.

    :param log: Where to warn.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._blocks = CallLimit(MOST_BLOCKS)
        self._contracts = CallLimit(MOST_CONTRACTS)
        self._unclear_refusals = 0
        self._warned: set[str] = set()

    @property
    def most_blocks(self) -> int:
        """How many blocks the next call may span."""
        return self._blocks.size

    async def newest_block(self, caller: Caller, usage: Usage, spending_limit: SpendingLimit | None = None) -> int:
        """
        Ask for the newest block (10 compute units).

        :param caller: Who makes the call.
        :param usage: Counts requests and units, also where the call fails.
        :param spending_limit: What may be spent; default: any amount.
        :return: Its number. Another node may have answered than the last time, and be behind.
        :raises AlchemyError: What went wrong.
        """
        return await _send(caller, chain_endpoints.block_number(caller.settings), usage, spending_limit)

    async def block_time(
        self, number: int, caller: Caller, usage: Usage, spending_limit: SpendingLimit | None = None
    ) -> datetime | None:
        """
        Ask when a block was made (20 compute units).

        :param number: The block.
        :param caller: Who makes the call.
        :param usage: Counts requests and units, also where the call fails.
        :param spending_limit: What may be spent; default: any amount.
        :return: Its time; None where there is no such block.
        :raises AlchemyError: What went wrong.
        """
        return await _send(caller, chain_endpoints.get_block_time(number, caller.settings), usage, spending_limit)

    async def read(
        self,
        blocks: tuple[int, int],
        contracts: Sequence[str],
        kinds: Collection[EventKind],
        caller: Caller,
        usage: Usage,
        spending_limit: SpendingLimit | None = None,
    ) -> tuple[int, list[ChainLog]]:
        """
        Read what contracts announced, as far as one call may go (75 compute units).

        :param blocks: The first block, and the last one that is wanted.
        :param contracts: The contracts, in lower case. Where the API takes fewer in a call, there are several calls.
        :param kinds: What is looked for.
        :param caller: Who makes the calls.
        :param usage: Counts requests and units, also where a call fails.
        :param spending_limit: What may be spent; default: any amount.
        :return: The last block that was read, and what was announced up to it, in the order of the chain.
        :raises AlchemyError: What went wrong, other than that more was asked for than a call may.
        """
        first, wanted = blocks
        while True:
            last = min(wanted, first + self._blocks.size - 1)
            size = self._contracts.size
            parts = [contracts[at : at + size] for at in range(0, len(contracts), size)]
            logs: list[ChainLog] = []
            try:
                for part in parts:
                    call = chain_endpoints.get_logs(first, last, part, topics_of(kinds), caller.settings)
                    entries = await _send(caller, call, usage, spending_limit)
                    self._contracts.accept(len(part))
                    logs += await self._read_entries(entries, (first, last), frozenset(part), kinds)
            except AlchemyError as error:
                if not self._shrink(error, last - first + 1, min(size, len(contracts))):
                    raise
            else:
                self._unclear_refusals = 0
                self._blocks.accept(last - first + 1)
                return last, sorted(logs)

    def _shrink(self, error: AlchemyError, blocks: int, contracts: int) -> bool:
        """Ask for less from now on; give whether to ask again: for less, or once more for the same."""
        refusal = refusal_of(error)
        is_for_now = refusal is Refusal.TOO_MUCH_HERE
        if refusal is Refusal.PERHAPS:
            # Once may be a fault of the way there; who asks for half each time would soon ask for very little.
            self._unclear_refusals += 1
            if self._unclear_refusals < UNCLEAR_REFUSALS:
                return True
            refusal = Refusal.TOO_MUCH
        if refusal is Refusal.NONE:
            return False
        is_late = isinstance(error, AlchemyTimeoutError)
        if contracts > 1 and not is_late and (blocks == 1 or is_about_contracts(error.what)):
            self._contracts.refuse(contracts, is_for_now=is_for_now)
            return True
        if blocks > 1:
            self._blocks.refuse(blocks, allowed_blocks(error.what), is_for_now=is_for_now)
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
                self._warn(entry, error)
                continue
            if log is None or log.kind not in kinds:
                continue
            if log.contract_address not in contracts or not blocks[0] <= log.block_number <= blocks[1]:
                msg = (
                    f"the answer has a log of contract {log.contract_address} in block {log.block_number:,}, which was "
                    "not asked for"
                )
                raise AlchemyUnexpectedAnswerError(msg)
            logs.append(log)
        return logs

    def _warn(self, entry: Any, reason: object) -> None:
        told = entry if isinstance(entry, dict) else {}
        contract = str(told.get("address"))[:42]
        if contract in self._warned or len(self._warned) >= MOST_WARNINGS:
            return
        self._warned.add(contract)
        self._log.warning(
            "Skipping a log of contract %s (transaction %s, log index %s), and others of the same contract that do "
            "not decode: %s",
            contract,
            str(told.get("transactionHash"))[:66],
            str(told.get("logIndex"))[:20],
            reason,
        )


async def _send(caller: Caller, call: Call[T], usage: Usage, spending_limit: SpendingLimit | None) -> T:
    return await caller.send(
        call, usage=usage, max_attempts=caller.settings.max_attempts, spending_limit=spending_limit or SpendingLimit()
    )
