# SPDX-License-Identifier: Apache-2.0
"""
The chain as one of Airflow's shared streams (3.3), in the mode in which Airflow tells what is stored.

Each find goes to every watcher of the stream, and the one that it is for makes events of it. When these are stored in
the metadata database, Airflow calls ``advance``, and only then the watch's place moves. So a triggerer that is killed
at any time tells again at most what was on the way to the database, and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from airflow_provider_alchemy.api.chain_watch import Find
from airflow_provider_alchemy.hooks.shared import shared_hub


class ChainProducer(SharedStreamProducer):
    """
    What Airflow polls for all watchers of a connection and network.

    :param alchemy_conn_id: The connection.
    :param network: The network's slug; None: the connection's.
    """

    def __init__(self, alchemy_conn_id: str, network: str | None) -> None:
        self._name = (alchemy_conn_id, network)

    async def open_stream(self) -> AsyncIterator[tuple[Find, Find]]:
        """
        Give what is found, for as long as anybody watches.

        :return: Each find twice: as the event, and as what ``advance`` needs to know of it.
        """
        async with shared_hub(*self._name) as hub:
            while True:
                find = await hub.next_find()
                yield find, find
                # Each watcher has a queue that holds so many finds: let them take this one first.
                await asyncio.sleep(0)

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Let no watch wait for another one's events to be stored."""
        return id(broker_payload.watch)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Move the place of a watch whose events are stored.

        :param batch: Finds of one watch, in order.
        """
        # A find whose watcher left before it could pass it on is "acked" by the others, who have no use for it.
        told: list[AdvanceItem] = [item for item in batch if item.broker_payload.is_told]
        stored: list[Find] = [item.broker_payload for item in told if item.outcome.is_clean]
        if stored:
            await stored[-1].watch.keep(stored[-1].places)
        if told and not told[-1].outcome.is_clean:
            # It failed for some watcher, and Airflow does not say whose it was. The next find tells: a watcher that
            # failed itself takes none any more.
            told[-1].broker_payload.watch.remind()
