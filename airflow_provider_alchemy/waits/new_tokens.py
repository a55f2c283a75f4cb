# SPDX-License-Identifier: Apache-2.0
"""The wait until tokens of a collection are minted on the chain."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from airflow_provider_alchemy.api.endpoints import (
    ETH_BLOCK_NUMBER,
    ETH_GET_BLOCK_BY_NUMBER,
    ETH_GET_LOGS,
    is_not_offered,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyRequestError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.logs import Log, plural
from airflow_provider_alchemy.api.packing import pack_ranges, unpack_ranges
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.chain.block_search import BlockSearch
from airflow_provider_alchemy.chain.events import MAX_COUNTED, EventKind, merge_ranges
from airflow_provider_alchemy.chain.networks import MIN_CONFIRMATIONS, describe_confirmations
from airflow_provider_alchemy.chain.reader import ChainReader
from airflow_provider_alchemy.defaults import DEFAULT_MIN_TOKENS
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.poller import Poller
from airflow_provider_alchemy.waits.wait import FINISHED, LOGGED_PROGRESS_STEP, Goal, Wait, WaitState, isoformat

MIN_PRICE = ETH_BLOCK_NUMBER.compute_units + ETH_GET_LOGS.compute_units
"""A poll asks for the newest block, and for the mints since the last poll in as many calls as it takes."""

MAX_POLL_SECONDS = 60.0
"""How long a poll reads on before its progress is saved: a wait that begins far back has hours to read."""

MAX_RETURNED_TOKENS = 100_000
"""Token ids that a result lists: an XCom of a megabyte. One event of ERC-2309 may mint all that there can be."""

BLOCK_DELAY = timedelta(minutes=1)
"""Nodes show a block some seconds after its time: so much earlier does a wait begin that only knows a time."""

WAITING = "waiting"


@dataclass(slots=True, kw_only=True)
class NewTokensState(WaitState):
    """What was read of the chain."""

    min_tokens: int = DEFAULT_MIN_TOKENS  # how many different tokens have to be minted
    confirmations: int = MIN_CONFIRMATIONS  # blocks that must follow a block before it counts
    asked_block: int | None = None  # the block that the task names as the first one; None: it names none
    asked_time: datetime | None = None  # the time that it names instead; None: none
    search: BlockSearch | None = None  # the search for the block of that time; None: it has not begun
    since_block: int | None = None  # the first block that counts; None: not known yet
    next_block: int = 0  # the next block to read; those before it, from ``since_block`` on, were read
    ids: str = ""  # the tokens that were minted in them, as packed ranges
    is_behind: bool = False  # whether the last poll ended before it had read all confirmed blocks

    def check(self) -> None:
        unpack_ranges(self.ids)

    @property
    def until_block(self) -> int | None:
        is_read = self.since_block is not None and self.next_block > self.since_block
        return self.next_block - 1 if is_read else None


class NewTokensGoal(Goal[NewTokensState]):
    """Enough tokens were minted, and all confirmed blocks were read: the result has all of them."""

    state_type = NewTokensState
    poll_cost: ClassVar[int] = MIN_PRICE
    deadline_advice = (
        "Check that the contract mints on this network (an event of ERC-721, ERC-1155 or ERC-2309 that comes from the "
        "zero address), and from which block on you want to know; raise the limit where it may still mint"
    )
    spending_advice = "poll more rarely (poke_interval), or begin at a later block"

    _reader: ChainReader | None = None

    def __init__(self, state: NewTokensState) -> None:
        super().__init__(state)
        self.ranges = merge_ranges(unpack_ranges(state.ids))

    async def poll(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:
        state = self.state
        # It remembers how many blocks the API allows in one call.
        reader = self._reader = self._reader or ChainReader(api, wait.log)
        newest = await reader.newest_block(usage, limit)
        # The service has answered: a host that cannot be found from now on is no unknown network.
        state.status = WAITING
        if state.since_block is None and not await self._find_first_block(reader, newest, usage, limit, wait):
            return
        ends_at, has_time = time.monotonic() + MAX_POLL_SECONDS, True
        while (blocks := self._next_blocks(newest)) is not None and has_time:
            contracts, kinds = (state.contract_address,), (EventKind.MINT,)
            last, logs = await reader.read(blocks, contracts, kinds, usage, limit)
            state.failures = 0
            if last < blocks[0]:
                state.is_behind = False  # the node is: the next poll may reach another one
                return
            state.next_block = last + 1
            # An id of an ERC-1155 that was minted before cannot be told from a new one: it counts once.
            self.ranges = merge_ranges([*self.ranges, *(tokens for log in logs for tokens in log.token_ranges)])
            state.ids = pack_ranges(self.ranges)
            has_time = time.monotonic() < ends_at

    @property
    def count(self) -> int:
        """How many different tokens were minted, up to 2**256."""
        return sum(last - first + 1 for first, last in self.ranges)

    def milestone(self) -> Any:
        return self.state.since_block, self.state.ids, self.state.status == FINISHED

    def is_done(self) -> bool:
        return self.is_enough() and not self.state.is_behind

    def is_enough(self) -> bool:
        """Whether enough tokens were minted in what was read: a good end at any deadline."""
        return self.count >= self.state.min_tokens

    def first_delay_seconds(self, interval: Interval, *, at_once: bool) -> float:
        return super().first_delay_seconds(interval, at_once=at_once or self.state.is_behind)

    def delay_seconds(self, interval: Interval) -> float:
        return 0.0 if self.state.is_behind and not self.state.failures else super().delay_seconds(interval)

    def describe(self) -> str:
        state = self.state
        if state.until_block is not None:
            return f"{plural(self.count, 'new token')} in blocks {state.since_block:,} to {state.until_block:,}"
        if state.since_block is not None:
            return f"no new tokens, block {state.since_block:,} was not confirmed yet"
        if state.asked_time is not None and state.status == WAITING:
            return f"no new tokens, no block since {isoformat(state.asked_time)} was known"
        return "no new tokens, the newest block was not known"

    def log_progress(self, log: Log, subject: str) -> None:
        state, percent = self.state, min(100 * self.count // self.state.min_tokens, 100)
        has_moved = percent >= state.logged_progress + LOGGED_PROGRESS_STEP
        if has_moved:
            state.logged_progress = percent
        write = log.info if has_moved else log.debug
        write("%s: %s (waiting for %s)", subject, self.describe(), f"{state.min_tokens:,}")

    def summary(self) -> str:
        unlisted = (
            f" (more than {MAX_RETURNED_TOKENS:,}: token_ids is None)" if self.count > MAX_RETURNED_TOKENS else ""
        )
        return super().summary() + unlisted

    def result(self) -> dict[str, Any]:
        """Give what the task returns; a count that not every reader of JSON takes is None."""
        state, count = self.state, self.count
        is_listed = count <= MAX_RETURNED_TOKENS
        ids = [str(one) for first, last in self.ranges for one in range(first, last + 1)] if is_listed else None
        return {
            **state.result(),
            "token_ids": ids,
            "token_count": count if count <= MAX_COUNTED else None,
            "since_block": state.since_block,
            "until_block": state.until_block,
            "next_block": state.next_block,
        }

    def _next_blocks(self, newest: int) -> tuple[int, int] | None:
        """Give the first and the last block to read; a node may report an older newest block than another did."""
        state, confirmed = self.state, newest - self.state.confirmations
        # Where all is read, the state of an ended poll says so.
        state.is_behind = state.next_block <= confirmed
        return (state.next_block, confirmed) if state.is_behind else None

    async def _find_first_block(
        self, reader: ChainReader, newest: int, usage: Usage, limit: SpendingLimit, wait: Wait
    ) -> bool:
        """Find where the reading begins; give whether it is known."""
        state = self.state
        if state.asked_block is not None or state.asked_time is None:
            self._begin_at(newest if state.asked_block is None else state.asked_block, wait)
            return True
        # Blocks have whole seconds: one that was made later in the same second does not seem to be before the time.
        search = state.search = state.search or BlockSearch(math.floor(state.asked_time.timestamp()))
        # Only among confirmed blocks: the time of a later one may change with a reorganisation.
        while (block := search.next_block(newest - state.confirmations)) is not None:
            try:
                made_at = await reader.block_time(block, usage, limit)
            except AlchemyError as error:
                if not _is_unknown_method(error):
                    raise
                msg = f"the time of a block cannot be asked for on this network: {error.what}"
                advice = (
                    f"Name the first block with since_block instead of since: {ETH_GET_BLOCK_BY_NUMBER.name} is not "
                    "offered there"
                )
                raise AlchemyEndpointGoneError(msg, advice=advice, http_status=error.http_status) from None
            if made_at is None:
                return False  # a node that is behind: the next poll may reach another one
            search.add(block, made_at.timestamp())
            state.failures = 0
        if search.found is None:
            return False
        self._begin_at(search.found, wait)
        return True

    def _begin_at(self, block: int, wait: Wait) -> None:
        state = self.state
        state.since_block = state.next_block = block
        state.search = None
        tokens = plural(state.min_tokens, "new token")
        confirmations = describe_confirmations(state.confirmations, state.network)
        words = "%s: waiting for %s from block %s on; a block counts once it is followed by %s"
        wait.log.info(words, wait.subject, tokens, f"{block:,}", confirmations)


def _is_unknown_method(error: AlchemyError) -> bool:
    """Whether the API does not have a method; nodes that are not Alchemy's say so in words of their own."""
    if isinstance(error, AlchemyEndpointGoneError) or is_not_offered(error):
        return True
    is_refusal = isinstance(error, AlchemyRequestError | AlchemyUnexpectedAnswerError)
    return is_refusal and error.http_status is not None and "method" in error.what.lower()
