# SPDX-License-Identifier: Apache-2.0
"""Watchers that share a poll (Airflow 3.3): when a cursor is saved, and that each has a stream's updates to itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.waiting import until

from .watchers import Store, Triggerer, ids_of, shares_streams, watcher

pytestmark = [pytest.mark.integration, shares_streams]


@pytest.fixture
async def triggerer() -> AsyncIterator[Triggerer]:
    one = Triggerer()
    yield one
    await one.stop()


async def polled(chain: AlchemyEmulator, times: int) -> None:
    polls = chain.count("eth_blockNumber") + times
    await until(lambda: chain.count("eth_blockNumber") >= polls)


class TestOnePoll:
    async def test_a_hundred_watchers_of_a_connection_and_network_share_it(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        chain.mine_blocks(300)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        stores = [Store() for _ in range(100)]
        for number, store in enumerate(stores):
            contracts = range(5 * number + 1, 5 * number + 6)
            triggerer.start(number, watcher(*contracts, start_block=FIRST_BLOCK, poll_interval=3600), store)

        await until(lambda: all(store.next_block == FIRST_BLOCK + 302 for store in stores))

        assert (chain.count("eth_blockNumber"), chain.count("eth_getLogs")) == (1, 1)
        assert chain.calls[-1].addresses == 500
        assert triggerer.ids() == ids_of(chain, [1])
        await triggerer.stop()
        names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        assert (triggerer.manager._groups, "LogStream._run" in names) == ({}, False)

    def test_each_connection_and_network_has_one_of_its_own(self) -> None:
        keys = {watcher(network=network).shared_stream_key() for network in (None, "base-mainnet", "eth-mainnet")}
        keys |= {watcher(alchemy_conn_id="other").shared_stream_key(), watcher(7, poll_interval=5).shared_stream_key()}
        assert len(keys) == 4

    async def test_watchers_come_and_go_and_each_gets_its_own_from_its_beginning_on(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        stores = {number: Store() for number in (1, 2, 3)}
        triggerer.start(1, watcher(1, poll_interval=3600), stores[1])
        await until(lambda: stores[1].next_block)
        # A watcher in a hurry serves the others too.
        triggerer.start(2, watcher(2), stores[2])
        await until(lambda: stores[2].next_block)
        await triggerer.stop(1)
        for number in (1, 2):
            chain.reveal(contract(number), [1])
        chain.mine_blocks(2)
        await until(lambda: stores[2].next_block == FIRST_BLOCK + 3)
        triggerer.start(3, watcher(2), stores[3])
        await until(lambda: stores[3].next_block)
        assert (triggerer.ids(1), triggerer.ids(2), triggerer.ids(3)) == ([], ids_of(chain, [2]), [])

        triggerer.start(1, watcher(1), stores[1])
        await until(lambda: triggerer.ids(1))

        assert triggerer.ids(1) == ids_of(chain, [1])


class TestACursorIsSaved:
    async def test_only_after_all_that_was_read_together_is_stored(self, chain: AlchemyEmulator) -> None:
        triggerer, store = Triggerer(stores_events=False), Store()
        triggerer.start(1, watcher(1, 2), store)
        await until(lambda: store.next_block)
        with chain.one_block():
            chain.reveal(contract(1), [1])
            chain.reveal(contract(2), [1])
        chain.mine_blocks(2)
        await until(lambda: len(triggerer.events) == 2)
        for stored in (0, 1):
            triggerer.confirm(stored)
            await polled(chain, 3)
            assert store.next_block == FIRST_BLOCK
        await triggerer.stop()

        again = Triggerer()
        again.start(1, watcher(1, 2), store)
        await until(lambda: store.next_block == FIRST_BLOCK + 2)
        await again.stop()

        assert again.ids() == triggerer.ids() == ids_of(chain, [1, 2])

    async def test_not_for_an_update_whose_watcher_left_before_it_had_emitted_all_of_it(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        gate, store, other = asyncio.Event(), Store(), Store()
        triggerer.start(1, watcher(1, 2), store, gate)
        triggerer.start(2, watcher(3), other)
        await until(lambda: store.next_block and other.next_block)
        with chain.one_block():
            for number in (1, 2, 3):
                chain.reveal(contract(number), [1])
        chain.mine_blocks(2)
        await until(triggerer.fired(2))
        await triggerer.stop(1)
        await until(lambda: other.next_block == FIRST_BLOCK + 2 and triggerer.is_settled())
        assert store.next_block == FIRST_BLOCK

        triggerer._gates.clear()
        triggerer.start(1, watcher(1, 2), store)
        await until(lambda: store.next_block == FIRST_BLOCK + 2)

        assert sorted(triggerer.ids()) == sorted(ids_of(chain, [1, 2, 3]))

    async def test_soon_where_only_another_watcher_failed(self, chain: AlchemyEmulator) -> None:
        # The other one does not take what comes, until Airflow gives it up.
        triggerer, store = Triggerer(ack_timeout=0.5), Store()
        triggerer.start(1, watcher(1), store)
        triggerer.start(2, watcher(2), Store(), asyncio.Event())
        await until(lambda: store.next_block)
        chain.reveal(contract(2), [1])
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)

        await until(lambda: store.next_block == FIRST_BLOCK + 3)

        assert triggerer.ids() == ids_of(chain, [1])
        await triggerer.stop()

    async def test_while_another_one_still_waits_for_its_store(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        store, slow = Store(), Store()
        slow.may_read.clear()
        triggerer.start(2, watcher(2), slow)
        triggerer.start(1, watcher(1), store)
        await until(lambda: store.next_block)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        await until(lambda: store.next_block == FIRST_BLOCK + 2)

        slow.may_read.set()
        await until(lambda: slow.next_block == FIRST_BLOCK + 3)
