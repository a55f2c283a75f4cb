# SPDX-License-Identifier: Apache-2.0
"""What holds on every chain, whatever happens to it, and of every filter, whatever is asked."""

from __future__ import annotations

from itertools import pairwise

import pytest
from airflow_provider_alchemy.testing.asked_logs import NEWEST, AskedLogs, read_asked_logs, read_block
from airflow_provider_alchemy.testing.chain_events import RawLog, metadata_update
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_alchemy.testing.chain import Chain

from .conftest import ADDRESS

TOPIC = "0x" + "ab" * 32

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 50)),
        st.tuples(st.just("mine"), st.integers(1, 3)),
        st.tuples(st.just("reveal"), st.integers(0, 5)),
        st.tuples(st.just("reorganise"), st.integers(1, 6)),
        st.tuples(st.just("keep"), st.integers(1, 6)),
    ),
    max_size=30,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["0x1", "latest", TOPIC]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["fromBlock", "toBlock", "address", "topics", "blockHash"]) | st.text(), inner, max_size=5
        )
    ),
    max_leaves=10,
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
            chain.add([[metadata_update(ADDRESS.lower(), token)] * 2 for token in range(number)], now)
        elif action in {"reorganise", "keep"}:
            chain.reorganise(number, keep_logs=action == "keep")
    return chain, now


@given(STEPS)
def test_a_chain_is_whole_after_whatever_happened(steps: list[tuple[str, int]]) -> None:
    chain, now = play(steps)
    places = [(log.block_number, log.log_index) for log in chain.logs]
    assert places == sorted(set(places))
    assert len({log.id for log in chain.logs}) == len(places)
    assert all(log.block_hash == chain.block_hash(log.block_number) for log in chain.logs)
    times = [chain.mined_at(number) for number in range(chain.newest + 1)]
    assert all(before <= after for before, after in pairwise(times))
    assert times[-1] <= now
    assert len({chain.block_hash(number) for number in range(chain.newest + 1)}) == chain.newest + 1
    assert chain.newest >= 100


@given(STEPS, st.integers(0, 200), st.integers(0, 200))
def test_a_range_finds_the_logs_of_its_blocks_in_their_order(
    steps: list[tuple[str, int]], first: int, last: int
) -> None:
    chain, _ = play(steps)
    assert [*chain.between(first, last)] == [log for log in chain.logs if first <= log.block_number <= last]


@given(STEPS, st.integers(1, 6))
def test_a_reorganisation_replaces_the_newest_blocks_and_no_other(steps: list[tuple[str, int]], depth: int) -> None:
    chain, _ = play(steps)
    before = [chain.block_hash(number) for number in range(chain.newest + 1)]
    old, newest = chain.logs, chain.newest
    chain.reorganise(depth, keep_logs=True)
    after = [chain.block_hash(number) for number in range(newest + 1)]
    assert chain.newest == newest
    assert before[:-depth] == after[:-depth]
    assert not set(before[-depth:]) & set(after[-depth:])
    assert sorted(log.transaction_hash for log in chain.logs) == sorted(log.transaction_hash for log in old)


@example({"toBlock": "0x1"})
@given(JSON)
def test_whatever_is_asked_is_understood_or_refused(params: object) -> None:
    asked = read_asked_logs([params])
    if asked.refusal is None:
        first, last = asked.blocks(2**70)
        assert min(first, last) >= 0
        # Only the node knows what its newest block is, and whether there is nothing from there on.
        assert first <= last or asked.first is NEWEST
        chain, _ = play([("reveal", 1)])
        assert {*asked.select(chain.logs)} <= {*chain.logs}
    else:
        assert asked == AskedLogs(refusal=asked.refusal)


@given(st.integers(0, 2**64 - 1))
def test_a_block_is_a_hex_number(number: int) -> None:
    assert read_block(hex(number)) == read_block("0x" + f"{number:X}") == number


@pytest.mark.parametrize(
    "value", ["0x", "0x01", "1", "0xg", "pending", "finalized", "", None, 1, True, ["0x1"], "0x1 "]
)
def test_anything_else_is_no_block(value: object) -> None:
    with pytest.raises(ValueError, match="a block is"):
        read_block(value)


@pytest.mark.parametrize(
    "asked",
    [
        {"fromBlock": "0x2", "toBlock": "0x1"},
        {"blockHash": TOPIC},
        {"address": "0x1"},
        {"address": [ADDRESS, None]},
        {"topics": TOPIC},
        {"topics": ["0x1"]},
        {"topics": [[TOPIC, 5]]},
        {"topics": [TOPIC] * 5},
    ],
)
def test_a_filter_that_no_node_takes_is_refused(asked: dict[str, object]) -> None:
    assert read_asked_logs([asked]).refusal


def test_a_log_with_fewer_topics_than_asked_for_is_not_found() -> None:
    chain = Chain("eth-mainnet", 0, 100, 12.0, 0.0)
    made = chain.add([[RawLog(ADDRESS.lower(), (TOPIC,)), RawLog(ADDRESS.lower(), (TOPIC, TOPIC))]], 0.0)
    assert read_asked_logs([{"topics": [TOPIC, None]}]).select(made) == [made[1]]
    assert read_asked_logs([{"topics": [[None, TOPIC]]}]).select(made) == [*made]


def test_the_past_does_not_reach_before_the_epoch() -> None:
    chain = Chain("arb-mainnet", 0, 400_000_000, 12.0, 1_800_000_000.0)
    assert (chain.mined_at(0), chain.mined_at(400_000_000)) == (0, 1_800_000_000)
