# SPDX-License-Identifier: Apache-2.0
"""What a wait for new tokens knows, and how it travels between processes. No I/O."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow_provider_alchemy.api.mint_record import MintRecord
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.chain.block_search import BlockSearch

CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"
BLOCKS = st.integers(0, 2**53)
MOMENTS = st.floats(0, 2**40)
SEARCHES = st.builds(
    BlockSearch,
    moment=MOMENTS,
    low=BLOCKS,
    high=st.none() | BLOCKS,
    marks=st.lists(st.tuples(BLOCKS, MOMENTS), max_size=2).map(tuple),
    answers=BLOCKS,
)
RECORDS = st.builds(
    MintRecord,
    contract_address=st.just(CONTRACT),
    network=st.just("eth-mainnet"),
    asked_block=st.none() | BLOCKS,
    asked_moment=st.sampled_from(["", "2026-11-22T10:00:00+00:00"]),
    search=st.none() | SEARCHES,
    since_block=st.none() | BLOCKS,
    next_block=BLOCKS,
    ids=st.sets(st.integers(0, 2**256 - 1), max_size=50),
    is_behind=st.booleans(),
    polls=BLOCKS,
    compute_units=BLOCKS,
)


@given(RECORDS)
def test_it_comes_back_from_json_as_it_was(record: MintRecord) -> None:
    assert MintRecord.read(json.loads(json.dumps(record.to_dict()))) == record


def test_a_whole_collection_takes_a_few_characters() -> None:
    record = MintRecord(contract_address=CONTRACT, ids=set(range(10_000)))

    assert record.to_dict()["ids"] == "0-270f"


def test_what_another_version_added_is_left_out() -> None:
    record = MintRecord(contract_address=CONTRACT, next_block=7)

    assert MintRecord.read({**record.to_dict(), "unheard_of": 1}) == record


@pytest.mark.parametrize(
    "data",
    [None, 7, [], {}, {"contract_address": 5}, {"contract_address": CONTRACT, "ids": 5}]
    + [{"contract_address": CONTRACT, "ids": text} for text in ("x", "2-1", "-1")],
)
def test_what_is_no_record_is_none(data: Any) -> None:
    assert MintRecord.read(data) is None


def test_a_new_try_keeps_what_was_read_and_counts_failures_anew() -> None:
    record = MintRecord(contract_address=CONTRACT, ids={3}, deadline="2026-01-01T00:00:00+00:00", failures=4, looks=5)
    record.begin_at(100)
    record.next_block = 120

    record.begin_anew()

    assert (record.since_block, record.next_block, record.ids) == (100, 120, {3})
    assert (record.failures, record.looks, record.deadline) == (0, 0, None)


def test_nothing_was_read_before_the_first_block_was() -> None:
    record = MintRecord(contract_address=CONTRACT)
    assert record.until_block is None

    record.begin_at(100)
    assert (record.until_block, record.result()["next_block"]) == (None, 100)
