# SPDX-License-Identifier: Apache-2.0
"""
Events of the chain that start DAGs: metadata that changed, tokens that were minted.

The triggerer runs one poll for all watchers of a connection and network (Airflow 3.3), and keeps how far each has read
with the asset that it speaks for.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow import __version__ as airflow_version
from airflow.triggers.base import TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import (
    CONTRACTS_ARGUMENT,
    CONTRACTS_EXPECTED,
    read_block,
    read_confirmations,
    read_connection_id,
    read_contract_address,
    read_items,
    read_network,
)
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.chain.events import EventKind
from airflow_provider_alchemy.chain.networks import default_confirmations, describe_confirmations
from airflow_provider_alchemy.chain.stream import LogStream
from airflow_provider_alchemy.chain.watch import AssetCursors, Cursor, Update, Watch, slot_of
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID
from airflow_provider_alchemy.hooks.shared import open_stream

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger
    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer
else:
    try:
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:
        # Airflow 2.11 knows no asset watchers: there a trigger can only be run by a task.
        from airflow.triggers.base import BaseTrigger as BaseEventTrigger
    try:
        from airflow.triggers.shared_stream import SharedStreamProducer
    except ImportError:
        # Airflow before 3.3 shares no streams, and never asks for a producer.
        SharedStreamProducer = object

LOG = logging.getLogger(__name__)

DEFAULT_POLL_INTERVAL_SECONDS = 15.0
MIN_POLL_INTERVAL_SECONDS = 0.1
"""A poll costs units: two are not meant to follow each other without a pause."""

CURSOR_KEY = "alchemy_chain"
"""The key of a watcher's cursor among what Airflow keeps with its asset."""


