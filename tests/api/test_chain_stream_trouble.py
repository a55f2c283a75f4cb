# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the way to the chain: nothing is lost, nothing is told twice, and nothing hangs."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from airflow_provider_alchemy.api import chain_stream
from airflow_provider_alchemy.api.chain_events import METADATA_UPDATE, TRANSFER
from airflow_provider_alchemy.api.chain_reader import Caller
from airflow_provider_alchemy.api.chain_stream import NetworkChangedError
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS
from airflow_provider_alchemy.testing.faults import FaultKind
from tests.waiting import until

from .chain import FIRST_BLOCK, Streams, Watcher, chain_ids, contract, open_caller_to, update

pytestmark = pytest.mark.integration


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestFaultsOfTheService:
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
        watchers = [Watcher(1, 2), Watcher(2, 3, confirmations=5)]
        await streams.served(*watchers, timeout=0.3, max_attempts=dice.randrange(1, 3))

        for number in range(25):
            chain.reveal(contract(1 + number % 3), range(1 + number % 4))
            chain.mine_blocks(1 + number % 5)
            polls = chain.count("eth_blockNumber") + 3
            await until(lambda: chain.count("eth_blockNumber") >= polls)  # noqa: B023 - awaited here
        chain.mine_blocks(5)
        wanted = [chain_ids(chain, 1, 2), chain_ids(chain, 2, 3)]
        await until(lambda: all(len(one.ids) >= len(ids) for one, ids in zip(watchers, wanted, strict=True)))

        assert [one.ids for one in watchers] == wanted
        assert streams.broken == []

    @pytest.mark.parametrize("fields", [{}, {"after_processing": True}])
    @pytest.mark.parametrize("kind", ["wrong_types", "cut_json", "error_object", "html"])
    async def test_a_spoilt_answer_hides_no_event(
        self, chain: AlchemyEmulator, streams: Streams, kind: str, fields: dict[str, Any]
    ) -> None:
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        chain.add_fault(kind, endpoint="eth_getLogs", times=3, **fields)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.news)

        assert watcher.ids == chain_ids(chain)

    @pytest.mark.parametrize("wrong", [{"blockNumber": "0x1"}, {"address": contract(99)}])
    async def test_logs_that_nobody_asked_for_hide_none_that_somebody_did(
        self, chain: AlchemyEmulator, streams: Streams, wrong: dict[str, str]
    ) -> None:
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        chain.add_fault("wrong_types", endpoint="eth_getLogs", times=3, fields={"result": [update(5, **wrong)]})
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.news)

        assert watcher.ids == chain_ids(chain)

    async def test_a_node_that_is_behind_loses_and_repeats_nothing(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.configure(lag_blocks=5)
        watcher = Watcher(confirmations=5)
        await streams.served(watcher)
        for number in range(20):
            chain.reveal(contract(1), [number])
            polls = chain.count() + 3
            await until(lambda: chain.count() >= polls)  # noqa: B023 - awaited here
        chain.mine_blocks(10)

        await until(lambda: len(watcher.ids) >= 20)

        assert watcher.ids == chain_ids(chain)

    async def test_an_outage_is_complained_of_once_and_its_end_is_told(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "chain")
        chain.add_fault("http", status=503, times=10)
        watcher = Watcher()

        await streams.served(watcher)
        await until(lambda: watcher.finds and "goes on" in caplog.text)

        (warning,) = warnings(caplog)
        assert "connection 'test' is held up" in warning
        assert "503" in warning
        assert chain.api_key not in caplog.text

    async def test_a_request_that_is_refused_without_a_reason_is_not_made_smaller_at_once(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        chain.mine_blocks(100)
        chain.add_fault("http", status=400, message="Invalid arg", endpoint="eth_getLogs", times=1)
        watcher = Watcher(confirmations=0)

        await streams.served(watcher)
        await until(lambda: watcher.next_block == FIRST_BLOCK + 101)

        assert chain.count("eth_getLogs") == 2


class TestLogsThatDoNotDecode:
    async def test_they_are_skipped_with_one_warning_for_their_contract(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        with chain.one_block():
            for _ in range(3):
                chain.emit_log(contract(1), [METADATA_UPDATE], "0x05")
                chain.emit_log(contract(2), [TRANSFER, "0x" + 64 * "0", "0x" + 64 * "0"], "0x" + 64 * "0")
                chain.emit_log(contract(1), [METADATA_UPDATE, "0x" + 64 * "1", "0x" + 64 * "1"])
            chain.reveal_batch(contract(3), 5, 4)
            right = chain.reveal(contract(1), [7])
        chain.mine_blocks(2)
        watcher = Watcher(1, 2, 3)

        await streams.served(watcher)
        await until(lambda: watcher.news)
        chain.emit_log(contract(1), [METADATA_UPDATE], "0x")
        chain.reveal(contract(2), [8])
        chain.mine_blocks(2)
        await until(lambda: len(watcher.news) == 2)

        assert [news["ids"] for news in watcher.news] == [["7"], ["8"]]
        assert watcher.ids[0] == right[0].id
        told = warnings(caplog)
        assert len(told) == 3
        assert all(any(contract(number) in text for text in told) for number in (1, 2, 3))


class TestTheConnection:
    async def test_a_wrong_one_is_read_again_until_somebody_has_mended_it(
        self, chain: AlchemyEmulator, streams: Streams, caplog: pytest.LogCaptureFixture
    ) -> None:
        opened: list[int] = []

        @asynccontextmanager
        async def open_caller() -> AsyncIterator[Caller]:
            opened.append(1)
            if len(opened) < 3:
                msg = "connection 'test' does not exist"
                raise AlchemyConfigurationError(msg)
            async with open_caller_to(chain) as caller:
                yield caller

        stream = streams.open(open_caller)

        assert await stream.network() == "eth-mainnet"
        assert len(warnings(caplog)) == 1

    async def test_a_wrong_key_is_sent_again_only_after_the_connection_was_read_again(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        opened: list[str] = []

        @asynccontextmanager
        async def open_caller() -> AsyncIterator[Caller]:
            opened.append("wrong-key-0123456789" if len(opened) < 2 else chain.api_key)
            async with open_caller_to(chain, api_key=opened[-1]) as caller:
                yield caller

        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)
        watcher = Watcher()
        stream = streams.open(open_caller)
        await stream.network()
        stream.join(watcher.watch)
        await until(lambda: watcher.news)

        assert len(opened) == 3
        assert [call.http_status for call in chain.calls][:2] == [401, 401]
        assert watcher.ids == chain_ids(chain)

    async def test_one_that_leads_to_another_network_ends_the_stream(
        self, chain: AlchemyEmulator, streams: Streams
    ) -> None:
        networks = ["eth-mainnet", "base-mainnet"]

        @asynccontextmanager
        async def open_caller() -> AsyncIterator[Caller]:
            async with open_caller_to(chain, network=networks.pop(0)) as caller:
                yield caller

        chain.add_fault("inactive_app", times=1)
        watcher = Watcher()
        stream = streams.open(open_caller)
        await stream.network()
        stream.join(watcher.watch)
        await until(lambda: streams.broken)

        assert isinstance(streams.broken[0], NetworkChangedError)
        assert "from eth-mainnet to base-mainnet" in str(streams.broken[0])
        assert watcher.finds == []


class TestABug:
    async def test_it_is_told_to_whoever_opened_the_stream(
        self, streams: Streams, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(chain_stream, "next_window", broken)

        stream = await streams.served(Watcher())
        await until(lambda: streams.broken)

        assert isinstance(streams.broken[0], ZeroDivisionError)
        await stream.aclose()

    async def test_nobody_waits_for_the_network_of_a_stream_that_broke(self, streams: Streams) -> None:
        @asynccontextmanager
        async def open_caller() -> AsyncIterator[Caller]:
            raise ZeroDivisionError
            yield

        stream = streams.open(open_caller)
        with pytest.raises(ZeroDivisionError):
            await stream.network()
        with pytest.raises(ZeroDivisionError):
            await stream.network()
