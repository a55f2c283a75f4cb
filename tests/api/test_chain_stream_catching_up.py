# SPDX-License-Identifier: Apache-2.0
"""What it costs to read what was missed: the fewest calls that the API's limits allow, and what finding them takes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from airflow_provider_alchemy.api.chain_limits import CALLS_BEFORE_A_LARGER_ONE
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import until

from .chain import FIRST_BLOCK, Streams, Watcher, chain_ids, contract

pytestmark = pytest.mark.integration

BLOCKS = 1_000

SEARCH = {None: (0, 0), 1_000: (0, 0), 100: (4, 0), 10: (7, 0), 7: (8, 1)}
"""Calls that are refused, and further ones that read less than they might, until a limit is found that the API does not
name. Then every hundredth call at the limit asks for one block more."""


async def catch_up(chain: AlchemyEmulator, streams: Streams, watcher: Watcher, last: int) -> None:
    await streams.served(watcher)
    await until(lambda: watcher.next_block == last + 1)
    await until(lambda: len(watcher.ids) == len(chain_ids(chain)))


def read_ranges(chain: AlchemyEmulator) -> list[tuple[int, int]]:
    """Give the ranges that were read: after these, and not after those that were refused, the next ones were asked."""
    asked = [call.blocks for call in chain.calls if call.blocks]
    return [one for one, following in pairwise([*asked, (FIRST_BLOCK**2, 0)]) if following[0] > one[0]]


def refused(chain: AlchemyEmulator) -> int:
    return chain.count("eth_getLogs") - len(read_ranges(chain))


@pytest.mark.parametrize("form", ["hint", "plain", "ok"])
@pytest.mark.parametrize("limit", [None, 1_000, 100, 10, 7])
async def test_a_thousand_blocks_take_the_fewest_calls(
    chain: AlchemyEmulator, streams: Streams, limit: int | None, form: str
) -> None:
    chain.configure(max_block_range=limit, range_refusal=form)
    watcher = Watcher(poll_interval_seconds=3600, confirmations=0, start_block=FIRST_BLOCK + 1)
    for block in range(10):
        chain.reveal(contract(1), [block])
        chain.mine_blocks(99)

    await catch_up(chain, streams, watcher, FIRST_BLOCK + BLOCKS)

    refused_calls, more_calls = (min(SEARCH[limit][0], 1), 0) if form == "hint" else SEARCH[limit]
    read = read_ranges(chain)
    assert watcher.ids == chain_ids(chain)
    assert len(watcher.ids) == len(set(watcher.ids)) == 10
    assert len(read) == math.ceil(BLOCKS / (limit or BLOCKS)) + more_calls
    assert sum(last - first + 1 for first, last in read) == BLOCKS
    assert refused(chain) == refused_calls + (len(read) - 1) // CALLS_BEFORE_A_LARGER_ONE


async def test_after_the_search_every_call_is_as_large_as_allowed(chain: AlchemyEmulator, streams: Streams) -> None:
    chain.configure(max_block_range=10, range_refusal="plain")
    chain.mine_blocks(100)
    watcher = Watcher(confirmations=0)
    await catch_up(chain, streams, watcher, FIRST_BLOCK + 100)
    calls, refusals = len(read_ranges(chain)), refused(chain)

    chain.mine_blocks(200)
    await until(lambda: watcher.next_block == FIRST_BLOCK + 301)

    assert (len(read_ranges(chain)) - calls, refused(chain) - refusals) == (20, 0)


async def test_a_limit_that_is_raised_is_used(chain: AlchemyEmulator, streams: Streams) -> None:
    chain.configure(max_block_range=10)
    chain.mine_blocks(BLOCKS)
    watcher = Watcher(confirmations=0)
    await catch_up(chain, streams, watcher, FIRST_BLOCK + BLOCKS)
    chain.configure(max_block_range=None)
    chain.mine_blocks(20_000)

    await until(lambda: watcher.next_block == FIRST_BLOCK + BLOCKS + 20_001)

    assert max(last - first + 1 for first, last in read_ranges(chain)) >= 5_000


async def test_a_limit_that_is_lowered_is_found(chain: AlchemyEmulator, streams: Streams) -> None:
    chain.mine_blocks(BLOCKS)
    watcher = Watcher(confirmations=0)
    await catch_up(chain, streams, watcher, FIRST_BLOCK + BLOCKS)
    chain.configure(max_block_range=100, range_refusal="plain")
    chain.mine_blocks(BLOCKS)

    await until(lambda: watcher.next_block == FIRST_BLOCK + 2 * BLOCKS + 1)

    assert read_ranges(chain)[-2][1] - read_ranges(chain)[-2][0] == 99


@pytest.mark.parametrize("form", ["hint", "plain"])
async def test_blocks_with_too_many_logs_are_read_in_smaller_parts(
    chain: AlchemyEmulator, streams: Streams, form: str
) -> None:
    chain.configure(max_logs=20, range_refusal=form)
    chain.mine_blocks(100)
    for _ in range(10):
        chain.reveal(contract(1), range(15))
    newest = chain.mine_blocks(2_000)
    watcher = Watcher(confirmations=0)

    await catch_up(chain, streams, watcher, newest)

    assert watcher.ids == chain_ids(chain)
    # What was learnt there is no limit of the plan: the quiet blocks after it are read in large parts again.
    assert len(read_ranges(chain)) < 60
    assert max(last - first + 1 for first, last in read_ranges(chain)) > 500


async def test_a_block_with_too_many_logs_is_read_by_fewer_contracts(chain: AlchemyEmulator, streams: Streams) -> None:
    chain.configure(max_logs=20)
    with chain.one_block():
        for number in range(1, 5):
            chain.reveal(contract(number), range(10))
    watcher = Watcher(*range(1, 5), confirmations=0)

    await streams.served(watcher)
    await until(lambda: len(watcher.ids) == 40)

    assert sorted(watcher.ids) == sorted(chain_ids(chain, 1, 2, 3, 4))


async def test_what_is_found_on_the_way_is_told_before_the_end(chain: AlchemyEmulator, streams: Streams) -> None:
    chain.configure(max_block_range=10)
    chain.reveal(contract(1), [1])
    chain.mine_blocks(BLOCKS)
    watcher = Watcher(poll_interval_seconds=0.001, confirmations=0)

    await streams.served(watcher)
    await until(lambda: watcher.news)

    assert watcher.finds[0].places[contract(1)] < FIRST_BLOCK + BLOCKS
