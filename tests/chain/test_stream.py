# SPDX-License-Identifier: Apache-2.0
"""One poll loop for many watches: what each is given, what it costs, who comes and goes, and what goes wrong."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.chain import stream as chain_stream
from airflow_provider_alchemy.chain.events import METADATA_UPDATE, TRANSFER, TRANSFER_BATCH, EventKind
from airflow_provider_alchemy.chain.reader import Sender
from airflow_provider_alchemy.chain.stream import NetworkChangedError, next_window
from airflow_provider_alchemy.chain.watch import Span
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS
from airflow_provider_alchemy.testing.faults import FaultKind
from tests.waiting import until

from .scenes import (
    FIRST_BLOCK,
    ZERO_ADDRESS,
    Streams,
    Watcher,
    batch,
    chain_ids,
    consecutive,
    contract,
    open_sender_to,
    single,
    update,
)

pytestmark = pytest.mark.integration

METADATA, MINT = frozenset({EventKind.METADATA}), frozenset({EventKind.MINT})


def has_all(chain: AlchemyEmulator, *watchers: tuple[Watcher, tuple[int, ...]]) -> Callable[[], bool]:
    """Give the condition that each watcher has as many updates as its contracts have announcements."""
    return lambda: all(len(one.ids) >= len(chain_ids(chain, *numbers)) for one, numbers in watchers)


async def polled(chain: AlchemyEmulator, times: int) -> None:
    polls = chain.count("eth_blockNumber") + times
    await until(lambda: chain.count("eth_blockNumber") >= polls)


def span(first: int, last: int, *numbers: int, kinds: frozenset[EventKind] = METADATA) -> Span:
    return Span(first, last, frozenset(map(contract, numbers or (1,))), kinds)


_SPANS = st.lists(
    st.builds(
        lambda first, length, number, kinds: span(first, first + length, number, kinds=kinds),
        st.integers(0, 30),
        st.integers(-3, 12),
        st.integers(1, 4),
        st.sampled_from([METADATA, MINT, METADATA | MINT]),
    ),
    max_size=6,
)


class TestTheWindows:
    @given(needs=_SPANS, most=st.integers(1, 9))
    def test_they_cover_what_is_needed_for_all_who_need_it_in_the_fewest_calls(
        self, needs: list[Span], most: int
    ) -> None:
        windows = self.windows_for(needs, most)

        wanted = {block for one in needs for block in range(one.first_block, one.last_block + 1)}
        read = [block for window in windows for block in range(window.first_block, window.last_block + 1)]
        assert wanted <= set(read)
        assert len(read) == len(set(read))
        assert len(windows) == self.fewest(frozenset(wanted), most)
        for window in windows:
            assert window.first_block in wanted
            assert window.last_block <= max(wanted)
            assert window.last_block - window.first_block < most
            served = [
                one
                for one in needs
                if max(one.first_block, window.first_block) <= min(one.last_block, window.last_block)
            ]
            assert window.contracts == frozenset().union(*(one.contracts for one in served))
            assert window.kinds == frozenset().union(*(one.kinds for one in served))

    def windows_for(self, needs: list[Span], most: int) -> list[Span]:
        """Ask as the stream does: what was read moves each need's beginning on."""
        windows: list[Span] = []
        while (window := next_window(needs, most)) is not None:
            windows.append(window)
            assert len(windows) < 1_000
            needs = [
                Span(window.last_block + 1, one.last_block, one.contracts, one.kinds)
                if one.first_block <= window.last_block
                else one
                for one in needs
            ]
        return windows

    def fewest(self, blocks: frozenset[int], most: int) -> int:
        """Try all choices of windows."""

        @cache
        def best(left: frozenset[int]) -> int:
            if not left:
                return 0
            first = min(left)
            # Some window holds the first block: any that does, wherever it begins.
            return 1 + min(
                best(left - frozenset(range(start, start + most))) for start in range(first - most + 1, first + 1)
            )

        return best(blocks)


