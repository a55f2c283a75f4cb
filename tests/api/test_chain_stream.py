# SPDX-License-Identifier: Apache-2.0
"""One poll loop for many watches: what it costs, who is told what, and when it rests."""

from __future__ import annotations

import random

import pytest

from airflow_provider_alchemy.api import chain_stream
from airflow_provider_alchemy.api.chain_events import EventKind
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import until

from .chain import FIRST_BLOCK, Streams, Watcher, accepted, chain_ids, contract

pytestmark = pytest.mark.integration


class TestWhatIsTold:
    async def test_several_events_of_a_contract_are_told_together(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.reveal(contract(1), [5, 6])
        chain.reveal_batch(contract(1), 10, 12)
        chain.announce_uri(contract(1), 20)
        chain.mint(contract(1), [30])
        chain.mine_blocks(2)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.news)

        (news,) = watcher.news
        assert news["ids"] == ["5", "6", "10", "11", "12", "20", "30"]
        assert news["minted"]["ids"] == ["30"]
        assert news["event_ids"] == chain_ids(chain)

    async def test_only_what_is_looked_for(self, chain: AlchemyEmulator, streams: Streams) -> None:
        chain.reveal(contract(1), [1])
        chain.mint(contract(1), [2])
        chain.transfer(contract(1), 2)
        chain.mine_blocks(2)
        both, mints, metadata = Watcher(), Watcher(kinds=[EventKind.MINT]), Watcher(kinds=[EventKind.METADATA])

        await streams.served(both, mints, metadata)
        await until(lambda: both.news and mints.news and metadata.news)

        told = [[news["ids"] for news in watcher.news] for watcher in (both, mints, metadata)]
        assert told == [[["1", "2"]], [["2"]], [["1"]]]

    async def test_the_first_start_begins_at_the_newest_block(self, chain: AlchemyEmulator, streams: Streams) -> None:
        chain.reveal(contract(1), [1])
        chain.reveal(contract(1), [2])
        watcher = Watcher(start_block=None)
        await streams.served(watcher)
        await until(lambda: watcher.finds)
        chain.reveal(contract(1), [3])
        chain.mine_blocks(2)

        await until(lambda: watcher.news)

        assert [news["ids"] for news in watcher.news] == [["2", "3"]]

    async def test_a_contract_that_never_speaks_is_told_where_it_was_read_to(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.mine_blocks(50)
        watcher = Watcher(9)

        await streams.served(watcher)
        await until(lambda: watcher.finds)

        assert (watcher.news, watcher.finds[0].places) == ([], {contract(9): FIRST_BLOCK + 49})

    async def test_confirmations_are_each_watchs_own(self, chain: AlchemyEmulator, streams: Streams) -> None:
        quick, slow = Watcher(confirmations=0), Watcher(confirmations=5)
        await streams.served(quick, slow)
        chain.reveal(contract(1), [1])
        await until(lambda: quick.news)
        chain.mine_blocks(4)
        await until(lambda: quick.next_block == FIRST_BLOCK + 6)
        assert slow.news == []

        chain.mine_blocks(1)
        await until(lambda: slow.news)

        assert quick.ids == slow.ids == chain_ids(chain)

    async def test_a_log_that_a_reorganisation_removes_is_never_told(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.configure(removed_logs=True)
        watcher = Watcher(confirmations=3)
        await streams.served(watcher)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        await until(lambda: watcher.next_block >= FIRST_BLOCK)
        chain.reorganise(3)
        chain.reveal(contract(1), [2])
        chain.mine_blocks(3)

        await until(lambda: watcher.news)

        assert [news["ids"] for news in watcher.news] == [["2"]]

    @pytest.mark.parametrize("seed", range(4))
    async def test_everything_is_told_exactly_once_whatever_the_chain_does(
        self, chain: AlchemyEmulator, streams: Streams, seed: int
    ) -> None:
        dice = random.Random(seed)
        chain.configure(lag_blocks=dice.randrange(4), max_block_range=dice.choice([None, 3, 10]))
        watchers = [Watcher(1, 2, confirmations=4), Watcher(2, 3, confirmations=9), Watcher(4, confirmations=6)]
        await streams.served(*watchers)

        def step() -> None:
            what = dice.randrange(6)
            if what == 0:
                chain.mine_blocks(dice.randrange(1, 6))
            elif what == 1:
                chain.reorganise(dice.randrange(1, 5), keep_logs=dice.random() < 0.5)
            elif what == 2:
                with chain.one_block():
                    for number in range(1, 5):
                        chain.reveal(contract(number), range(dice.randrange(4)))
            elif what == 3:
                chain.mint(contract(dice.randrange(1, 5)), [dice.randrange(10)])
            else:
                chain.reveal_batch(contract(dice.randrange(1, 5)), 0, dice.randrange(5_000))

        chain.mine_blocks(5)
        for _ in range(60):
            step()
            polls = chain.count("eth_blockNumber") + dice.randrange(2)
            await until(lambda: chain.count("eth_blockNumber") >= polls)  # noqa: B023 - awaited here
        newest = chain.mine_blocks(10)
        await until(lambda: all(one.next_block > newest - one.watch.confirmations for one in watchers))
        await until(lambda: sum(map(len, (one.ids for one in watchers))) >= len(chain_ids(chain, 1, 2, 2, 3, 4)))

        assert [sorted(one.ids) for one in watchers] == [
            sorted(chain_ids(chain, 1, 2)),
            sorted(chain_ids(chain, 2, 3)),
            sorted(chain_ids(chain, 4)),
        ]


class TestWhatItCosts:
    @pytest.mark.parametrize("watchers", [1, 100])
    async def test_a_hundred_watches_cost_what_one_does(
        self, chain: AlchemyEmulator, streams: Streams, watchers: int
    ) -> None:
        chain.mine_blocks(500)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        all_of_them = [
            Watcher(*range(5 * n + 1, 5 * n + 6), poll_interval_seconds=3600, start_block=FIRST_BLOCK + n)
            for n in range(watchers)
        ]

        await streams.served(*all_of_them)
        await until(lambda: all(watcher.finds for watcher in all_of_them))

        assert (chain.count("eth_blockNumber"), chain.count("eth_getLogs")) == (1, 1)
        assert chain.calls[-1].addresses == 5 * watchers
        assert all_of_them[0].ids == chain_ids(chain)

    async def test_a_poll_without_a_new_block_costs_ten_units(self, chain: AlchemyEmulator, streams: Streams) -> None:
        watcher = Watcher()
        await streams.served(watcher)
        await until(lambda: chain.count("eth_blockNumber") >= 5)

        assert chain.count("eth_getLogs") == 0
        assert chain.compute_units == 10 * chain.count()

    async def test_where_few_contracts_are_allowed_there_are_as_few_calls_as_can_be(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.configure(max_addresses=50)
        chain.reveal(contract(500), [1])
        chain.mine_blocks(2)
        watcher = Watcher(*range(1, 501))
        await streams.served(watcher)
        await until(lambda: watcher.news)
        before = len(accepted(chain))
        chain.mine_blocks(1)

        await until(lambda: watcher.next_block == FIRST_BLOCK + 3)

        assert len(accepted(chain)) - before == 10
        assert watcher.ids == chain_ids(chain, 500)


class TestWhoComesAndGoes:
    async def test_a_late_one_is_told_from_its_own_beginning_on(self, chain: AlchemyEmulator, streams: Streams) -> None:
        early = Watcher()
        stream = await streams.served(early)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(5)
        await until(lambda: early.news)
        late = Watcher(start_block=None)
        stream.join(late.watch)
        await until(lambda: late.finds)
        chain.reveal(contract(1), [2])
        chain.mine_blocks(2)

        await until(lambda: late.news and len(early.news) == 2)

        assert [news["ids"] for news in late.news] == [["2"]]
        assert early.ids == chain_ids(chain)

    async def test_one_that_leaves_is_told_nothing_more_and_the_others_are(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        leaving, staying = Watcher(1), Watcher(2)
        stream = await streams.served(leaving, staying)
        await until(lambda: leaving.finds and staying.finds)
        stream.leave(leaving.watch)
        told = len(leaving.finds)
        chain.reveal(contract(1), [1])
        chain.reveal(contract(2), [1])
        chain.mine_blocks(2)

        await until(lambda: staying.news)

        assert len(leaving.finds) == told
        assert chain.calls[-1].addresses in {0, 1}

    async def test_nothing_is_asked_while_nobody_watches(self, chain: AlchemyEmulator, streams: Streams) -> None:
        watcher, other = Watcher(), Watcher()
        stream = await streams.served(watcher)
        await until(lambda: watcher.finds)
        stream.leave(watcher.watch)
        await streams.served(other, network="base-mainnet", host=f"{chain.url}/{{network}}")

        def polls(network: str) -> int:
            return sum(call.network == network for call in chain.calls)

        # The other stream's polls are the clock: the first ones let a call end that was under way.
        await until(lambda: polls("base-mainnet") >= 3)
        before = polls("eth-mainnet")
        await until(lambda: polls("base-mainnet") >= 10)
        assert polls("eth-mainnet") == before

        stream.join(watcher.watch)
        await until(lambda: polls("eth-mainnet") > before)

    async def test_nothing_is_asked_before_anybody_watches(self, chain: AlchemyEmulator, streams: Streams) -> None:
        await streams.served()
        assert await streams.open().network() == "eth-mainnet"
        assert chain.count() == 0

    async def test_one_in_a_hurry_wakes_a_stream_that_sleeps(self, chain: AlchemyEmulator, streams: Streams) -> None:
        calm = Watcher(poll_interval_seconds=3600)
        stream = await streams.served(calm)
        await until(lambda: calm.finds)
        hasty = Watcher()
        stream.join(hasty.watch)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)

        await until(lambda: hasty.news and calm.news)

        assert hasty.ids == calm.ids

    async def test_a_quiet_place_is_told_again_now_and_then(
        self, chain: AlchemyEmulator, streams: Streams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chain_stream, "KEEP_SECONDS", 0.05)
        watcher = Watcher()
        await streams.served(watcher)
        chain.mine_blocks(30)

        await until(lambda: watcher.finds and watcher.finds[-1].places == {contract(1): FIRST_BLOCK + 29})

        assert watcher.news == []

    async def test_a_place_that_could_not_be_kept_is_told_again_at_once(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        async def fail(_places: object) -> bool:
            return False

        watcher = Watcher(keep=fail)
        await streams.served(watcher)
        await until(lambda: watcher.finds)
        polls = chain.count()
        await until(lambda: chain.count() >= polls + 5)
        assert len(watcher.finds) == 1

        await watcher.watch.keep(watcher.finds[0].places)

        await until(lambda: len(watcher.finds) == 2)
