# SPDX-License-Identifier: Apache-2.0
"""
The refresh of a collection on an event loop: pages, refreshes and proofs overlap, within the account's throughput.

Nothing grows with the collection but what is still open of it. What the answers mean is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pendulum

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.collection_log import CollectionLog
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage
from airflow_provider_alchemy.api.endpoints import REFRESHING_NETWORKS
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.keeping import Keeper
from airflow_provider_alchemy.api.token_calling import RefreshPlan, TokenCaller
from airflow_provider_alchemy.api.token_source import TokenSource

FEWEST_CALLS, MOST_CALLS = 2, 16
"""Calls under way at once. At a tenth of a second for an answer, 16 refresh 16,000 tokens a second."""

TOKENS_PER_CALL_UNDER_WAY = 1_000
"""What is under way when a worker is killed is asked for again: a tenth of 2,000 tokens or more."""

CALLS_FOR_ANY_NUMBER = 6
"""Calls under way where nobody knows how many tokens there are."""


class CollectionRun:
    """
    Refreshes the tokens of a collection until all are settled, or the next try has to wait.

    :param client: Whose account, and the way to it.
    :param record: How far it is; changed while it runs.
    :param given: The ids that were given; None: the collection is listed.
    :param plan: How it is refreshed.
    :param log: Tells people how far it is.
    """

    def __init__(
        self,
        client: AsyncAlchemyClient,
        record: CollectionRecord,
        given: Sequence[int] | None,
        plan: RefreshPlan,
        log: CollectionLog,
    ) -> None:
        self._record = record
        self._plan = plan
        self._log = log
        self._keeper = Keeper(record.to_dict, plan.keep)
        self._caller = TokenCaller(client, record, plan, log)
        self._source = TokenSource(record, given, client.settings, self._caller.ask_for_page)
        self._changed = asyncio.Condition()
        self._error: AlchemyError | None = None

    async def until_pause(self) -> float | None:
        """
        Go through the stages that are due.

        :return: Seconds until the next stage is due; None: all tokens are settled.
        :raises AlchemyError: What concerns all of them: a refused key, a used-up quota, a service that is down.
        """
        record, plan = self._record, self._plan
        can_queue = record.method is Method.AUTO and record.network in REFRESHING_NETWORKS
        while record.stage is not Stage.DONE:
            now = pendulum.now("UTC").timestamp()
            if record.next_at > now:
                return record.next_at - now
            await self._go_through()
            now = pendulum.now("UTC").timestamp()
            record.end_stage(now, plan.token_attempts, plan.interval_seconds, can_queue=can_queue)
            await self._keeper.kept()
            self._log.say_the_stage(record, now)
        return None

    async def _go_through(self) -> None:
        supply = self._record.supply
        calls = CALLS_FOR_ANY_NUMBER
        if supply is not None:
            calls = min(max(supply // TOKENS_PER_CALL_UNDER_WAY, FEWEST_CALLS), MOST_CALLS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_error(self._take_on()))
            for _ in range(calls):
                group.create_task(self._until_error(self._work()))
        if self._error is not None:
            await self._keeper.kept()
            raise self._error

    async def _until_error(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except AlchemyError as error:
            # Calls that are under way are billed: they end, and their answers count.
            self._error = self._error or error
            await self._tell_the_others()

    async def _take_on(self) -> None:
        while not self._record.is_taken:
            await self._until(lambda: self._source.has_room)
            if self._error is not None:
                return
            await self._source.take_on_more()
            await self._tell_the_others()

    async def _work(self) -> None:
        record = self._record
        while True:
            await self._until(lambda: record.is_taken or record.has_chunk())
            queues = record.stage is Stage.QUEUE
            now = pendulum.now("UTC").timestamp() if queues else None
            chunk = None if self._error is not None else record.take(now=now)
            if chunk is None:
                return
            await self._tell_the_others()
            if queues:
                # The service does not queue these again for a while: whoever comes after a kill must know of them.
                await self._keeper.kept()
            await self._caller.settle(chunk)
            self._log.say_progress(record)
            # Before the next call: what is under way and not kept is all that a kill can lose.
            await self._keeper.kept()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: is_so() or self._error is not None)

    async def _tell_the_others(self) -> None:
        async with self._changed:
            self._changed.notify_all()
