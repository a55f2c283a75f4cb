# SPDX-License-Identifier: Apache-2.0
"""What the waits and watchers of an event loop share: one poller and one stream for each connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook, count_calls, count_waits, counting_calls

if TYPE_CHECKING:
    from airflow_provider_alchemy.api.settings import ClientSettings


import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from airflow_provider_alchemy.api.chain_stream import LogStream
from airflow_provider_alchemy.api.chain_watch import Find
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.loop_thread import run_beside
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit

T = TypeVar("T")


LOG = logging.getLogger(__name__)

_Name = tuple[str, str | None]


@dataclass(slots=True)
class _Reading:
    """A connection that is being read, and how many waits began with it."""

    task: asyncio.Task[ClientSettings]
    joined: int = 0


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[RefreshPoller]] = WeakKeyDictionary()
_readings: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Name, _Reading]] = WeakKeyDictionary()

SECONDS_BETWEEN_TWO_THAT_BEGIN = 0.0001
"""Twice what it takes to begin: ten thousand waits that begin at once have begun after a second."""


class shared_poller:  # noqa: N801 - used as a context manager, like a function
    """
    The poller of a connection in the running event loop, for as long as the context is open.

    It is the one that other waits of the same connection use, unless the connection has changed since. A class and no
    generator: thousands of them are open at once.

    :param alchemy_conn_id: The connection.
    :param network: The network's slug; None: the connection's.
    :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
    """

    __slots__ = ("_name", "_poller")

    def __init__(self, alchemy_conn_id: str, network: str | None) -> None:
        self._name = (alchemy_conn_id, network)
        self._poller: RefreshPoller

    async def __aenter__(self) -> RefreshPoller:
        settings = await _read_settings(self._name)
        pollers = _pollers.setdefault(asyncio.get_running_loop(), [])
        known = next((poller for poller in pollers if poller.settings == settings), None)
        if known is None:
            renew = AlchemyHook(*self._name).aread_settings
            known = RefreshPoller(settings, renew=renew, on_call=count_calls)
            pollers.append(known)
        self._poller = known
        known.waits += 1
        count_waits(_waits(pollers))
        return known

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pollers = _pollers[asyncio.get_running_loop()]
        self._poller.waits -= 1
        count_waits(_waits(pollers))
        if not self._poller.waits:
            # First out of the list: nobody may begin to use it while it closes.
            pollers.remove(self._poller)
            await self._poller.aclose()


async def _read_settings(name: _Name) -> ClientSettings:
    readings = _readings.setdefault(asyncio.get_running_loop(), {})
    reading = readings.get(name)
    if reading is None:
        reading = readings[name] = _Reading(asyncio.create_task(AlchemyHook(*name).aread_settings()))
        reading.task.add_done_callback(lambda _: readings.pop(name))
    reading.joined += 1
    place = reading.joined
    # Whoever is cancelled must not take the others' reading with it.
    settings = await asyncio.shield(reading.task)
    # Thousands that begin with the same reading begin one after the other: together they would hold up the loop.
    await asyncio.sleep(place * SECONDS_BETWEEN_TWO_THAT_BEGIN)
    return settings


def _waits(pollers: list[RefreshPoller]) -> int:
    return sum(poller.waits for poller in pollers)


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


class WorkerCalls:
    """
    Runs coroutines one after the other, and sends their calls.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._client: AsyncAlchemyClient

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine to its end.

        :param work: The coroutine.
        :return: What it returns; what it raises is raised, and so is what a signal raises meanwhile.
        """

        async def with_client() -> T:
            async with AsyncAlchemyClient(self.settings) as self._client:
                return await work

        return run_beside(with_client)

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit,
        retries_unexpected: bool = False,
    ) -> T:
        """Make a call, as ``AsyncAlchemyClient.send`` does; what it costs goes to Airflow's statistics too."""
        with counting_calls(usage) as spent:
            return await self._client.send(
                call,
                usage=spent,
                max_attempts=max_attempts,
                spending_limit=spending_limit,
                retries_unexpected=retries_unexpected,
            )
