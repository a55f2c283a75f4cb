# SPDX-License-Identifier: Apache-2.0
"""Watchers that are killed and start again (Airflow 3.3): nothing is lost, little is told again."""

from __future__ import annotations

import random

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.waiting import until

from .watchers import Store, Triggerer, ids_of, shares_streams, watcher

pytestmark = [pytest.mark.integration, shares_streams]


class TestCrashes:
    @pytest.mark.parametrize("seed", range(4))
    async def test_nothing_is_lost_and_only_what_was_in_flight_is_told_again(
        self, chain: AlchemyEmulator, seed: int
    ) -> None:
        dice = random.Random(seed)
        contracts = {1: (1, 2), 2: (2, 3), 3: (4,)}
        stores = {number: Store() for number in contracts}
        told: list[str] = []
        in_flight: list[str] = []

        def start() -> Triggerer:
            one = Triggerer(stores_events=False)
            for number, watched in contracts.items():
                trigger = watcher(*watched, confirmations=3 + number, start_block=FIRST_BLOCK)
                one.start(number, trigger, stores[number])
            return one

        def happen() -> None:
            what = dice.randrange(5)
            if what == 0:
                chain.mine_blocks(dice.randrange(1, 6))
            elif what == 1:
                chain.reorganise(dice.randrange(1, 4), keep_logs=dice.random() < 0.5)
            elif what == 2:
                with chain.one_block():
                    for number in range(1, 5):
                        chain.reveal(contract(number), range(dice.randrange(4)))
            else:
                chain.mint(contract(dice.randrange(1, 5)), [dice.randrange(10)])

        async def polled(times: int) -> None:
            polls = chain.count("eth_blockNumber") + times
            await until(lambda: chain.count("eth_blockNumber") >= polls)

        chain.mine_blocks(5)
        triggerer = start()
        for _ in range(30):
            happen()
            await polled(dice.randrange(2))
            if dice.random() < 0.5:
                triggerer.confirm()
                await until(triggerer.is_settled)
            if dice.random() < 0.2:
                in_flight += [event_id for _, ids in triggerer.unconfirmed for event_id in ids]
                told += triggerer.ids()
                await triggerer.stop()
                triggerer = start()
        newest = chain.mine_blocks(10)

        def is_done() -> bool:
            triggerer.confirm()
            return all(store.next_block > newest - 3 - number for number, store in stores.items())

        # Quiet places are kept now and then only: another announcement moves them all at once.
        with chain.one_block():
            for number in range(1, 5):
                chain.reveal(contract(number), [77])
        chain.mine_blocks(10)
        await until(is_done)
        told += triggerer.ids()
        await triggerer.stop()

        wanted = [event_id for watched in contracts.values() for event_id in ids_of(chain, watched)]
        repeats = list(told)
        for event_id in wanted:
            repeats.remove(event_id)
        assert set(told) == set(wanted)
        assert set(repeats) <= set(in_flight)

    async def test_a_day_of_downtime_loses_nothing(self, chain: AlchemyEmulator) -> None:
        store, before, after = Store(), Triggerer(), Triggerer()
        before.start(1, watcher(), store)
        await until(lambda: store.next_block)
        await before.stop()
        for token_id in range(6):
            chain.reveal(contract(1), [token_id])
            chain.mine_blocks(1_199)

        after.start(1, watcher(), store)
        await until(lambda: len(after.ids()) == 6)
        await after.stop()

        assert after.ids() == ids_of(chain, [1])
        assert chain.count("eth_getLogs") == 1

    @pytest.mark.parametrize(
        "changed", [{"confirmations": 0}, {"events": "metadata"}, {"poll_interval": 0.2}, {"start_block": FIRST_BLOCK}]
    )
    async def test_changed_arguments_go_on_where_the_old_ones_were(
        self, chain: AlchemyEmulator, changed: dict[str, object]
    ) -> None:
        store, before, after = Store(), Triggerer(), Triggerer()
        before.start(1, watcher(), store)
        await until(lambda: store.next_block)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        await until(lambda: store.next_block == FIRST_BLOCK + 2)
        await before.stop()
        chain.reveal(contract(1), [2])
        chain.mine_blocks(2)

        after.start(1, watcher(1, 2, **changed), store)
        await until(after.fired(1))
        await after.stop()

        assert (before.ids(), after.ids()) == (ids_of(chain, [1])[:1], ids_of(chain, [1])[1:])
