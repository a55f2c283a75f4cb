# SPDX-License-Identifier: Apache-2.0
"""
The streams of an event loop: one for each connection and network, shared by all who watch the chain through it.

A stream serves those whose finds are handed over one by one (Airflow's shared streams, which tell when an event is
stored) by a queue that they have in common.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.chain_stream import LogStream
from airflow_provider_alchemy.api.chain_watch import Find
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.hooks.polling import shared_poller

T = TypeVar("T")

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
            lambda: _open_poller(alchemy_conn_id, network),
            f"connection {alchemy_conn_id!r}",
            LOG,
            self.break_off,
        )
        self.users = 0
        self.is_broken = False

    def deliver(self, find: Find) -> None:
        """
        Queue what a watch is told.

        :param find: What was found.
        """
        self.finds.put_nowait(find)

    def break_off(self, error: BaseException) -> None:
        """
        End all who use the hub with an error that is a bug, as a trigger ends that breaks.

        :param error: The error, for whoever takes from the queue.
        """
        self.is_broken = True
        self.finds.put_nowait(error)

    def in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """
        Do something beside the caller, who does not wait for it: it ends like all others if that fails.

        :param work: What to do.
        :return: The task.
        """
        task = asyncio.create_task(work)
        task.add_done_callback(self._background_ended)
        return task

    def _background_ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.is_broken:
            self.break_off(error)

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


@asynccontextmanager
async def _open_poller(alchemy_conn_id: str, network: str | None) -> AsyncIterator[RefreshPoller]:
    """Open the way to the API; where Airflow cannot give the connection for now, that is to be mended there."""
    opening = shared_poller(alchemy_conn_id, network)
    try:
        poller = await opening.__aenter__()
    except AlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - each backend of secrets has errors of its own
        # Not its text: a backend may quote what it read.
        msg = f"connection {alchemy_conn_id!r} could not be read ({type(error).__name__})"
        raise AlchemyConfigurationError(msg, advice="Check Airflow's API server and secrets backends") from None
    try:
        yield poller
    finally:
        await opening.__aexit__(None, None, None)


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
    hub = hubs.get(name)
    if hub is None or hub.is_broken:
        # The users of a broken one end, but not at once: whoever begins meanwhile would wait for it for ever.
        hub = hubs[name] = ChainHub(*name)
    hub.users += 1
    try:
        yield hub
    finally:
        hub.users -= 1
        if not hub.users:
            # First out of the list: nobody may begin to use it while it closes.
            if hubs.get(name) is hub:
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
