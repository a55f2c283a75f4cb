# SPDX-License-Identifier: Apache-2.0
"""
The streams of an event loop: one for each connection and network, shared by all who watch the chain through it.

A stream serves those whose finds are handed over one by one (Airflow's shared streams, which tell when an event is
stored) by a queue that they have in common.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.chain_stream import LogStream
from airflow_provider_alchemy.api.chain_watch import Find
from airflow_provider_alchemy.hooks.polling import shared_poller

LOG = logging.getLogger(__name__)

_Name = tuple[str, str | None]


class ChainHub:
    """
    A stream, and the queue of what it found.

    :param alchemy_conn_id: The connection.
    :param network: The network's slug; None: the connection's.
    """

    def __init__(self, alchemy_conn_id: str, network: str | None) -> None:
        self.finds: asyncio.Queue[Find | BaseException] = asyncio.Queue()
        self.stream = LogStream(
            lambda: shared_poller(alchemy_conn_id, network),
            f"connection {alchemy_conn_id!r}",
            LOG,
            # Whoever takes from the queue ends with the error, as a trigger does that breaks.
            self.finds.put_nowait,
        )
        self.users = 0

    def deliver(self, find: Find) -> None:
        """
        Queue what a watch is told.

        :param find: What was found.
        """
        self.finds.put_nowait(find)

    async def next_find(self) -> Find:
        """
        Wait for the next thing that is told.

        :return: What was found.
        :raises BaseException: The stream broke: a bug.
        """
        find = await self.finds.get()
        if isinstance(find, BaseException):
            raise find
        return find


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Name, ChainHub]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_hub(alchemy_conn_id: str, network: str | None) -> AsyncIterator[ChainHub]:
    """
    Give the hub that all users of a connection and network in the running event loop share; the last one closes it.

    :param alchemy_conn_id: The connection.
    :param network: The network's slug; None: the connection's.
    :return: The hub, while the context is open.
    """
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    name = (alchemy_conn_id, network)
    if name not in hubs:
        hubs[name] = ChainHub(*name)
    hub = hubs[name]
    hub.users += 1
    try:
        yield hub
    finally:
        hub.users -= 1
        if not hub.users:
            # First out of the list: nobody may begin to use it while it closes.
            del hubs[name]
            await hub.stream.aclose()


@asynccontextmanager
async def own_hub(alchemy_conn_id: str, network: str | None) -> AsyncIterator[ChainHub]:
    """
    Give a hub that nobody else uses.

    :param alchemy_conn_id: The connection.
    :param network: The network's slug; None: the connection's.
    :return: The hub, while the context is open.
    """
    hub = ChainHub(alchemy_conn_id, network)
    try:
        yield hub
    finally:
        await hub.stream.aclose()
