# SPDX-License-Identifier: Apache-2.0
"""
The pollers of an event loop: one for each connection, shared by all triggers that use it, closed by the last one.

A connection is read when waits begin, once for all that begin together, so that a change of it reaches those that
start later. Nothing is read for a poll.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.metrics import count_calls, count_waits

if TYPE_CHECKING:
    from airflow_provider_alchemy.api.settings import ClientSettings

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
