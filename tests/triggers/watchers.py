# SPDX-License-Identifier: Apache-2.0
"""Watchers as a triggerer runs them: Airflow's own manager of shared streams, and a store that outlives a crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY, MetadataUpdateTrigger
from tests.chain.scenes import contract

shares_streams = pytest.mark.skipif(
    find_spec("airflow.triggers.shared_stream") is None, reason="Airflow shares streams from 3.3 on"
)


class Store:
    """A stand-in for the store of one asset: JSON in, JSON out, and out of reach where a test wants it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failing_reads = 0
        self.failing_writes = 0
        self.reads = 0
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def aget(self, key: str, default: Any = None) -> Any:
        await self.may_read.wait()
        self.reads += 1
        if self.failing_reads:
            self.failing_reads -= 1
            msg = "API server out of reach"
            raise ConnectionError(msg)
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        await asyncio.sleep(0)
        if self.failing_writes:
            self.failing_writes -= 1
            msg = "API server out of reach"
            raise ConnectionError(msg)
        self.values[key] = json.dumps(value)

    @property
    def next_block(self) -> int:
        """The first block that a watch of the asset would read after a restart; 0: nothing is kept."""
        slots = json.loads(self.values.get(CURSOR_KEY, "{}")).get("slots", {})
        return min((int(block) for places in slots.values() for block in places), default=0)


class Triggerer:
    """
    What Airflow's triggerer does with watchers: subscribe, bind each event, tell when it is stored.

    :param stores_events: Whether each event is stored at once; else ``confirm`` says when.
    """

    def __init__(self, *, stores_events: bool = True, **manager: Any) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager  # noqa: PLC0415 - not there before 3.3

        self.manager = SharedStreamManager(**manager)
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.unconfirmed: list[tuple[int, list[str]]] = []
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self._stores_events = stores_events
        self._gates: dict[int, asyncio.Event] = {}

    def start(self, number: int, trigger: MetadataUpdateTrigger, store: Any, gate: asyncio.Event | None = None) -> None:
        """Start a watcher; after its first event it waits for the gate, as for a log that is slow to be written."""
        trigger.asset_state_store = store
        if gate is not None:
            self._gates[number] = gate
        self.tasks[number] = asyncio.create_task(self._run(number, trigger))

    async def _run(self, number: int, trigger: MetadataUpdateTrigger) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                if number in self._gates:
                    await self._gates[number].wait()
                seq = self.manager.bind_pending_event(trigger_id=number, key=key)
                self.events.append((number, event.payload))
                if seq is not None:
                    self.unconfirmed.append((seq, event.payload["event_ids"]))
                if self._stores_events:
                    asyncio.get_running_loop().call_soon(self.confirm)
        finally:
            await self.manager.unsubscribe(number, key)

    def confirm(self, count: int | None = None) -> None:
        """Tell that events are stored: the first ones that are not yet, or all."""
        stored, self.unconfirmed = self.unconfirmed[:count], self.unconfirmed[len(self.unconfirmed[:count]) :]
        self.manager.confirm_persisted([seq for seq, _ in stored])

    def is_settled(self) -> bool:
        """Whether nothing that is stored and passed on waits for its place to be kept."""
        return all(entry.pending for group in self.manager._groups.values() for entry in group._outstanding.values())

    def is_waited_for_only_by(self, number: int) -> bool:
        """Whether one watcher alone has not yet dealt with what was passed on."""
        entries = [entry for group in self.manager._groups.values() for entry in group._outstanding.values()]
        return bool(entries) and all(entry.pending == {number} for entry in entries)

    async def stop(self, *numbers: int) -> None:
        """Cancel watchers, by default all; what is not confirmed by then is not stored."""
        tasks = [self.tasks.pop(number) for number in (numbers or tuple(self.tasks))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ids(self, number: int | None = None) -> list[str]:
        """Give the ids of what was told, of one watcher or of all."""
        told = [payload for one, payload in self.events if number in {None, one}]
        return [event_id for payload in told for event_id in payload["event_ids"]]

    def fired(self, number: int) -> Callable[[], object]:
        """Give the condition that a watcher has told something."""
        return lambda: self.ids(number)


def watcher(*numbers: int, **arguments: Any) -> MetadataUpdateTrigger:
    usual = {"poll_interval": 0.1, "confirmations": 2, "events": ["metadata", "mint"]}
    return MetadataUpdateTrigger([contract(number) for number in numbers or (1,)], **{**usual, **arguments})


def ids_of(emulator: AlchemyEmulator, numbers: Iterable[int]) -> list[str]:
    contracts = {contract(number) for number in numbers}
    return [log.id for log in emulator.chain_logs() if log.contract_address in contracts]
