# SPDX-License-Identifier: Apache-2.0
"""The node API's methods as they are asked and answered: blocks, times, logs, prices and what may be spent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.api.chain_events import EventKind, topics_of
from airflow_provider_alchemy.api.chain_reader import ChainReader
from airflow_provider_alchemy.api.endpoints import Call, block_number, build_request, get_block_time, get_logs
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyRequestError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.testing import AlchemyEmulator

from .chain import FIRST_BLOCK, caller_of, contract

pytestmark = pytest.mark.integration

KEY = "Zk3yOf-tests_0123456789abcdefghij"


@pytest.fixture
async def caller(chain: AlchemyEmulator) -> AsyncIterator[RefreshPoller]:
    poller = caller_of(chain)
    yield poller
    await poller.aclose()


@pytest.fixture
def reader() -> ChainReader:
    return ChainReader(logging.getLogger("chain"))


class TestTheRequest:
    @pytest.mark.parametrize(
        ("auth", "url"),
        [("path", f"https://base-mainnet.g.alchemy.com/v2/{KEY}"), ("header", "https://base-mainnet.g.alchemy.com/v2")],
    )
    def test_it_goes_to_the_one_path_of_the_node_api(self, auth: str, url: str) -> None:
        settings = ClientSettings(api_key=KEY, network="base-mainnet", auth=auth)  # type: ignore[arg-type]  # from a table
        request = build_request(block_number(settings), settings)

        assert (request.method, request.url) == ("POST", url)
        assert request.body == b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'

    def test_its_numbers_are_hexadecimal_without_zeros_in_front(self) -> None:
        settings = ClientSettings(api_key=KEY)
        call = get_logs(0, 256, [contract(1)], topics_of({EventKind.METADATA}), settings)

        (wanted,) = call.body["params"]
        assert (wanted["fromBlock"], wanted["toBlock"], wanted["address"]) == ("0x0", "0x100", [contract(1)])

    @pytest.mark.parametrize("answer", [None, [], {}, {"result": 5}, {"result": "5"}, {"result": "0x"}, {"result": {}}])
    def test_an_answer_of_another_form_says_so(self, answer: object) -> None:
        settings = ClientSettings(api_key=KEY)
        calls: list[Call[Any]] = [
            block_number(settings),
            get_block_time(1, settings),
            get_logs(1, 2, [contract(1)], [], settings),
        ]
        for call in calls:
            with pytest.raises(AlchemyUnexpectedAnswerError):
                call.read(answer)


class TestReading:
    async def test_the_newest_block(self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller) -> None:
        chain.mine_blocks(3)
        usage = Usage()

        assert await reader.newest_block(caller, usage) == FIRST_BLOCK + 3
        assert (usage.calls, usage.compute_units) == (1, 10)

    async def test_when_a_block_was_made(
        self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller
    ) -> None:
        newest = chain.mine_blocks(1)
        made_at = await reader.block_time(newest, caller, Usage())
        before = await reader.block_time(newest - 10, caller, Usage())

        assert made_at is not None
        assert before is not None
        assert before < made_at
        assert made_at.utcoffset() == timedelta(0)

    async def test_a_block_that_is_not_there_has_no_time(self, reader: ChainReader, caller: RefreshPoller) -> None:
        assert await reader.block_time(FIRST_BLOCK + 5, caller, Usage()) is None

    async def test_logs_up_to_the_last_block_that_one_call_reaches(
        self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller
    ) -> None:
        for token_id in range(25):
            chain.reveal(contract(1), [token_id])
        chain.configure(max_block_range=10)
        usage, blocks = Usage(), (FIRST_BLOCK + 1, FIRST_BLOCK + 25)

        last, logs = await reader.read(blocks, [contract(1)], {EventKind.METADATA}, caller, usage)

        assert last == FIRST_BLOCK + 10
        assert [log.first_token_id for log in logs] == list(range(10))
        assert reader.most_blocks == 10
        assert usage.calls == 2

    async def test_no_more_is_spent_than_allowed(
        self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller
    ) -> None:
        with pytest.raises(AlchemySpendingLimitError):
            await reader.newest_block(caller, Usage(), SpendingLimit(9))
        assert chain.count() == 0

    async def test_a_refused_key_is_no_reason_to_ask_for_less(
        self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller
    ) -> None:
        chain.rotate_key()
        before = reader.most_blocks
        with pytest.raises(AlchemyAuthenticationError, match="blocks 1 to 500 of eth-mainnet"):
            await reader.read((1, 500), [contract(1)], set(EventKind), caller, Usage())
        assert reader.most_blocks == before

    async def test_a_call_that_cannot_be_smaller_fails_with_what_the_api_says(
        self, chain: AlchemyEmulator, reader: ChainReader, caller: RefreshPoller
    ) -> None:
        chain.add_fault("http", status=400, message="block range is too wide")
        with pytest.raises(AlchemyRequestError, match="block range is too wide"):
            await reader.read((1, 500), [contract(1), contract(2)], set(EventKind), caller, Usage())
        assert chain.count("eth_getLogs") < 15
