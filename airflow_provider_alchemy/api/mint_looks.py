# SPDX-License-Identifier: Apache-2.0
"""
The calls of a wait for new tokens: the newest block, the search for the first one, and the mints since.

The same in a worker and in the triggerer, which differ in whose session sends them.
"""

from __future__ import annotations

import math
import time

from airflow_provider_alchemy.api.endpoints import ETH_GET_BLOCK_BY_NUMBER, is_not_offered
from airflow_provider_alchemy.api.errors import (
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyRequestError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.looking import LookState, look_in_time
from airflow_provider_alchemy.api.mint_waiting import MintWait
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.chain.block_search import BlockSearch
from airflow_provider_alchemy.chain.events import EventKind
from airflow_provider_alchemy.chain.reader import ChainReader, Sender

SECONDS_OF_LOOK = 60.0
"""How long a look reads on before what it has is kept: a wait that begins far back has hours to read."""


class MintLooks:
    """
    Looks at the chain for one wait; it remembers how much the API lets it ask for at once.

    :param log: Where to warn of logs that do not decode.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._reader: ChainReader | None = None

    async def look(self, sender: Sender, wait: MintWait, usage: Usage) -> float | None:
        """
        Read what was minted since the last look.

        :param sender: Whose account, and the way to it.
        :param wait: The wait; its rules decide what the answers mean.
        :param usage: Counts what it costs, also where it fails.
        :return: Seconds until the next look; None: enough tokens were minted.
        :raises AlchemyError: The wait has failed.
        """
        return await look_in_time(self._read(sender, wait, usage), wait, usage, sender.settings.timeout)

    async def _read(self, sender: Sender, wait: MintWait, usage: Usage) -> None:
        spending_limit = wait.limits.spending_limit()
        reader = self._reader = self._reader or ChainReader(sender, self._log)
        newest = await reader.newest_block(usage, spending_limit)
        # The service has answered: a host that cannot be found from now on is no unknown network.
        wait.record.state = LookState.WAITING.value
        if wait.record.since_block is None and not await self._begin(newest, reader, wait, usage, spending_limit):
            return
        ends_at = time.monotonic() + SECONDS_OF_LOOK
        while (blocks := wait.next_blocks(newest)) is not None:
            contracts, kinds = (wait.record.contract_address,), (EventKind.MINT,)
            last, logs = await reader.read(blocks, contracts, kinds, usage, spending_limit)
            if last < blocks[0]:
                # A node that is behind: the next poll may reach another one.
                wait.record.is_behind, wait.record.failures = False, 0
                return
            wait.saw(last, logs)
            if time.monotonic() >= ends_at:
                # What is left is for the next look; where that is nothing, this asks for no block.
                wait.next_blocks(newest)
                return

    async def _begin(
        self, newest: int, reader: ChainReader, wait: MintWait, usage: Usage, spending_limit: SpendingLimit
    ) -> bool:
        """Settle where the reading begins; give whether it is known."""
        record = wait.record
        asked = read_moment(record.asked_moment)
        if record.asked_block is not None or asked is None:
            wait.begin_at(newest if record.asked_block is None else record.asked_block)
            return True
        # Blocks tell whole seconds: one that was made later in the same second does not seem to be before the moment.
        search = record.search = record.search or BlockSearch(math.floor(asked.timestamp()))
        # Only among blocks that count: the time of a later one may change with a reorganisation.
        while (block := search.next_block(newest - wait.confirmations)) is not None:
            moment = await self._time_of(block, reader, wait, usage, spending_limit)
            if moment is None:
                # A node that is behind: the next look may reach another one.
                return False
            search.add(block, moment)
            record.failures = 0
        if search.found is None:
            return False
        wait.begin_at(search.found)
        return True

    async def _time_of(
        self, block: int, reader: ChainReader, wait: MintWait, usage: Usage, spending_limit: SpendingLimit
    ) -> float | None:
        try:
            made_at = await reader.block_time(block, usage, spending_limit)
        except AlchemyError as error:
            if not _is_unknown_method(error):
                raise
            msg = f"the time of a block cannot be asked for on this network: {error.what}"
            advice = (
                f"Name the first block with since_block instead of since: {ETH_GET_BLOCK_BY_NUMBER.name} is not "
                "offered there"
            )
            raise AlchemyEndpointGoneError(
                msg, subject=wait.subject, advice=advice, http_status=error.http_status
            ) from None
        return None if made_at is None else made_at.timestamp()


def _is_unknown_method(error: AlchemyError) -> bool:
    """Whether the API does not have a method; nodes that are not Alchemy's say so in words of their own."""
    if isinstance(error, AlchemyEndpointGoneError) or is_not_offered(error):
        return True
    is_refusal = isinstance(error, AlchemyRequestError | AlchemyUnexpectedAnswerError)
    return is_refusal and error.http_status is not None and "method" in error.what.lower()