class MetadataUpdateTrigger(BaseEventTrigger):
    """
    Fire when contracts announce on the chain that metadata changed, or that tokens were minted: for ``AssetWatcher``.

    Changed metadata is what ERC-4906 (``MetadataUpdate``, ``BatchMetadataUpdate``) and ERC-1155 (``URI``) announce, a
    mint is an event that comes from the zero address: ``Transfer`` of ERC-721, ``TransferSingle`` and ``TransferBatch``
    of ERC-1155, ``ConsecutiveTransfer`` of ERC-2309. What a contract announced since the last poll is one event.
    On Airflow 3.3 all watchers of a connection and network in a triggerer share one poll (10 compute units for the
    newest block, 60 for the logs), and how far each has read is kept with its asset: after a restart or a day of
    downtime no event is missing, and one that is emitted again has the same ``event_ids``. Before 3.3 each watcher
    polls for itself, and begins at the newest block after each restart.

    Its arguments go through the metadata database and are readable there: no key among them.

    :param contract_addresses: The contracts, 0x and 40 hexadecimal digits each; mixed case must pass EIP-55. Where each
        announcement is to start a DAG, watch each contract for an asset of its own: on Airflow 3.3 events of one asset
        that come together wait for the next one (apache/airflow#56050), and all watchers share a poll anyway. On 3.4
        each event starts a run of its own by default.
    :param network: The network's slug; default: the connection's.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param events: What to watch for: ``"metadata"``, ``"mint"`` or both. Default: metadata.
    :param confirmations: Blocks that must follow a block before it counts; what a reorganisation removes before is
        never reported. Default: by the network's block time, a minute of blocks and 12 at least (12 on Ethereum, 30 on
        Base, 240 on Arbitrum, 60 on a network whose block time is not known); the log names the number. A node that is
        behind answers that a block it does not have yet holds nothing: fewer blocks than that may lose events.
    :param poll_interval: Seconds between two polls. Default 15, a little more than a block of Ethereum. Watchers that
        share a poll are all served at the shortest of their intervals.
    :param start_block: Where the first start begins; default: at the newest block. A later start goes on where the
        last one stopped.
    :param queue: The triggerers that run it: those that were started with ``--queues`` and this name (Airflow 3.4).
        Default: those without.
    :raises AlchemyArgumentError: An argument cannot be right; where the DAG is parsed.
    """

    def __init__(
        self,
        contract_addresses: Iterable[str],
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        events: Iterable[str] = (EventKind.METADATA.value,),
        confirmations: int | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL_SECONDS,
        start_block: int | None = None,
        queue: str | None = None,
    ) -> None:
        # Airflow's trigger base is not typed.
        super().__init__(**_read_queue(queue))  # type: ignore[no-untyped-call, unused-ignore]
        # In one form, whatever the author wrote: Airflow runs watchers with equal arguments as one trigger.
        self.contract_addresses = _read_contracts(contract_addresses)
        self.network = None if network is None else read_network(network)
        self.alchemy_conn_id = read_connection_id(alchemy_conn_id)
        self.events = _read_events(events)
        self.confirmations = None if confirmations is None else read_confirmations(confirmations)
        self.poll_interval = _read_interval(poll_interval)
        self.start_block = read_block(start_block, "start_block")
        self.queue = queue

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        arguments = {name: getattr(self, name) for name in signature(MetadataUpdateTrigger).parameters}
        if self.queue is None:
            # Airflow before 3.4 has none.
            del arguments["queue"]
        return path, arguments

    def shared_stream_key(self) -> Hashable:
        """Name the poll that all watchers of a connection and network share (Airflow 3.3)."""
        return "alchemy_chain", self.alchemy_conn_id, self.network

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Build what Airflow polls for all watchers that share a stream."""
        return _Producer(kwargs["alchemy_conn_id"], kwargs["network"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Make events of the updates of the shared poll that are this watcher's."""
        async with open_stream(self.alchemy_conn_id, self.network, is_shared=True) as stream:
            # Meanwhile others' updates come: as long as one watcher does not take them, no other's cursor is saved.
            beginning = stream.create_task(self._begin(stream))
            try:
                async for update in shared_stream:
                    if beginning.done() and update.watch is beginning.result():
                        for event in _events_of(update):
                            yield event
                        # Airflow asks for the next update after it took the last event of this one.
                        update.is_emitted = True
            finally:
                if not beginning.done():
                    beginning.cancel()
                elif not beginning.cancelled() and beginning.exception() is None:
                    stream.leave(beginning.result())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Watch without sharing a poll with others: what Airflow before 3.3 calls.

        :return: One event for each contract and poll. Its payload: ``network, contract_address, events, ids`` (of
            tokens; None where there are more than 1,000), ``first_id, last_id, id_count, minted, first_block,
            last_block, block_numbers, transaction_hashes, transaction_count, event_ids, event_count``.
        """
        async with open_stream(self.alchemy_conn_id, self.network, is_shared=False) as stream:
            watch = await self._begin(stream)
            while True:
                update = await stream.next_update()
                for event in _events_of(update):
                    yield event
                await watch.save(update.cursor)

    async def _begin(self, stream: LogStream) -> Watch:
        network = await stream.network()
        confirmations = default_confirmations(network) if self.confirmations is None else self.confirmations
        slot = slot_of(network, self.events, confirmations)
        store = getattr(self, "asset_state_store", None)
        cursors = _CursorStore(store, slot)
        if store is None:
            LOG.warning(
                "Airflow %s keeps no cursor for this watcher of %s contracts (watchers of assets have a store, and "
                "share a poll, from 3.3 on): it begins at %s after each restart, and what happens meanwhile is %s",
                airflow_version,
                f"{len(self.contract_addresses):,}",
                "the newest block" if self.start_block is None else f"block {self.start_block:,}",
                "missed" if self.start_block is None else "emitted again",
            )
        watch = Watch(
            self.contract_addresses,
            map(EventKind, self.events),
            save=cursors.save,
            confirmations=confirmations,
            poll_interval_seconds=self.poll_interval,
            cursor=await cursors.load(self.contract_addresses),
            start_block=self.start_block,
        )
        LOG.info(
            "Watching %s contracts on %s: a block counts once it is followed by %s",
            f"{len(self.contract_addresses):,}",
            network,
            describe_confirmations(confirmations, network),
        )
        stream.join(watch)
        return watch


def _read_contracts(value: Any) -> list[str]:
    items = read_items(value, CONTRACTS_ARGUMENT, CONTRACTS_EXPECTED)
    contracts = {read_contract_address(item, f"{CONTRACTS_ARGUMENT}[{at}]") for at, item in enumerate(items)}
    if not contracts:
        msg = f"argument {CONTRACTS_ARGUMENT!r} is empty; {CONTRACTS_EXPECTED}"
        raise AlchemyArgumentError(msg)
    return sorted(contracts)


def _read_events(value: Any) -> list[str]:
    known = [kind.value for kind in EventKind]
    values = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    if not values or any(one not in known for one in values):
        msg = f"argument 'events' is {value!r}; expected {' or '.join(map(repr, known))}, or both"
        raise AlchemyArgumentError(msg)
    return sorted(set(values))


def _read_queue(value: Any) -> dict[str, str]:
    """Check a queue; give it as an argument of Airflow's base, which takes one from 3.4 on."""
    if value is None:
        return {}
    if not isinstance(value, str) or not value:
        msg = f"argument 'queue' is {value!r}; expected the name of a triggerer's queue"
        raise AlchemyArgumentError(msg)
    if "queue" not in signature(BaseEventTrigger.__init__).parameters:
        msg = f"argument 'queue' is {value!r}, and Airflow {airflow_version} gives watchers no queue"
        raise AlchemyArgumentError(msg, advice="Leave it out, or use Airflow 3.4 or newer")
    return {"queue": value}


