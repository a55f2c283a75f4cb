# SPDX-License-Identifier: Apache-2.0
"""Reading the chain: the calls, how much each asks for, what a refusal means, what it costs to catch up."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.endpoints import Call, block_number, build_request, get_block_time, get_logs
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyRequestError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.chain.events import EventKind
from airflow_provider_alchemy.chain.networks import MAX_BLOCKS, UNLIMITED_NETWORK_BLOCKS
from airflow_provider_alchemy.chain.reader import (
    BEHIND_BEFORE_WARNING,
    MAX_CALLS_BEFORE_GROWTH,
    MIN_CALLS_BEFORE_GROWTH,
    CallSize,
    ChainReader,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.poller import Poller

from .scenes import FIRST_BLOCK, chain_ids, contract, sender_to
from .test_refusals import FREE_PLAN

pytestmark = pytest.mark.integration

KEY = "Zk3yOf-tests_0123456789abcdefghij"
BLOCKS = 1_000


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
        (wanted,) = get_logs(0, 256, [contract(1)], [["0x1"]], ClientSettings(api_key=KEY)).body["params"]

        assert wanted == {"fromBlock": "0x0", "toBlock": "0x100", "address": [contract(1)], "topics": [["0x1"]]}

    @pytest.mark.parametrize("answer", [None, [], {}, {"result": 5}, {"result": "5"}, {"result": "0x"}, {"result": {}}])
    def test_an_answer_of_another_form_is_unexpected(self, answer: object) -> None:
        settings = ClientSettings(api_key=KEY)
        calls: list[Call[Any]] = [
            block_number(settings),
            get_block_time(1, settings),
            get_logs(1, 2, [contract(1)], [], settings),
        ]
        for call in calls:
            with pytest.raises(AlchemyUnexpectedAnswerError):
                call.read(answer)


@dataclass
class Service:
    """A service that takes calls of a size, and what it was asked for."""

    limit: int
    accepted: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def read(self, blocks: int, size: CallSize, *, named: int | None = None, is_lasting: bool = False) -> None:
        """Have so many blocks read."""
        while blocks:
            asked = min(size.current, blocks)
            assert 1 <= asked <= MAX_BLOCKS
            if asked <= self.limit:
                self.accepted.append(asked)
                size.accept(asked)
                blocks -= asked
            else:
                self.refused.append(asked)
                size.refuse(asked, named, is_lasting=is_lasting)


class TestTheSizeOfACall:
    @given(hidden=st.integers(1, MAX_BLOCKS), blocks=st.integers(1, 15_000))
    def test_any_limit_is_found_by_halving_and_kept_to(self, hidden: int, blocks: int) -> None:
        service = Service(hidden)
        service.read(blocks, CallSize(MAX_BLOCKS, MAX_BLOCKS), is_lasting=True)

        assert len(service.refused) <= math.log2(MAX_BLOCKS) + 1 + len(service.accepted) / MAX_CALLS_BEFORE_GROWTH
        assert len(service.accepted) <= 2 * math.ceil(blocks / hidden) + 1

    @given(hidden=st.integers(1, 5_000))
    def test_on_dense_blocks_few_calls_are_refused(self, hidden: int) -> None:
        service = Service(hidden)
        service.read(200 * hidden, CallSize(MAX_BLOCKS, MAX_BLOCKS))

        assert len(service.refused) - math.log2(MAX_BLOCKS) - 1 <= len(service.accepted) / 10

    @given(hidden=st.integers(1, 200), later=st.integers(201, MAX_BLOCKS), is_lasting=st.booleans())
    def test_a_limit_that_is_raised_or_only_was_here_is_outgrown(
        self, hidden: int, later: int, is_lasting: bool
    ) -> None:
        size = CallSize(MAX_BLOCKS, MAX_BLOCKS)
        Service(hidden).read(5 * hidden, size, is_lasting=is_lasting)
        service = Service(later)
        service.read(later * 2 * MAX_CALLS_BEFORE_GROWTH, size, is_lasting=is_lasting)

        assert max(service.accepted) > later / 2
        assert service.accepted[0] <= 2 * hidden

    def test_it_grows_at_first_after_a_few_calls_and_after_each_refusal_more_slowly(self) -> None:
        size, service = CallSize(10, MAX_BLOCKS), Service(10)
        service.read(10 * 16 * MIN_CALLS_BEFORE_GROWTH, size)

        assert set(service.accepted) == {10}
        assert service.refused == [20] * 4


@pytest.fixture
async def sender(chain: AlchemyEmulator) -> AsyncIterator[Poller]:
    poller = sender_to(chain, max_attempts=3)
    yield poller
    await poller.aclose()


@pytest.fixture
def reader(sender: Poller) -> ChainReader:
    return ChainReader(sender, logging.getLogger("chain"))


async def read_all(
    reader: ChainReader, last: int, *numbers: int, first: int = FIRST_BLOCK + 1
) -> tuple[list[str], list[tuple[int, int]]]:
    """Read as a wait does; give the ids of the logs, and the ranges that were read."""
    ids, ranges = [], []
    while first <= last:
        read, logs = await reader.read((first, last), [contract(n) for n in numbers or (1,)], set(EventKind), Usage())
        ids += [f"eth-mainnet:{log.transaction_hash}:{log.log_index}" for log in logs]
        ranges.append((first, read))
        first = read + 1
    return ids, ranges


def sizes(ranges: list[tuple[int, int]]) -> list[int]:
    return [last - first + 1 for first, last in ranges]


def refused(chain: AlchemyEmulator, ranges: list[tuple[int, int]]) -> int:
    return chain.count("eth_getLogs") - len(ranges)


class TestReading:
    async def test_the_newest_block(self, chain: AlchemyEmulator, reader: ChainReader) -> None:
        chain.mine_blocks(3)
        usage = Usage()

        assert await reader.newest_block(usage) == FIRST_BLOCK + 3
        assert (usage.calls, usage.compute_units) == (1, 10)

    async def test_when_a_block_was_made(self, chain: AlchemyEmulator, reader: ChainReader) -> None:
        newest = chain.mine_blocks(1)
        made_at, before = [await reader.block_time(block, Usage()) for block in (newest, newest - 10)]

        assert made_at is not None
        assert before is not None
        assert before < made_at
        assert made_at.utcoffset() == timedelta(0)
        assert await reader.block_time(newest + 5, Usage()) is None

    async def test_no_more_is_spent_than_allowed(self, chain: AlchemyEmulator, reader: ChainReader) -> None:
        with pytest.raises(AlchemySpendingLimitError):
            await reader.newest_block(Usage(), SpendingLimit(9))
        assert chain.count() == 0

    async def test_a_refused_key_is_no_reason_to_ask_for_less(
        self, chain: AlchemyEmulator, reader: ChainReader
    ) -> None:
        chain.rotate_key()
        with pytest.raises(AlchemyAuthenticationError, match="blocks 1 to 500 of eth-mainnet"):
            await reader.read((1, 500), [contract(1)], set(EventKind), Usage())
        assert reader.max_blocks == UNLIMITED_NETWORK_BLOCKS

    @pytest.mark.parametrize("message", ["block range is too wide", "Invalid arg"])
    async def test_a_call_that_cannot_be_smaller_fails_with_what_the_api_says(
        self, chain: AlchemyEmulator, reader: ChainReader, message: str
    ) -> None:
        chain.add_fault("http", status=400, message=message)
        with pytest.raises(AlchemyRequestError, match=message):
            await reader.read((1, 500), [contract(1), contract(2)], set(EventKind), Usage())
        assert chain.count("eth_getLogs") < 15

    @pytest.mark.parametrize(
        "fault", [{"kind": "http", "status": 400, "message": "Invalid arg"}, {"kind": "http", "status": 503}]
    )
    async def test_one_refusal_without_a_reason_makes_the_call_no_smaller(
        self, chain: AlchemyEmulator, reader: ChainReader, fault: dict[str, Any]
    ) -> None:
        newest = chain.mine_blocks(100)
        chain.add_fault(**fault, endpoint="eth_getLogs", times=1)

        _, ranges = await read_all(reader, newest)

        assert (sizes(ranges), refused(chain, ranges)) == ([100], 1)

    @pytest.mark.parametrize(
        ("fault", "first_size"),
        [
            pytest.param({"kind": "http", "status": 503}, 50, id="a server error that repeats"),
            pytest.param({"kind": "http", "status": 504, "body": "html"}, 50, id="a gateway that gives up"),
            pytest.param({"kind": "cut"}, 50, id="an answer that is cut"),
            pytest.param({"kind": "reset"}, 50, id="a connection that is reset"),
            pytest.param(
                {
                    "kind": "http",
                    "status": 503,
                    "message": "Query timeout exceeded. Consider reducing your block range.",
                },
                25,
                id="a server error that speaks of the range",
            ),
            pytest.param(
                {"kind": "http", "status": 503, "message": "x" * 300 + FREE_PLAN}, 10, id="a range far behind"
            ),
        ],
    )
    async def test_a_server_error_may_mean_too_many_blocks(
        self, chain: AlchemyEmulator, reader: ChainReader, fault: dict[str, Any], first_size: int
    ) -> None:
        newest = chain.mine_blocks(100)
        chain.add_fault(**fault, endpoint="eth_getLogs", times=2 if first_size != 10 else 1)

        _, ranges = await read_all(reader, newest)

        assert sizes(ranges)[0] == first_size

    @pytest.mark.parametrize("fault", [{"kind": "error_object"}, {"kind": "http", "status": 400}])
    async def test_a_node_that_is_behind_has_nothing_to_read_yet_and_teaches_no_limit(
        self, chain: AlchemyEmulator, reader: ChainReader, fault: dict[str, Any]
    ) -> None:
        message = "block range extends beyond current head block: requested 20000045, head 20000024"
        chain.add_fault(**fault, message=message, endpoint="eth_getLogs", times=1)

        read, logs = await reader.read((FIRST_BLOCK, FIRST_BLOCK + 9), [contract(1)], set(EventKind), Usage())

        assert (read, logs, reader.max_blocks) == (FIRST_BLOCK - 1, [], UNLIMITED_NETWORK_BLOCKS)

    async def test_a_node_that_is_behind_knows_no_time_of_a_block(
        self, chain: AlchemyEmulator, reader: ChainReader
    ) -> None:
        chain.add_fault("http", status=400, message="Unknown block", times=1)

        assert await reader.block_time(FIRST_BLOCK, Usage()) is None

    async def test_nodes_that_stay_behind_are_warned_of_once(
        self, chain: AlchemyEmulator, reader: ChainReader, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain.add_fault("http", status=400, message="header not found")
        for _ in range(2 * BEHIND_BEFORE_WARNING):
            await reader.read((FIRST_BLOCK, FIRST_BLOCK), [contract(1)], set(EventKind), Usage())

        assert [line.split(":")[0] for line in caplog.messages if "have blocks" in line] == [
            "20 times in a row a node did not have blocks that another one has; still polling"
        ]

    async def test_a_range_that_is_named_under_any_status_is_the_next_one(
        self, chain: AlchemyEmulator, reader: ChainReader
    ) -> None:
        newest = chain.mine_blocks(100)
        for status in (400, 403, 413, 429, 500, 503, 504):
            chain.add_fault("http", status=status, message="x " * 3_000 + FREE_PLAN, endpoint="eth_getLogs", times=1)
            reader._blocks.current = 100
            await reader.read((newest - 99, newest), [contract(1)], set(EventKind), Usage())

            assert (reader.max_blocks, chain.calls[-1].blocks) == (10, (newest - 99, newest - 90))


class TestWhatReadingCosts:
    @pytest.mark.parametrize(
        ("limit", "form", "wasted"),
        [
            (None, "hint", 0),
            (1_000, "hint", 0),
            (100, "hint", 1),
            (10, "hint", 1),
            (7, "hint", 1),
            (100, "plain", 4),
            (10, "plain", 7),
            (10, "ok", 7),
        ],
    )
    async def test_a_thousand_blocks_take_the_calls_that_the_limit_needs(
        self, chain: AlchemyEmulator, reader: ChainReader, limit: int | None, form: str, wasted: int
    ) -> None:
        for block in range(10):
            chain.reveal(contract(1), [block])
            chain.mine_blocks(99)
        chain.configure(max_block_range=limit, range_refusal=form)

        ids, ranges = await read_all(reader, FIRST_BLOCK + BLOCKS)

        assert ids == chain_ids(chain)
        assert len(ids) == len(set(ids)) == 10
        assert all(one[1] + 1 == following[0] for one, following in pairwise(ranges))
        fewest = math.ceil(BLOCKS / (limit or BLOCKS))
        assert len(ranges) <= (fewest if form == "hint" else 2 * fewest)
        assert refused(chain, ranges) <= wasted + len(ranges) // MAX_CALLS_BEFORE_GROWTH

    @pytest.mark.parametrize("form", ["hint", "plain"])
    async def test_blocks_with_too_many_logs_are_read_in_smaller_parts_and_quiet_ones_in_large_ones_again(
        self, chain: AlchemyEmulator, reader: ChainReader, form: str
    ) -> None:
        chain.configure(max_logs=20, range_refusal=form)
        chain.mine_blocks(100)
        for _ in range(10):
            chain.reveal(contract(1), range(15))
        newest = chain.mine_blocks(20_000)

        ids, ranges = await read_all(reader, newest)

        assert ids == chain_ids(chain)
        assert len(ranges) < 80
        assert max(sizes(ranges)) > 500

    async def test_a_block_with_too_many_logs_is_read_by_fewer_contracts(
        self, chain: AlchemyEmulator, reader: ChainReader
    ) -> None:
        chain.configure(max_logs=20)
        with chain.one_block():
            for number in range(1, 5):
                chain.reveal(contract(number), range(10))

        ids, _ = await read_all(reader, FIRST_BLOCK + 1, 1, 2, 3, 4)

        assert sorted(ids) == sorted(chain_ids(chain, 1, 2, 3, 4))

    async def test_where_few_contracts_are_allowed_each_block_is_read_for_all_of_them(
        self, chain: AlchemyEmulator, reader: ChainReader
    ) -> None:
        chain.configure(max_addresses=50)
        chain.reveal(contract(500), [1])
        chain.mine_blocks(2)
        await read_all(reader, FIRST_BLOCK + 3, *range(1, 501))
        calls = chain.count("eth_getLogs")
        chain.reveal(contract(7), [1])

        ids, _ = await read_all(reader, FIRST_BLOCK + 4, *range(1, 501), first=FIRST_BLOCK + 4)

        assert ids == chain_ids(chain, 7)
        assert chain.count("eth_getLogs") - calls <= 20
