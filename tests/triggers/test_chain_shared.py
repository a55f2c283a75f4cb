# SPDX-License-Identifier: Apache-2.0
"""Watchers that share a poll (Airflow 3.3): what it costs, when a place moves, who comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.api.chain import FIRST_BLOCK, contract
from tests.waiting import until

from .watchers import Store, Triggerer, ids_of, shares_streams, watcher

pytestmark = [pytest.mark.integration, shares_streams]


@pytest.fixture
async def triggerer() -> AsyncIterator[Triggerer]:
    one = Triggerer()
    yield one
    await one.stop()


class TestWhatItCosts:
    @pytest.mark.parametrize("watchers", [1, 100])
    async def test_a_hundred_watchers_cost_what_one_does(
        self, chain: AlchemyEmulator, triggerer: Triggerer, watchers: int
    ) -> None:
        chain.mine_blocks(300)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        stores = [Store() for _ in range(watchers)]
        for number, store in enumerate(stores):
            contracts = range(5 * number + 1, 5 * number + 6)
            trigger = watcher(*contracts, start_block=FIRST_BLOCK, poll_interval=3600)
            triggerer.start(number, trigger, store)

        await until(lambda: all(store.next_block == FIRST_BLOCK + 302 for store in stores))

        assert (chain.count("eth_blockNumber"), chain.count("eth_getLogs")) == (1, 1)
        assert chain.calls[-1].addresses == 5 * watchers
        assert triggerer.ids() == ids_of(chain, [1])

    async def test_each_connection_and_network_has_a_poll_of_its_own(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        keys = {watcher(network=network).shared_stream_key() for network in (None, "base-mainnet", "eth-mainnet")}
        keys |= {watcher(alchemy_conn_id="other").shared_stream_key(), watcher(7, poll_interval=5).shared_stream_key()}
        assert len(keys) == 4

        triggerer.start(1, watcher(), Store())
        await until(lambda: chain.count("eth_blockNumber") >= 2)
        assert {call.network for call in chain.calls} == {"eth-mainnet"}


class TestWhenAPlaceMoves:
    async def test_only_after_the_event_is_stored(self, chain: AlchemyEmulator) -> None:
        triggerer, store = Triggerer(stores_events=False), Store()
        triggerer.start(1, watcher(), store)
        await until(lambda: store.next_block == FIRST_BLOCK)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        await until(triggerer.fired(1))
        polls = chain.count("eth_blockNumber")
        await until(lambda: chain.count("eth_blockNumber") >= polls + 3)
        assert store.next_block == FIRST_BLOCK

        triggerer.confirm()
        await until(lambda: store.next_block == FIRST_BLOCK + 2)
        await triggerer.stop()

    async def test_not_with_a_part_of_what_was_found_together(self, chain: AlchemyEmulator) -> None:
        triggerer, store = Triggerer(stores_events=False), Store()
        triggerer.start(1, watcher(1, 2), store)
        await until(lambda: store.next_block)
        with chain.one_block():
            chain.reveal(contract(1), [1])
            chain.reveal(contract(2), [1])
        chain.mine_blocks(2)
        await until(lambda: len(triggerer.events) == 2)
        triggerer.confirm(1)
        polls = chain.count("eth_blockNumber")
        await until(lambda: chain.count("eth_blockNumber") >= polls + 3)
        await triggerer.stop()
        assert store.next_block == FIRST_BLOCK

        again = Triggerer()
        again.start(1, watcher(1, 2), store)
        await until(lambda: len(again.events) == 2)
        await again.stop()

        assert again.ids() == triggerer.ids() == ids_of(chain, [1, 2])

    async def test_not_for_a_find_whose_watcher_left_before_it_had_told_all_of_it(
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

    async def test_soon_where_only_another_watcher_failed(
        self, chain: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.triggers.shared_stream import _SharedStreamGroup  # noqa: PLC0415 - not there before 3.3

        now = 0.0
        monkeypatch.setitem(_SharedStreamGroup.__init__.__kwdefaults__ or {}, "_now", lambda: now)
        # The other one does not take what comes, until Airflow gives it up.
        triggerer, store = Triggerer(ack_timeout=0.5), Store()
        triggerer.start(1, watcher(1), store)
        triggerer.start(2, watcher(2), Store(), asyncio.Event())
        await until(lambda: store.next_block)
        chain.reveal(contract(2), [1])
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        await until(lambda: triggerer.ids(1) and triggerer.is_waited_for_only_by(2))
        now = 1.0

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


class TestWhoComesAndGoes:
    async def test_a_late_one_begins_at_the_newest_block_and_disturbs_nobody(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        early, late = Store(), Store()
        triggerer.start(1, watcher(), early)
        await until(lambda: early.next_block)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(4)
        await until(triggerer.fired(1))
        triggerer.start(2, watcher(), late)
        await until(lambda: late.next_block)
        chain.reveal(contract(1), [2])
        chain.mine_blocks(2)

        await until(triggerer.fired(2))
        await until(lambda: len(triggerer.ids(1)) == 2)

        assert triggerer.ids(1) == ids_of(chain, [1])
        assert triggerer.ids(2) == ids_of(chain, [1])[1:]

    async def test_one_leaves_and_the_others_go_on(self, chain: AlchemyEmulator, triggerer: Triggerer) -> None:
        stores = {number: Store() for number in (1, 2)}
        for number, store in stores.items():
            triggerer.start(number, watcher(number), store)
        await until(lambda: all(store.next_block for store in stores.values()))
        await triggerer.stop(1)
        for number in (1, 2):
            chain.reveal(contract(number), [1])
        chain.mine_blocks(2)
        await until(lambda: stores[2].next_block == FIRST_BLOCK + 3)
        assert (triggerer.ids(1), triggerer.ids(2)) == ([], ids_of(chain, [2]))

        triggerer.start(1, watcher(1), stores[1])
        await until(triggerer.fired(1))
        assert triggerer.ids(1) == ids_of(chain, [1])

    async def test_the_poll_ends_with_the_last_one(self, chain: AlchemyEmulator, triggerer: Triggerer) -> None:
        store = Store()
        triggerer.start(1, watcher(), store)
        await until(lambda: store.next_block)

        await triggerer.stop(1)

        assert triggerer.manager._groups == {}
        names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        assert "LogStream._run" not in names
        assert chain.throttled == 0

    async def test_the_shortest_interval_serves_all(self, chain: AlchemyEmulator, triggerer: Triggerer) -> None:
        calm, hasty = Store(), Store()
        triggerer.start(1, watcher(1, poll_interval=3600), calm)
        await until(lambda: calm.next_block)
        triggerer.start(2, watcher(2, poll_interval=0.1), hasty)
        await until(lambda: hasty.next_block)
        for number in (1, 2):
            chain.reveal(contract(number), [1])
        chain.mine_blocks(2)

        await until(lambda: triggerer.ids(1) and triggerer.ids(2))