class TestWhatAWatchIsGiven:
    async def test_announcements_of_a_contract_come_together_and_only_of_the_wanted_kinds(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.reveal(contract(1), [5, 6])
        chain.reveal_batch(contract(1), 10, 12)
        chain.announce_uri(contract(1), 20)
        chain.mint(contract(1), [30])
        chain.transfer(contract(1), 30)
        chain.mine_blocks(2)
        both, mints, metadata = Watcher(), Watcher(kinds=MINT), Watcher(kinds=METADATA)

        await streams.served(both, mints, metadata)
        await until(lambda: both.payloads and mints.payloads and metadata.payloads)

        given_ids = [[payload["ids"] for payload in watcher.payloads] for watcher in (both, mints, metadata)]
        updated = ["5", "6", "10", "11", "12", "20"]
        assert given_ids == [[[*updated, "30"]], [["30"]], [updated]]
        assert both.payloads[0]["minted"]["ids"] == ["30"]
        assert both.ids == [one for one in chain_ids(chain) if one in {*mints.ids, *metadata.ids}]

    async def test_the_first_start_begins_at_the_newest_block(self, chain: AlchemyEmulator, streams: Streams) -> None:
        chain.reveal(contract(1), [1])
        chain.reveal(contract(1), [2])
        watcher = Watcher(start_block=None)
        await streams.served(watcher)
        await until(lambda: watcher.updates)
        chain.reveal(contract(1), [3])
        chain.mine_blocks(2)

        await until(lambda: watcher.payloads)

        assert [payload["ids"] for payload in watcher.payloads] == [["2", "3"]]

    async def test_a_quiet_contract_has_its_cursor_saved_at_once_and_then_now_and_then(
        self, chain: AlchemyEmulator, streams: Streams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chain.mine_blocks(50)
        watcher = Watcher(9)
        await streams.served(watcher)
        await until(lambda: watcher.updates)
        assert (watcher.payloads, watcher.updates[0].cursor) == ([], {contract(9): FIRST_BLOCK + 49})

        await polled(chain, 3)
        assert len(watcher.updates) == 1
        monkeypatch.setattr(chain_stream, "SAVE_SECONDS", 0.05)
        chain.mine_blocks(30)
        await until(lambda: watcher.updates[-1].cursor == {contract(9): FIRST_BLOCK + 79})

        assert watcher.payloads == []

    async def test_a_cursor_that_could_not_be_saved_comes_again_at_once(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        async def fail(_cursor: object) -> bool:
            return False

        watcher = Watcher(save=fail)
        await streams.served(watcher)
        await until(lambda: watcher.updates)
        await polled(chain, 5)
        assert len(watcher.updates) == 1

        await watcher.watch.save(watcher.updates[0].cursor)

        await until(lambda: len(watcher.updates) == 2)

    async def test_a_log_that_a_reorganisation_removes_never_comes(
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

        await until(lambda: watcher.payloads)

        assert [payload["ids"] for payload in watcher.payloads] == [["2"]]

    @pytest.mark.parametrize("seed", range(4))
    async def test_everything_comes_exactly_once_whatever_the_chain_does(
        self, chain: AlchemyEmulator, streams: Streams, seed: int
    ) -> None:
        dice = random.Random(seed)
        chain.configure(lag_blocks=dice.randrange(4), max_block_range=dice.choice([None, 3, 10]))
        watchers = [
            (Watcher(1, 2, confirmations=4), (1, 2)),
            (Watcher(2, 3, confirmations=9), (2, 3)),
            (Watcher(4, confirmations=6), (4,)),
        ]
        await streams.served(*(watcher for watcher, _ in watchers))

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
            await polled(chain, dice.randrange(2))
        newest = chain.mine_blocks(10)
        await until(lambda: all(one.next_block > newest - one.watch.confirmations for one, _ in watchers))
        await until(has_all(chain, *watchers))
        await polled(chain, 2)

        for watcher, numbers in watchers:
            assert sorted(watcher.ids) == sorted(chain_ids(chain, *numbers))


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
        await until(lambda: all(watcher.updates for watcher in all_of_them))

        assert (chain.count("eth_blockNumber"), chain.count("eth_getLogs")) == (1, 1)
        assert chain.calls[-1].addresses == 5 * watchers
        assert all_of_them[0].ids == chain_ids(chain)

    async def test_a_poll_without_a_new_block_costs_ten_units(self, chain: AlchemyEmulator, streams: Streams) -> None:
        await streams.served(Watcher())
        await polled(chain, 5)

        assert chain.count("eth_getLogs") == 0
        assert chain.compute_units == 10 * chain.count()

    async def test_what_is_read_on_the_way_comes_before_the_end(self, chain: AlchemyEmulator, streams: Streams) -> None:
        chain.configure(max_block_range=10)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(1_000)
        watcher = Watcher(poll_interval_seconds=0.001, confirmations=0)

        await streams.served(watcher)
        await until(lambda: watcher.payloads)

        assert watcher.updates[0].cursor[contract(1)] < FIRST_BLOCK + 1_000

    async def test_nothing_is_asked_while_there_is_no_watch(self, chain: AlchemyEmulator, streams: Streams) -> None:
        watcher, other = Watcher(), Watcher()
        stream = streams.open()
        assert await stream.network() == "eth-mainnet"
        assert chain.count() == 0
        streams.join(stream, watcher)
        await until(lambda: watcher.updates)
        stream.leave(watcher.watch)
        await streams.served(other, network="base-mainnet", host=f"{chain.url}/{{network}}")

        def polls(network: str) -> int:
            return sum(call.network == network for call in chain.calls)

        # The other stream's polls are the clock: the first ones let a call end that was under way.
        await until(lambda: polls("base-mainnet") >= 3)
        before = polls("eth-mainnet")
        await until(lambda: polls("base-mainnet") >= 10)
        assert polls("eth-mainnet") == before

        streams.join(stream, watcher)
        await until(lambda: polls("eth-mainnet") > before)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestTrouble:
    @pytest.mark.parametrize("seed", range(3))
    async def test_every_kind_of_fault_in_every_fifth_answer_loses_and_repeats_nothing(
        self, chain: AlchemyEmulator, streams: Streams, seed: int
    ) -> None:
        dice = random.Random(seed)
        kinds = [kind for kind in FaultKind if kind not in ENDPOINTS["eth_getLogs"].spared]
        dice.shuffle(kinds)
        for kind in kinds:
            fields: dict[str, Any] = {"seconds": 0.05} if kind in {FaultKind.SLOW, FaultKind.DRIP} else {}
            chain.add_fault(kind, probability=0.2 / len(kinds), **fields)
        watchers = [(Watcher(1, 2), (1, 2)), (Watcher(2, 3, confirmations=5), (2, 3))]
        await streams.served(*(one for one, _ in watchers), timeout=0.3, max_attempts=dice.randrange(1, 3))

        for number in range(25):
            chain.reveal(contract(1 + number % 3), range(1 + number % 4))
            chain.mine_blocks(1 + number % 5)
            await polled(chain, 3)
        chain.mine_blocks(5)
        await until(has_all(chain, *watchers))

        for watcher, numbers in watchers:
            assert watcher.ids == chain_ids(chain, *numbers)
        assert streams.errors == []

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "wrong_types", "fields": {"result": [update(5, blockNumber="0x1")]}},
            {"kind": "wrong_types", "fields": {"result": [update(5, address=contract(99))]}},
        ],
        ids=lambda fault: str(fault)[:90],
    )
    async def test_a_wrong_answer_hides_no_announcement(
        self, chain: AlchemyEmulator, streams: Streams, fault: dict[str, Any]
    ) -> None:
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        chain.add_fault(**fault, endpoint="eth_getLogs", times=3)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.payloads)

        assert watcher.ids == chain_ids(chain)

    async def test_a_node_that_says_that_it_is_behind_is_asked_again_without_a_warning(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        message = "block range extends beyond current head block"
        chain.add_fault("http", status=400, message=message, endpoint="eth_getLogs", times=4)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.payloads)

        assert chain.count("eth_getLogs") == 5
        assert warnings(caplog) == []

    async def test_an_outage_is_warned_of_once_and_its_end_is_logged(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "chain")
        chain.add_fault("http", status=503, times=10)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.updates and "goes on" in caplog.text)

        (warning,) = warnings(caplog)
        assert "connection 'test' is held up" in warning
        assert "503" in warning
        assert chain.api_key not in caplog.text

    async def test_logs_that_do_not_decode_are_skipped_with_one_warning_for_their_contract(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        with chain.one_block():
            for _ in range(3):
                chain.emit_log(contract(1), [METADATA_UPDATE], "0x05")
                chain.emit_log(contract(2), [TRANSFER, ZERO_ADDRESS, ZERO_ADDRESS], "0x12")
            chain.emit_log(contract(3), [TRANSFER_BATCH, *[ZERO_ADDRESS] * 3], ZERO_ADDRESS)
            right = chain.reveal(contract(1), [7])
        chain.mine_blocks(2)
        watcher = Watcher(1, 2, 3)

        await streams.served(watcher)
        await until(lambda: watcher.payloads)
        chain.emit_log(contract(1), [METADATA_UPDATE], "0x")
        chain.reveal(contract(2), [8])
        chain.mine_blocks(2)
        await until(lambda: len(watcher.payloads) == 2)

        assert [payload["ids"] for payload in watcher.payloads] == [["7"], ["8"]]
        assert watcher.ids[0] == right[0].id
        texts = warnings(caplog)
        assert len(texts) == 3
        assert all(any(contract(number) in text for text in texts) for number in (1, 2, 3))

    async def test_a_range_that_is_upside_down_stands_for_the_collection_with_one_warning(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain.reveal_batch(contract(1), 1, 0)
        chain.reveal_batch(contract(1), 5, 4)
        chain.mine_blocks(2)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.payloads)

        (payload,) = watcher.payloads
        assert (payload["ids"], payload["first_id"], payload["last_id"]) == (None, "0", str(2**256 - 1))
        (text,) = warnings(caplog)
        assert "from 1 to 0 is upside down, and taken for the whole collection" in text

    @pytest.mark.parametrize("logs", [[single(5), single(6)], [batch(5, 6)], [consecutive(5, 6)]], ids=str)
    async def test_mints_of_all_standards_are_emitted(
        self, chain: AlchemyEmulator, streams: Streams, logs: list[dict[str, Any]]
    ) -> None:
        with chain.one_block():
            for one in logs:
                chain.emit_log(contract(1), one["topics"], one["data"])
        chain.mine_blocks(2)
        watcher = Watcher(kinds=MINT)

        await streams.served(watcher)
        await until(lambda: watcher.payloads)

        assert [payload["ids"] for payload in watcher.payloads] == [["5", "6"]]
        assert chain.count("eth_getLogs") == 1

    async def test_a_connection_that_leads_to_another_network_ends_the_stream(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        networks = ["eth-mainnet", "base-mainnet"]

        @asynccontextmanager
        async def open_sender() -> AsyncIterator[Sender]:
            async with open_sender_to(chain, network=networks.pop(0)) as sender:
                yield sender

        chain.add_fault("inactive_app", times=1)
        watcher = Watcher()
        await streams.served(watcher, open_sender=open_sender)
        await until(lambda: streams.errors)

        assert isinstance(streams.errors[0], NetworkChangedError)
        assert "from eth-mainnet to base-mainnet" in str(streams.errors[0])
        assert watcher.updates == []

    async def test_a_bug_ends_what_waits_for_the_network(self, streams: Streams) -> None:
        @asynccontextmanager
        async def open_sender() -> AsyncIterator[Sender]:
            raise ZeroDivisionError
            yield

        stream = streams.open(open_sender)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await stream.network()
