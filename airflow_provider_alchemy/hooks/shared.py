# SPDX-License-Identifier: Apache-2.0
"""What the waits and watchers of an event loop share: one poller and one stream for each connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.chain.stream import LogStream
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook, count_calls, count_waits
from airflow_provider_alchemy.waits.poller import Poller

LOG = logging.getLogger(__name__)

_Name = tuple[str, str | None]


@dataclass(slots=True)
class _Reading:
    """A connection that is being read, and how many waits began with it."""

    task: asyncio.Task[ClientSettings]
    joined: int = 0


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Poller]] = WeakKeyDictionary()
_readings: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Name, _Reading]] = WeakKeyDictionary()

SECONDS_BETWEEN_TWO_THAT_BEGIN = 0.0001
"""Twice what it takes to begin: ten thousand waits that begin at once have begun after a second."""


class shared_poller:  # noqa: N801 - used as a context manager, like a function
    """The poller that all waits of a connection share. A class and no generator: thousands are open at once."""

    __slots__ = ("_name", "_poller")

    def __init__(self, alchemy_conn_id: str, network: str | None) -> None:
        self._name = (alchemy_conn_id, network)
        self._poller: Poller

    async def __aenter__(self) -> Poller:
        settings = await _read_settings(self._name)
        pollers = _pollers.setdefault(asyncio.get_running_loop(), [])
        known = next((poller for poller in pollers if poller.settings == settings), None)
        if known is None:
            renew = AlchemyHook(*self._name).aread_settings
            known = Poller(settings, renew=renew, on_call=count_calls)
            pollers.append(known)
        self._poller = known
        known.waits += 1
        count_waits(sum(poller.waits for poller in pollers))
        return known

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pollers = _pollers[asyncio.get_running_loop()]
        self._poller.waits -= 1
        count_waits(sum(poller.waits for poller in pollers))
        if not self._poller.waits:
            # First out of the list: nothing may begin to use it while it closes.
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
    # A wait that is cancelled must not cancel the others' reading.
    settings = await asyncio.shield(reading.task)
    # Thousands that begin with the same reading begin one after the other: together they would hold up the loop.
    await asyncio.sleep(place * SECONDS_BETWEEN_TWO_THAT_BEGIN)
    return settings


@asynccontextmanager
async def _open_poller(alchemy_conn_id: str, network: str | None) -> AsyncIterator[Poller]:
    """Open the way to the API; where Airflow cannot give the connection for now, that is to be repaired there."""
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


_streams: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Name, LogStream]] = WeakKeyDictionary()


@asynccontextmanager
async def open_stream(alchemy_conn_id: str, network: str | None, *, is_shared: bool) -> AsyncIterator[LogStream]:
    """Give the stream of a connection and network; the last one of those who share it ends it."""
    name = (alchemy_conn_id, network)
    streams = _streams.setdefault(asyncio.get_running_loop(), {}) if is_shared else {}
    stream = streams.get(name)
    if stream is None or stream.is_broken:
        # The users of a broken one end, but not at once: what begins meanwhile would never get an update from it.
        stream = streams[name] = LogStream(lambda: _open_poller(*name), f"connection {alchemy_conn_id!r}", LOG)
    stream.users += 1
    try:
        yield stream
    finally:
        stream.users -= 1
        if not stream.users:
            # First out of the list: nothing may begin to use it while it closes.
            if streams.get(name) is stream:
                del streams[name]
            await stream.aclose()


@asynccontextmanager
async def open_poller(settings: ClientSettings) -> AsyncIterator[Poller]:
    poller = Poller(settings, on_call=count_calls)
    try:
        yield poller
    finally:
        await poller.aclose()
