# SPDX-License-Identifier: Apache-2.0
"""
Where watches have read the chain to, kept with the assets that they speak for (Airflow 3.3's ``asset_state_store``).

The store is behind the triggerer's supervisor and its API: both directions may fail for a while. What cannot be read is
read again until it can, because whoever begins without it begins at the newest block and loses what was before. What
cannot be written is written after the next poll; until then a crash tells some events again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_alchemy.api.chain_cursor import Cursor, Places
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.throttle import backoff_seconds

KEY = "alchemy_chain"

_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class KeptPlaces:
    """
    The places of one watch.

    :param store: ``asset_state_store``, as the triggerer gives it to an event trigger.
    :param slot: What the watch looks for (``slot_of``).
    :param log: Where to say what went wrong.
    """

    def __init__(self, store: Any, slot: str, log: Log) -> None:
        self._assets = _assets_of(store)
        self._slot = slot
        self._log = log
        self._is_out_of_reach = False

    async def read(self, contracts: Iterable[str]) -> Places:
        """
        Read where the watch goes on.

        :param contracts: Its contracts.
        :return: The next block of each contract that is known. Where several assets know it: the earliest.
        """
        known: Places = {}
        for asset in self._assets:
            cursor = Cursor.read(await self._read_patiently(asset))
            for contract, place in cursor.places_of(self._slot, contracts).items():
                known[contract] = min(place, known.get(contract, place))
        return known

    async def write(self, places: Mapping[str, int]) -> bool:
        """
        Keep how far the watch has read.

        :param places: The next block of each contract.
        :return: Whether that could be done; a failure is logged, once until it works again.
        """
        # Several watches may speak for the same asset: each reads what the others have written and adds its own.
        lock = _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        try:
            async with lock:
                for asset in self._assets:
                    cursor = Cursor.read(await asset.aget(KEY))
                    cursor.put(self._slot, places)
                    await asset.aset(KEY, cursor.to_json())
        except Exception as error:  # noqa: BLE001 - the events are stored; only a crash now would tell them again
            if not self._is_out_of_reach:
                self._log.warning(
                    "Could not keep how far the chain was read (%s); a restart now would tell some events again: %s",
                    self._slot,
                    error,
                )
            self._is_out_of_reach = True
        else:
            self._is_out_of_reach = False
        return not self._is_out_of_reach

    async def _read_patiently(self, asset: Any) -> Any:
        failures = 0
        while True:
            try:
                return await asset.aget(KEY)
            except Exception as error:  # noqa: BLE001 - whatever it is, to begin without the place would lose events
                failures += 1
                delay = backoff_seconds(failures)
                self._log.warning(
                    "Could not read how far the chain was read (%s); trying again in %.0f s: %s",
                    self._slot,
                    delay,
                    error,
                )
                await asyncio.sleep(delay)


def _assets_of(store: Any) -> tuple[Any, ...]:
    """Give the store of each asset: the public face names one only where there is one, and cannot be listed."""
    by_name, by_uri = getattr(store, "_by_name", None), getattr(store, "_by_uri", None)
    if by_name is None and by_uri is None:
        return (store,)
    return (*(by_name or {}).values(), *(by_uri or {}).values())
