# SPDX-License-Identifier: Apache-2.0
"""
Events of the chain that start DAGs: metadata that changed, tokens that were minted.

The triggerer runs one poll for all watchers of a connection and network (Airflow 3.3), and keeps how far each has read
with the asset that it speaks for.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.triggers.base import TriggerEvent

from airflow_provider_alchemy.api.chain_arguments import (
    read_block,
    read_confirmations,
    read_contracts,
    read_events,
    read_interval,
)
from airflow_provider_alchemy.api.chain_cursor import slot_of
from airflow_provider_alchemy.api.chain_events import EventKind
from airflow_provider_alchemy.api.chain_watch import DEFAULT_CONFIRMATIONS, Find, Watch
from airflow_provider_alchemy.api.inputs import read_network
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.hooks.shared import ChainHub, own_hub, shared_hub
from airflow_provider_alchemy.triggers.chain_places import KeptPlaces

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger
    from airflow.triggers.shared_stream import SharedStreamProducer
else:
    try:
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:
        # Airflow 2.11 knows no asset watchers: there a trigger can only be run by a task.
        from airflow.triggers.base import BaseTrigger as BaseEventTrigger

LOG = logging.getLogger(__name__)

DEFAULT_POLL_INTERVAL_SECONDS = 15.0

_ARGUMENTS = (
    "contract_addresses",
    "network",
    "alchemy_conn_id",
    "events",
    "confirmations",
    "poll_interval",
    "start_block",
)


class MetadataUpdateTrigger(BaseEventTrigger):
    """
    Fire when contracts announce on the chain that metadata changed, or that tokens were minted: for ``AssetWatcher``.

    Changed metadata is what ERC-4906 (``MetadataUpdate``, ``BatchMetadataUpdate``) and ERC-1155 (``URI``) announce, a
    mint is a ``Transfer`` of ERC-721 from the zero address. What a contract announced since the last poll is one event.
    On Airflow 3.3 all watchers of a connection and network in a triggerer share one poll (10 compute units for the
    newest block, 75 for the logs), and the place that each has read to is kept with its asset: after a restart or a
    day of downtime no event is missing, and one that is told again has the same ``event_ids``. Before 3.3 each watcher
    polls for itself, and begins at the newest block after each restart.

    Its arguments go through the metadata database and are readable there: no key among them.

    :param contract_addresses: The contracts, 0x and 40 hexadecimal digits each; mixed case must pass EIP-55. Where each
        announcement is to start a DAG, watch each contract for an asset of its own: events of one asset that come
        together wait for the next one on Airflow 3.3.2 (apache/airflow#56050), and all watchers share a poll anyway.
    :param network: The network's slug; default: the connection's.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param events: What to look for: ``"metadata"``, ``"mint"`` or both. Default: metadata.
    :param confirmations: Blocks that must follow a block before it counts; what a reorganisation removes before is
        never told. Default 12, some two and a half minutes of Ethereum. Nodes of a service are now and then some blocks
        behind one another, and one that does not have a block yet says that it holds nothing: fewer blocks than that
        may lose events.
    :param poll_interval: Seconds between two polls. Default 15, a little more than a block of Ethereum. Watchers that
        share a poll are all served at the shortest of their intervals.
    :param start_block: Where the first start begins; default: at the newest block. A later start goes on where the
        last one stopped.
    :raises AlchemyArgumentError: An argument cannot be right; where the DAG is parsed.
    """

    def __init__(
        self,
        contract_addresses: Iterable[str],
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        events: Iterable[str] = (EventKind.METADATA.value,),
        confirmations: int = DEFAULT_CONFIRMATIONS,
        poll_interval: float = DEFAULT_POLL_INTERVAL_SECONDS,
        start_block: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        # In one form, whatever the author wrote: Airflow runs watchers with equal arguments as one trigger.
        self.contract_addresses = read_contracts(contract_addresses)
        self.network = None if network is None else read_network(network)
        self.alchemy_conn_id = read_connection_id(alchemy_conn_id)
        self.events = read_events(events)
        self.confirmations = read_confirmations(confirmations)
        self.poll_interval = read_interval(poll_interval)
        self.start_block = read_block(start_block, "start_block")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in _ARGUMENTS}

    def shared_stream_key(self) -> Hashable:
        """
        Name the poll that this watcher shares with others (Airflow 3.3).

        :return: The same for all watchers of a connection and network.
        """
        return "alchemy_chain", self.alchemy_conn_id, self.network

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """
        Build what Airflow polls for all watchers that share a stream (Airflow 3.3).

        :param kwargs: The arguments of one of them; they have only the connection and the network in common.
        :return: The producer.
        """
        # Airflow before 3.3 has no such module, and never asks.
        from airflow_provider_alchemy.triggers.chain_producer import ChainProducer  # noqa: PLC0415

        return ChainProducer(kwargs["alchemy_conn_id"], kwargs["network"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Make events of what the shared poll found for this watcher.

        :param shared_stream: What the poll found for anybody.
        :return: One event for each contract and poll; see ``run``.
        """
        async with shared_hub(self.alchemy_conn_id, self.network) as hub:
            # Meanwhile others' finds come: as long as one watcher does not take them, no other's place may move.
            beginning = hub.in_background(self._begin(hub))
            try:
                async for find in shared_stream:
                    if beginning.done() and find.watch is beginning.result():
                        for event in _events_of(find):
                            yield event
                        # Airflow asks for the next find after it took the last event of this one.
                        find.is_told = True
            finally:
                if not beginning.done():
                    beginning.cancel()
                elif not beginning.cancelled() and beginning.exception() is None:
                    hub.stream.leave(beginning.result())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Watch without sharing a poll with others: what Airflow before 3.3 calls.

        :return: One event for each contract and poll. Its payload: ``network, contract_address, events, ids`` (of
            tokens; None where there are more than 1,000), ``first_id, last_id, id_count, minted, first_block,
            last_block, block_numbers, transaction_hashes, transaction_count, event_ids, event_count``.
        """
        async with own_hub(self.alchemy_conn_id, self.network) as hub:
            watch = await self._begin(hub)
            while True:
                find = await hub.next_find()
                for event in _events_of(find):
                    yield event
                await watch.keep(find.places)

    @property
    def _store(self) -> Any:
        return getattr(self, "asset_state_store", None)

    async def _begin(self, hub: ChainHub) -> Watch:
        network = await hub.stream.network()
        slot = slot_of(network, self.events, self.confirmations)
        kept = None if self._store is None else KeptPlaces(self._store, slot, LOG)
        if kept is None:
            self._warn_of_no_store()
        watch = Watch(
            self.contract_addresses,
            (EventKind(event) for event in self.events),
            hub.deliver,
            keep=None if kept is None else kept.write,
            confirmations=self.confirmations,
            poll_interval_seconds=self.poll_interval,
            places=None if kept is None else await kept.read(self.contract_addresses),
            start_block=self.start_block,
        )
        hub.stream.join(watch)
        return watch

    def _warn_of_no_store(self) -> None:
        LOG.warning(
            "Airflow %s keeps no places for this watcher of %s contracts (watchers of assets have a store, and share "
            "a poll, from 3.3 on): it begins at %s after each restart, and what happens meanwhile is %s",
            airflow_version,
            f"{len(self.contract_addresses):,}",
            "the newest block" if self.start_block is None else f"block {self.start_block:,}",
            "missed" if self.start_block is None else "told again",
        )


def _events_of(find: Find) -> Iterable[TriggerEvent]:
    for news in find.news:
        LOG.info(
            "Contract %s on %s announced %s in blocks %s to %s (%s log%s)",
            news["contract_address"],
            news["network"],
            " and ".join(news["events"]),
            f"{news['first_block']:,}",
            f"{news['last_block']:,}",
            f"{news['event_count']:,}",
            "s"[: news["event_count"] != 1],
        )
        yield TriggerEvent(news)  # type: ignore[no-untyped-call]  # Airflow's class is not typed
