# SPDX-License-Identifier: Apache-2.0
"""The blockchain: what holds whatever happens to it, what is announced on it, and its blocks over time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.testing import AlchemyEmulator, ChainLog
from airflow_provider_alchemy.testing.chain import METADATA_UPDATE, Chain, event

from .conftest import ADDRESS, FIRST, OTHER, Emulator

RANGES = {"wait": (0, 50), "mine": (1, 3), "reveal": (0, 5), "reorganise": (1, 6), "keep": (1, 6)}
STEPS = st.lists(
    st.one_of(*(st.tuples(st.just(action), st.integers(*numbers)) for action, numbers in RANGES.items())), max_size=30
)


def play(steps: list[tuple[str, int]]) -> tuple[Chain, float]:
    chain, now = Chain("eth-mainnet", 0, 100, 12.0, 1_000_000.0), 1_000_000.0
    for action, number in steps:
        if action == "wait":
            now += number
        chain.advance(now, 12.0)
        if action == "mine":
            chain.mine(number, now)
        elif action == "reveal":
            chain.add([[event(ADDRESS.lower(), METADATA_UPDATE, words=[token])] * 2 for token in range(number)], now)
        elif action in {"reorganise", "keep"}:
            chain.reorganise(number, keep_logs=action == "keep")
    return chain, now


@given(STEPS, st.integers(0, 200), st.integers(0, 200))
def test_a_chain_is_whole_after_whatever_happened(steps: list[tuple[str, int]], first: int, last: int) -> None:
    chain, now = play(steps)
    assert chain.between(first, last) == [log for log in chain.logs if first <= log.block_number <= last]
    places = [(log.block_number, log.log_index) for log in chain.logs]
    assert places == sorted(set(places))
    assert len({log.id for log in chain.logs}) == len(places)
    assert all(log.block_hash == chain.block_hash(log.block_number) for log in chain.logs)
    times = [chain.mined_at(number) for number in range(chain.newest + 1)]
    assert all(before <= after for before, after in pairwise(times))
    assert times[-1] <= now
    assert len({chain.block_hash(number) for number in range(chain.newest + 1)}) == chain.newest + 1
    assert chain.newest >= 100


@given(STEPS, st.integers(1, 6))
def test_a_reorganisation_replaces_the_newest_blocks_and_no_other(steps: list[tuple[str, int]], depth: int) -> None:
    chain, _ = play(steps)
    before = [chain.block_hash(number) for number in range(chain.newest + 1)]
    old, newest = [*chain.logs], chain.newest
    chain.reorganise(depth, keep_logs=True)
    after = [chain.block_hash(number) for number in range(newest + 1)]
    assert chain.newest == newest
    assert before[:-depth] == after[:-depth]
    assert not set(before[-depth:]) & set(after[-depth:])
    assert sorted(log.transaction_hash for log in chain.logs) == sorted(log.transaction_hash for log in old)


@pytest.fixture
def emulator() -> AlchemyEmulator:
    """An emulator that is steered only: it need not serve."""
    return AlchemyEmulator(block_seconds=None)


def topic(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()


def words(log: ChainLog) -> list[int]:
    """Read the data, of which the last word may be cut short."""
    return [int(log.data[start : start + 64], 16) for start in range(2, len(log.data), 64)]


def padded(address: str) -> str:
    return "0x" + "0" * 24 + address[2:]


TRANSFER = topic("Transfer(address,address,uint256)")
SINGLE = topic("TransferSingle(address,address,address,uint256,uint256)")
BATCH = topic("TransferBatch(address,address,address,uint256[],uint256[])")
CONSECUTIVE = topic("ConsecutiveTransfer(uint256,uint256,address,address)")
ZERO = padded("0x" + "0" * 40)
OWNERS = [padded("0x" + digits * 20) for digits in ("a1", "b2")]


@pytest.mark.parametrize(
    ("method", "arguments", "topics", "data"),
    [
        ("reveal", ([1, "0x10", str(2**200)],), [topic("MetadataUpdate(uint256)")], [[1], [16], [2**200]]),
        ("reveal_batch", (3, 2**256 - 1), [topic("BatchMetadataUpdate(uint256,uint256)")], [[3, 2**256 - 1]]),
        ("mint", ([5],), [TRANSFER, padded("0x" + "0" * 40), OWNERS[0], f"0x{5:064x}"], [[]]),
        ("transfer", (5,), [TRANSFER, *OWNERS, f"0x{5:064x}"], [[]]),
        ("emit_log", ([METADATA_UPDATE], "0x07"), [METADATA_UPDATE], [[7]]),
        ("emit_log", ([], ""), [], [[]]),
    ],
)
def test_an_announcement_is_written_as_its_standard_says(
    emulator: Emulator, method: str, arguments: tuple[Any, ...], topics: list[str], data: list[list[int]]
) -> None:
    made = getattr(emulator, method)(ADDRESS, *arguments)
    assert [(log.topics, words(log)) for log in made] == [(tuple(topics), row) for row in data]
    places = {(log.network, log.contract_address, log.block_number) for log in made}
    assert places == {("eth-mainnet", ADDRESS.lower(), FIRST + 1)}
    assert made == emulator.chain_logs()
    (minted,), (handed,) = emulator.mint(ADDRESS, [5], to=OTHER), emulator.transfer(ADDRESS, 5, sender=OTHER)
    with pytest.raises(dataclasses.FrozenInstanceError):
        minted.data = "0x"  # type: ignore[misc]  # what it refuses
    assert (minted.topics[2], handed.topics[1:3]) == (padded(OTHER), (padded(OTHER), OWNERS[1]))


@pytest.mark.parametrize(
    ("by", "topics", "data"),
    [
        ("TransferSingle", [SINGLE, OWNERS[0], ZERO, OWNERS[0]], [[5, 1], [6, 1]]),
        ("TransferBatch", [BATCH, OWNERS[0], ZERO, OWNERS[0]], [[64, 160, 2, 5, 6, 2, 1, 1]]),
        ("ConsecutiveTransfer", [CONSECUTIVE, f"0x{5:064x}", ZERO, OWNERS[0]], [[6]]),
    ],
)
def test_tokens_are_minted_by_the_event_of_another_standard(
    emulator: Emulator, by: Any, topics: list[str], data: list[list[int]]
) -> None:
    made = emulator.mint(ADDRESS, [5, 6], by=by)

    assert [(log.topics, words(log)) for log in made] == [(tuple(topics), row) for row in data]


def test_many_tokens_are_revealed_in_several_transactions_of_one_block(emulator: Emulator) -> None:
    made = emulator.reveal(ADDRESS, range(2500))
    assert {log.block_number for log in made} == {FIRST + 1}
    assert [log.log_index for log in made] == [*range(2500)]
    assert [log.transaction_index for log in made] == [0] * 1000 + [1] * 1000 + [2] * 500
    assert len({log.transaction_hash for log in made}) == 3
    assert len({log.id for log in made}) == 2500


@pytest.mark.parametrize("uri", ["", "ipfs://x", "x" * 32, "x" * 33, "ipfs://ü"])
def test_a_uri_is_announced_with_its_text_as_the_abi_writes_it(emulator: Emulator, uri: str) -> None:
    (made,) = emulator.announce_uri(ADDRESS, 9, uri)
    text = uri.encode()
    assert made.topics == (topic("URI(string,uint256)"), f"0x{9:064x}")
    assert words(made)[:2] == [32, len(text)]
    assert bytes.fromhex(made.data[2 + 128 :]).rstrip(b"\0") == text
    assert (len(made.data) - 2) % 64 == 0


def test_one_block_holds_what_is_announced_inside_and_is_not_seen_before(emulator: Emulator) -> None:
    emulator.configure(block_seconds=0.001)
    with emulator.one_block() as number:
        made = emulator.reveal(ADDRESS, [1, 2]) + emulator.mint(OTHER, [3])
        assert (emulator.newest_block(), emulator.chain_logs()) == (number - 1, ())
    assert emulator.newest_block() >= number
    assert emulator.chain_logs() == made
    assert {log.block_number for log in made} == {number}
    assert [(log.log_index, log.transaction_index) for log in made] == [(0, 0), (1, 0), (2, 1)]
    emulator.configure(block_seconds=None)
    with suppress(RuntimeError), emulator.one_block():
        emulator.reveal(ADDRESS, [1])
        raise RuntimeError  # it is mined all the same
    assert len(emulator.chain_logs()) == 4


def test_no_other_block_of_a_network_is_mined_while_one_is_open(emulator: Emulator) -> None:
    with emulator.one_block(network="base-mainnet"):
        actions: list[Callable[[], object]] = [
            lambda: emulator.mine_blocks(network="base-mainnet"),
            lambda: emulator.reorganise(1, network="base-mainnet"),
            lambda: emulator.one_block(network="base-mainnet").__enter__(),
        ]
        for action in actions:
            with pytest.raises(ValueError, match="A block of base-mainnet is open"):
                action()
        assert emulator.mine_blocks() == FIRST + 1


def test_a_reorganisation_takes_logs_away_or_keeps_them_in_another_order(emulator: Emulator) -> None:
    with emulator.one_block():
        emulator.reveal(ADDRESS, [1, 2])
        emulator.reveal(OTHER, [3])
    (alone,) = emulator.reveal(OTHER, [4])
    before = emulator.chain_logs()
    made = emulator.reorganise(2, keep_logs=True)
    assert made == emulator.chain_logs()
    assert [(words(log)[0], log.log_index) for log in made] == [(3, 0), (1, 1), (2, 2), (4, 0)]
    assert {log.transaction_hash for log in made} == {log.transaction_hash for log in before}
    assert not {log.block_hash for log in made} & {log.block_hash for log in before}
    assert made[-1].id == alone.id
    assert emulator.reorganise(1) == ()
    assert (emulator.newest_block(), emulator.chain_logs()) == (FIRST + 2, made[:-1])


def test_after_a_reorganisation_nothing_has_a_hash_again(emulator: Emulator) -> None:
    seen: list[ChainLog] = []
    for depth in (1, 1, 3, 2, 1):
        seen += emulator.reveal(ADDRESS, [1])
        emulator.mine_blocks(2)
        emulator.reorganise(depth + 2)
        seen += emulator.reveal(ADDRESS, [1])
    assert len({log.block_hash for log in seen}) == len({log.transaction_hash for log in seen}) == 10


def test_the_same_steps_give_the_same_hashes(emulator: Emulator) -> None:
    def steps() -> tuple[ChainLog, ...]:
        emulator.reveal(ADDRESS, [1])
        emulator.reorganise(1)
        return emulator.reveal(ADDRESS, [2])

    first = steps()
    emulator.reset()
    assert emulator.chain_logs() == ()
    assert steps() == first
    assert AlchemyEmulator(seed=1, block_seconds=None).reveal(ADDRESS, [2])[0].block_hash != first[0].block_hash


def test_a_change_of_pace_counts_from_the_change_on() -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        emulator = AlchemyEmulator(block_seconds=10, first_block=100)
        newest = [emulator.newest_block()]
        for seconds, pace in ((95, None), (1000, 5), (11, 20), (4, 1)):
            clock.shift(seconds)
            emulator.configure(block_seconds=pace)
            newest.append(emulator.newest_block())
    assert newest == [100, 109, 109, 111, 111]


def test_blocks_come_by_themselves_or_on_command_only() -> None:
    past = Chain("arb-mainnet", 0, 400_000_000, 12.0, 1_800_000_000.0)
    assert (past.mined_at(0), past.mined_at(400_000_000)) == (0, 1_800_000_000)  # never before the epoch
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        emulator = AlchemyEmulator(block_seconds=20, speed=2, first_block=100)
        quiet = AlchemyEmulator(block_seconds=None, first_block=100)
        newest = [emulator.newest_block(), quiet.newest_block()]
        clock.shift(9)
        emulator.reveal(ADDRESS, [1])
        newest += [emulator.mine_blocks(), quiet.mine_blocks(9)]
        clock.shift(1)
        assert [*newest, emulator.newest_block(), quiet.newest_block()] == [100, 100, 102, 109, 103, 109]


def test_each_network_has_a_chain_of_its_own_from_the_first_block_on(emulator: Emulator) -> None:
    (made,) = emulator.reveal(ADDRESS, [1], network="base-mainnet")
    assert (emulator.newest_block(network="base-mainnet"), emulator.newest_block()) == (FIRST + 1, FIRST)
    assert emulator.chain_logs() == ()
    assert emulator.reveal(ADDRESS, [1])[0].block_hash != made.block_hash
    emulator.configure(first_block=5)
    assert [emulator.newest_block(network=name) for name in ("eth-mainnet", "arb-mainnet")] == [FIRST + 1, 5]


def test_threads_may_announce_at_the_same_time(emulator: Emulator) -> None:
    threads = [threading.Thread(target=emulator.reveal, args=(ADDRESS, range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logs = emulator.chain_logs()
    assert (len({log.id for log in logs}), len({log.block_number for log in logs})) == (160, 8)