def _read_interval(value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not is_number or seconds < MIN_POLL_INTERVAL_SECONDS:
        msg = f"argument 'poll_interval' is {value!r}; expected a number of seconds from {MIN_POLL_INTERVAL_SECONDS}"
        raise AlchemyArgumentError(msg)
    return float(seconds)


def _events_of(update: Update) -> Iterator[TriggerEvent]:
    for payload in update.payloads:
        LOG.info(
            "Contract %(contract_address)s on %(network)s announced %(events)s in blocks %(first_block)d to "
            "%(last_block)d (logs: %(event_count)d)",
            payload | {"events": " and ".join(payload["events"])},
        )
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed


class _Producer(SharedStreamProducer):
    """
    The chain as one of Airflow's shared streams, in the mode in which Airflow reports what is stored.

    Each update goes to every watcher of the stream, and the one that it is for makes events of it. When these are
    stored in the metadata database, Airflow calls ``advance``, and only then the watch's cursor is saved. So a
    triggerer that is killed at any time emits again at most what was on the way to the database, and loses nothing.
    """

    def __init__(self, alchemy_conn_id: str, network: str | None) -> None:
        self._name = (alchemy_conn_id, network)

    async def open_stream(self) -> AsyncIterator[tuple[Update, Update]]:
        """Give each update twice: as the event, and as what ``advance`` needs to know of it."""
        async with open_stream(*self._name, is_shared=True) as stream:
            while True:
                update = await stream.next_update()
                yield update, update
                # Each watcher has a queue that holds so many updates: let them take this one first.
                await asyncio.sleep(0)

    def get_advance_lane(self, broker_payload: Any) -> Hashable:
        """Let no watch wait for another one's events to be stored."""
        return id(broker_payload.watch)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Save the cursor of a watch whose events are stored: the updates of one watch, in order."""
        # An update whose watcher left before it could emit it is "acked" by the others, who have no use for it.
        emitted: list[AdvanceItem] = [item for item in batch if item.broker_payload.is_emitted]
        stored: list[Update] = [item.broker_payload for item in emitted if item.outcome.is_clean]
        if stored:
            await stored[-1].watch.save(stored[-1].cursor)
        if emitted and not emitted[-1].outcome.is_clean:
            # It failed for some watcher, and Airflow does not say for which one. The next update shows it: a watcher
            # that failed itself takes none any more.
            emitted[-1].broker_payload.watch.save_again()


_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class _CursorStore:
    """
    The cursor of a watch, kept with the assets that it speaks for (Airflow 3.3's ``asset_state_store``).

    The store is behind the triggerer's supervisor and its API: both directions may fail for a while.
    """

    def __init__(self, store: Any, slot: str) -> None:
        # The public face names an asset only where there is one, and cannot be listed.
        by_name, by_uri = getattr(store, "_by_name", None), getattr(store, "_by_uri", None)
        if by_name is None and by_uri is None:
            self._assets = [] if store is None else [store]
        else:
            self._assets = [*(by_name or {}).values(), *(by_uri or {}).values()]
        self._slot = slot
        self._is_out_of_reach = False

    async def load(self, contracts: Sequence[str]) -> Cursor:
        """Give the next block of each contract that is known; where several assets know it, the earliest."""
        cursor: Cursor = {}
        for asset in self._assets:
            cursors = AssetCursors.from_json(await self._read_until_it_works(asset))
            for contract, block in cursors.cursor_of(self._slot, contracts).items():
                cursor[contract] = min(block, cursor.get(contract, block))
        return cursor

    async def save(self, cursor: Mapping[str, int]) -> bool:
        """Save how far the watch has read; give whether that could be done. Failures in a row are logged once."""
        # Several watches may speak for the same asset: each reads what the others have written and adds its own.
        lock = _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        try:
            async with lock:
                for asset in self._assets:
                    cursors = AssetCursors.from_json(await asset.aget(CURSOR_KEY))
                    cursors.put(self._slot, cursor)
                    await asset.aset(CURSOR_KEY, cursors.to_json())
        except Exception as error:  # noqa: BLE001 - the events are stored; only a crash now would emit them again
            if not self._is_out_of_reach:
                text = "Could not save how far the chain was read (%s); a restart now would emit some events again: %s"
                LOG.warning(text, self._slot, error)
            self._is_out_of_reach = True
            return False
        self._is_out_of_reach = False
        return True

    async def _read_until_it_works(self, asset: Any) -> Any:
        """Read the store: a watch that began without its cursor would begin at the newest block, and lose events."""
        failures = 0
        while True:
            try:
                return await asset.aget(CURSOR_KEY)
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                failures += 1
                delay = backoff_seconds(failures)
                text = "Could not read how far the chain was read (%s); trying again in %.0f s: %s"
                LOG.warning(text, self._slot, delay, error)
                await asyncio.sleep(delay)
