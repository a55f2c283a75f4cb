# SPDX-License-Identifier: Apache-2.0
"""What is told of a contract: complete where it is small, bounded where it is not, and fit for every way it goes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.chain_events import ChainLog, EventKind
from airflow_provider_alchemy.api.chain_news import MOST_COUNTED, MOST_LISTED, merged, news_by_contract, news_of

from .chain import LARGEST, NETWORK, contract, log, word

_RANGES = st.tuples(st.integers(0, LARGEST), st.integers(0, 3_000) | st.just(LARGEST)).map(
    lambda pair: (pair[0], min(pair[0] + pair[1], LARGEST))
)
_LOGS = st.lists(
    st.builds(
        ChainLog,
        st.integers(0, 2**53),
        st.integers(0, 2**64 - 1),
        st.integers(0, 3).map(lambda number: "0x" + word(number)),
        st.just(contract(1)),
        st.sampled_from(EventKind),
        st.just(0),
        st.just(0),
    ).flatmap(
        lambda one: _RANGES.map(
            lambda tokens: ChainLog(
                one.block_number, one.log_index, one.transaction_hash, one.contract_address, one.kind, *tokens
            )
        )
    ),
    min_size=1,
    max_size=20,
).map(sorted)


def news(*logs: ChainLog) -> dict[str, Any]:
    return news_of(NETWORK, sorted(logs))


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return set()


class TestASmallOne:
    def test_no_key_is_one_whose_values_airflow_masks_in_its_ui(self) -> None:
        told = news(log(100, 0, kind=EventKind.MINT), log(100, 1))

        assert "minted" in keys_of(told)
        assert {key for key in keys_of(told) if "token" in key} == set()

    def test_it_names_everything(self) -> None:
        told = news(log(100, 0, tokens=(5, 5)), log(100, 1, tokens=(1, 3)), log(102, 7, transaction=2, tokens=(2, 4)))

        first, second = ("0x" + word(number) for number in (1, 2))
        assert told == {
            "network": NETWORK,
            "contract_address": contract(1),
            "events": ["metadata"],
            "ids": ["1", "2", "3", "4", "5"],
            "first_id": "1",
            "last_id": "5",
            "id_count": 5,
            "minted": None,
            "first_block": 100,
            "last_block": 102,
            "block_numbers": [100, 102],
            "transaction_hashes": [first, second],
            "transaction_count": 2,
            "event_ids": [f"{NETWORK}:{first}:0", f"{NETWORK}:{first}:1", f"{NETWORK}:{second}:7"],
            "event_count": 3,
        }

    def test_minted_tokens_are_named_apart(self) -> None:
        told = news(log(tokens=(1, 2)), log(index=1, kind=EventKind.MINT, tokens=(9, 9)))

        assert told["events"] == ["metadata", "mint"]
        assert told["ids"] == ["1", "2", "9"]
        assert told["minted"] == {"ids": ["9"], "first_id": "9", "last_id": "9", "id_count": 1}


class TestBounds:
    def test_a_thousand_tokens_are_listed(self) -> None:
        assert len(news(log(tokens=(0, MOST_LISTED - 1)))["ids"]) == MOST_LISTED

    def test_more_are_a_range_and_a_count(self) -> None:
        told = news(log(tokens=(7, 7 + MOST_LISTED)))

        assert told["ids"] is None
        assert (told["first_id"], told["last_id"], told["id_count"]) == ("7", "1007", 1_001)

    def test_overlapping_announcements_count_once(self) -> None:
        assert news(log(tokens=(0, 9)), log(index=1, tokens=(5, 14)))["id_count"] == 15

    def test_every_token_that_there_may_be_has_no_count(self) -> None:
        told = news(log(tokens=(0, LARGEST)))

        assert (told["last_id"], told["id_count"]) == (str(LARGEST), None)
        assert news(log(tokens=(1, MOST_COUNTED)))["id_count"] == MOST_COUNTED

    def test_many_announcements_keep_their_ids_as_runs(self) -> None:
        logs = [log(100, index, tokens=(index, index)) for index in range(1_500)]
        logs += [log(101, 5 + index, transaction=2, tokens=(index, index)) for index in range(10)]

        told = news(*logs)

        first, second = ("0x" + word(number) for number in (1, 2))
        assert told["event_ids"] == [f"{NETWORK}:{first}:0-1499", f"{NETWORK}:{second}:5-14"]
        assert told["event_count"] == 1_510

    def test_lists_are_never_longer_than_a_thousand(self) -> None:
        logs = [log(block, 2 * block, transaction=block, tokens=(block, block)) for block in range(3_000)]

        told = news(*logs)

        lists = ("block_numbers", "transaction_hashes", "event_ids")
        assert [len(told[name]) for name in lists] == [MOST_LISTED] * 3
        assert (told["transaction_count"], told["event_count"], told["last_block"]) == (3_000, 3_000, 2_999)


class TestEveryWayItGoes:
    @given(_LOGS)
    def test_through_json_and_back(self, logs: list[ChainLog]) -> None:
        told = news_of(NETWORK, logs)
        assert json.loads(json.dumps(told)) == told

    @given(_LOGS)
    def test_between_airflows_processes(self, logs: list[ChainLog]) -> None:
        msgspec = pytest.importorskip("msgspec")
        told = news_of(NETWORK, logs)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(told)) == told

    @given(_LOGS)
    def test_its_numbers_are_exact_in_every_json_reader(self, logs: list[ChainLog]) -> None:
        told = news_of(NETWORK, logs)
        numbers = [told["id_count"] or 0, told["first_block"], told["last_block"], *told["block_numbers"]]
        assert all(0 <= number <= 2**53 for number in numbers)


class TestRanges:
    @given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))))
    def test_merging_keeps_every_token_and_adds_none(self, ranges: list[tuple[int, int]]) -> None:
        result = merged(ranges)

        def tokens(these: list[tuple[int, int]]) -> set[int]:
            return {token for first, last in these for token in range(first, last + 1)}

        assert tokens(result) == tokens(ranges)
        assert all(last + 1 < following for (_, last), (following, _) in pairwise(result))


class TestSeveralContracts:
    def test_each_is_told_once_in_the_order_in_which_they_began_to_speak(self) -> None:
        logs = [log(5, address=contract(2)), log(3, address=contract(3)), log(9, address=contract(3))]

        told = list(news_by_contract(NETWORK, logs))

        assert [(one["contract_address"], one["event_count"]) for one in told] == [(contract(3), 2), (contract(2), 1)]
