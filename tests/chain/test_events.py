# SPDX-License-Identifier: Apache-2.0
"""What a log announces, and the payload that is made of logs: complete where it is small, bounded where it is not."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.chain.events import (
    BATCH_METADATA_UPDATE,
    CONSECUTIVE_TRANSFER,
    MAX_COUNTED,
    MAX_LISTED,
    METADATA_UPDATE,
    TRANSFER,
    TRANSFER_BATCH,
    TRANSFER_SINGLE,
    URI,
    ChainLog,
    EventKind,
    UnreadableLogError,
    merge_ranges,
    payload_of,
    payloads_of,
    read_log,
    topics_of,
)

from .scenes import (
    LARGEST,
    NETWORK,
    OPERATOR,
    OWNER,
    ZERO_ADDRESS,
    batch,
    batch_update,
    consecutive,
    contract,
    entry,
    log,
    single,
    transfer,
    update,
    uri,
    word,
    words,
)

METADATA, MINT = EventKind.METADATA, EventKind.MINT


@pytest.mark.parametrize(
    ("topic", "signature"),
    [
        (METADATA_UPDATE, "MetadataUpdate(uint256)"),
        (BATCH_METADATA_UPDATE, "BatchMetadataUpdate(uint256,uint256)"),
        (URI, "URI(string,uint256)"),
        (TRANSFER, "Transfer(address,address,uint256)"),
        (TRANSFER_SINGLE, "TransferSingle(address,address,address,uint256,uint256)"),
        (TRANSFER_BATCH, "TransferBatch(address,address,address,uint256[],uint256[])"),
        (CONSECUTIVE_TRANSFER, "ConsecutiveTransfer(uint256,uint256,address,address)"),
    ],
)
def test_a_topic_is_the_hash_of_its_signature(topic: str, signature: str) -> None:
    assert topic == "0x" + keccak(text=signature).hex()


UPDATES = [METADATA_UPDATE, BATCH_METADATA_UPDATE, URI]
MINTS = [TRANSFER, TRANSFER_SINGLE, TRANSFER_BATCH, CONSECUTIVE_TRANSFER]


@pytest.mark.parametrize(
    ("kinds", "topics"),
    [({MINT}, [MINTS]), ({METADATA}, [UPDATES]), ({METADATA, MINT}, [[*UPDATES, *MINTS]])],
)
def test_the_filter_asks_for_the_events_of_all_standards_in_one_call(
    kinds: set[EventKind], topics: list[list[str]]
) -> None:
    assert topics_of(kinds) == topics


@pytest.mark.parametrize(
    ("one", "announced"),
    [
        (update(0), (METADATA, 0, 0)),
        (update(LARGEST), (METADATA, LARGEST, LARGEST)),
        (batch_update(3, LARGEST), (METADATA, 3, LARGEST)),
        (uri(5), (METADATA, 5, 5)),
        # Upside down, it means the collection.
        (batch_update(1, 0), (METADATA, 0, LARGEST)),
        (transfer(9), (MINT, 9, 9)),
        (single(9, amount=500), (MINT, 9, 9)),
        (single(LARGEST), (MINT, LARGEST, LARGEST)),
        # ERC-1155 says so that a token exists, of which there is none yet.
        (single(9, amount=0), (MINT, 9, 9)),
        (single(9, sender=5), None),
        (batch(9), (MINT, 9, 9)),
        (batch(9, 7, 8), (MINT, 7, 9)),
        (batch(), None),
        (batch(9, sender=5), None),
        (consecutive(0, 4_999), (MINT, 0, 4_999)),
        (consecutive(0, LARGEST), (MINT, 0, LARGEST)),
        (consecutive(0, 4_999, sender=5), None),
        # Contracts that are older than the final ERC-721 index two arguments, or none.
        (entry([TRANSFER, ZERO_ADDRESS, OWNER], words(9)), (MINT, 9, 9)),
        (entry([TRANSFER], words(0, 0xA1, 9)), (MINT, 9, 9)),
        (entry([TRANSFER], words(5, 0xA1, 9)), None),
        (entry([TRANSFER, OWNER, OPERATOR], "0x12"), None),
        # Contracts that index none of them.
        (entry([TRANSFER_SINGLE], words(0xB, 0, 0xA1, 9, 1)), (MINT, 9, 9)),
        (entry([TRANSFER_BATCH], words(0xB, 0, 0xA1, 160, 224, 1, 9, 1, 1)), (MINT, 9, 9)),
        (entry([CONSECUTIVE_TRANSFER], words(3, 9, 0, 0xA1)), (MINT, 3, 9)),
        # Contracts that index their tokens, against the standard.
        (entry([METADATA_UPDATE, "0x" + word(4)]), (METADATA, 4, 4)),
        (entry([BATCH_METADATA_UPDATE, "0x" + word(4)], "0x" + word(6)), (METADATA, 4, 6)),
        (transfer(9, sender=5), None),
        (entry(["0x" + word(1)], "0x1234"), None),
        (entry(["nonsense"], removed=True), None),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_log_announces_tokens_or_nothing(one: dict[str, Any], announced: tuple[EventKind, int, int] | None) -> None:
    read = read_log(one)

    assert (None if read is None else (read.kind, *read.token_ranges[0])) == announced


def test_a_batch_names_each_of_its_tokens_once() -> None:
    read = read_log(batch(5, LARGEST, 5, 6, 0))

    assert read is not None
    assert read.token_ranges == ((0, 0), (5, 6), (LARGEST, LARGEST))


@pytest.mark.parametrize(
    ("one", "oddity"),
    [
        (batch_update(1, 0), "BatchMetadataUpdate from 1 to 0 is upside down, and taken for the whole collection"),
        (entry([TRANSFER], words(0, 0xA1, 9)), "its Transfer has the token in the data"),
        (entry([TRANSFER, ZERO_ADDRESS, OWNER], words(9)), "its Transfer has the token in the data"),
        (transfer(9), ""),
        (single(9), ""),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_log_says_what_is_odd_about_its_contract(one: dict[str, Any], oddity: str) -> None:
    read = read_log(one)

    assert read is not None
    assert (oddity in read.oddity, bool(read.oddity)) == (True, bool(oddity))


def test_letters_of_a_log_may_be_large() -> None:
    address = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
    read = read_log(update(1, address=address, transactionHash="0x" + "AB" * 32))

    assert read == ChainLog(100, 3, "0x" + "ab" * 32, address.lower(), METADATA, ((1, 1),))


def test_logs_sort_as_they_stand_on_the_chain() -> None:
    entries = [update(1, blockNumber="0x10", logIndex="0x0"), update(2, blockNumber="0x9", logIndex="0xa")]
    entries.append(update(3, blockNumber="0x9", logIndex="0x9"))

    logs = sorted(read for one in entries if (read := read_log(one)))

    assert [one.token_ranges[0][0] for one in logs] == [3, 2, 1]


@pytest.mark.parametrize(
    "one",
    [
        None,
        [],
        "0x",
        entry([]),
        {**update(1), "topics": "0x"},
        entry([5]),
        entry([METADATA_UPDATE[:-1]], "0x" + word(1)),
        entry([METADATA_UPDATE]),
        entry([METADATA_UPDATE], "0x05"),
        entry([METADATA_UPDATE], "0x" + word(1) + "00"),
        entry([METADATA_UPDATE], "0x" + word(1) * 2),
        entry([METADATA_UPDATE], None),
        entry([METADATA_UPDATE], word(1)),
        entry([BATCH_METADATA_UPDATE], "0x" + word(1)),
        entry([URI]),
        entry([TRANSFER]),
        entry([TRANSFER, ZERO_ADDRESS, OWNER]),
        entry([TRANSFER, ZERO_ADDRESS, OWNER], words(1, 2)),
        entry([TRANSFER_SINGLE, OPERATOR, ZERO_ADDRESS, OWNER]),
        entry([TRANSFER_SINGLE, OPERATOR, ZERO_ADDRESS, OWNER], words(1)),
        entry([TRANSFER_SINGLE, OPERATOR, ZERO_ADDRESS, OWNER], words(1, 2, 3)),
        entry([TRANSFER_SINGLE, OPERATOR, ZERO_ADDRESS, OWNER], None),
        # Lists that are not there, longer than their data, of another length than the other one, or beyond the data.
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER]),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(64)),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(64, 96, LARGEST, 0)),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(64, 128, 1, 9, 2, 1)),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(64, 128, 1, 9, 0)),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(LARGEST, 128, 1, 9, 1, 1)),
        entry([TRANSFER_BATCH, OPERATOR, ZERO_ADDRESS, OWNER], words(65, 128, 1, 9, 1, 1)),
        entry([TRANSFER_BATCH], words(1)),
        consecutive(5, 4),
        entry([CONSECUTIVE_TRANSFER, ZERO_ADDRESS, ZERO_ADDRESS, OWNER]),
        entry([CONSECUTIVE_TRANSFER, ZERO_ADDRESS, ZERO_ADDRESS], words(9, 9)),
        update(1, address="0x1"),
        update(1, blockNumber=5),
        update(1, blockNumber="0x" + "f" * 17),
        update(1, logIndex=None),
        update(1, logIndex="0x"),
        update(1, transactionHash="0x1234"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_a_log_that_does_not_decode_is_unreadable(one: Any) -> None:
    with pytest.raises(UnreadableLogError):
        read_log(one)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=8,
)
_WORDS = st.integers(0, LARGEST).map(lambda number: "0x" + word(number))
_TOPIC = st.sampled_from([*UPDATES, *MINTS, ZERO_ADDRESS]) | _WORDS
_DATA = st.binary(max_size=100).map(lambda data: "0x" + data.hex())
_FIELDS = {
    "address": st.just(contract(1)) | _JSON,
    "topics": st.lists(_TOPIC | _JSON, max_size=5) | _JSON,
    "data": _DATA | _JSON,
    "blockNumber": st.just("0x64") | _JSON,
    "transactionHash": st.just("0x" + word(1)) | _JSON,
    "logIndex": st.just("0x0") | _JSON,
    "removed": st.booleans() | _JSON,
}


@given(_JSON | st.fixed_dictionaries({}, optional=_FIELDS) | st.fixed_dictionaries(_FIELDS))
def test_a_wild_log_raises_nothing_but_its_own_error(one: Any) -> None:
    try:
        read = read_log(one)
    except UnreadableLogError:
        return
    assert read is None or all(first <= last <= LARGEST for first, last in read.token_ranges)


@given(
    topics=st.lists(_TOPIC, min_size=1, max_size=4),
    numbers=st.lists(st.integers(0, LARGEST) | st.integers(0, 200), max_size=9),
)
def test_a_well_formed_log_of_any_event_is_read_or_refused(topics: list[str], numbers: list[int]) -> None:
    try:
        read = read_log(entry(topics, words(*numbers)))
    except UnreadableLogError:
        return
    if read is not None and topics[0] == METADATA_UPDATE:
        assert [read.token_ranges[0][0]] == [*(int(topic, 16) for topic in topics[1:]), *numbers]


def payload(*logs: ChainLog) -> dict[str, Any]:
    return payload_of(NETWORK, sorted(logs))


def transaction(number: int) -> str:
    return "0x" + word(number)


class TestThePayload:
    def test_a_small_one_names_everything(self) -> None:
        assert payload(
            log(100, 0, tokens=(5, 5)),
            log(100, 1, kind=MINT, tokens=(1, 3)),
            log(102, 7, transaction=2, tokens=(2, 4)),
        ) == {
            "network": NETWORK,
            "contract_address": contract(1),
            "events": ["metadata", "mint"],
            "ids": ["1", "2", "3", "4", "5"],
            "first_id": "1",
            "last_id": "5",
            "id_count": 5,
            "minted": {"ids": ["1", "2", "3"], "first_id": "1", "last_id": "3", "id_count": 3},
            "first_block": 100,
            "last_block": 102,
            "block_numbers": [100, 102],
            "transaction_hashes": [transaction(1), transaction(2)],
            "transaction_count": 2,
            "event_ids": [f"{NETWORK}:{transaction(one)}:{index}" for one, index in ((1, 0), (1, 1), (2, 7))],
            "event_count": 3,
        }
        assert payload(log())["minted"] is None

    def test_it_has_no_key_whose_values_airflow_masks_in_its_ui(self) -> None:
        def keys(value: Any) -> set[str]:
            return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()

        assert not any("token" in key for key in keys(payload(log(kind=MINT))))

    @pytest.mark.parametrize(
        ("tokens", "listed", "count"),
        [
            ((0, MAX_LISTED - 1), MAX_LISTED, MAX_LISTED),
            ((7, 7 + MAX_LISTED), None, MAX_LISTED + 1),
            ((1, MAX_COUNTED), None, MAX_COUNTED),
            ((0, LARGEST), None, None),
        ],
    )
    def test_many_tokens_are_a_range_and_a_count(
        self, tokens: tuple[int, int], listed: int | None, count: int | None
    ) -> None:
        made = payload(log(tokens=tokens))

        assert (made["first_id"], made["last_id"], made["id_count"]) == (str(tokens[0]), str(tokens[1]), count)
        assert (None if made["ids"] is None else len(made["ids"])) == listed

    def test_many_announcements_keep_their_ids_as_runs(self) -> None:
        logs = [log(100, index, tokens=(index, index)) for index in range(1_500)]
        logs += [log(101, 5 + index, transaction=2, tokens=(index, index)) for index in range(10)]

        made = payload(*logs)

        runs = [f"{NETWORK}:{transaction(1)}:0-1499", f"{NETWORK}:{transaction(2)}:5-14"]
        assert (made["event_ids"], made["event_count"]) == (runs, 1_510)

    def test_its_lists_are_never_longer_than_a_thousand(self) -> None:
        made = payload(*(log(block, 2 * block, transaction=block, tokens=(block, block)) for block in range(3_000)))

        lists = ("block_numbers", "transaction_hashes", "event_ids")
        assert [len(made[name]) for name in lists] == [MAX_LISTED] * 3
        assert (made["transaction_count"], made["event_count"], made["last_block"]) == (3_000, 3_000, 2_999)

    def test_each_contract_has_one_in_the_order_of_the_first_announcements(self) -> None:
        logs = [log(5, address=contract(2)), log(3, address=contract(3)), log(9, address=contract(3))]

        made = payloads_of(NETWORK, logs)

        assert [(one["contract_address"], one["event_count"]) for one in made] == [(contract(3), 2), (contract(2), 1)]


_RANGES = st.tuples(st.integers(0, LARGEST), st.integers(0, 3_000) | st.just(LARGEST)).map(
    lambda pair: (pair[0], min(sum(pair), LARGEST))
)
_LOGS = st.lists(
    st.builds(
        ChainLog,
        st.integers(0, 2**53),
        st.integers(0, 2**64 - 1),
        st.integers(0, 3).map(transaction),
        st.just(contract(1)),
        st.sampled_from(EventKind),
        st.lists(_RANGES, min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=20,
).map(sorted)


@given(_LOGS)
def test_a_payload_survives_json_airflows_processes_and_readers_of_53_bits(logs: list[ChainLog]) -> None:
    msgspec = pytest.importorskip("msgspec")
    made = payload_of(NETWORK, logs)

    assert json.loads(json.dumps(made)) == made
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made)) == made
    numbers = [made["id_count"] or 0, made["first_block"], made["last_block"], *made["block_numbers"]]
    assert all(0 <= number <= 2**53 for number in numbers)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))))
def test_merged_ranges_have_every_token_and_no_other(ranges: list[tuple[int, int]]) -> None:
    def tokens(these: list[tuple[int, int]]) -> set[int]:
        return {token for first, last in these for token in range(first, last + 1)}

    merged = merge_ranges(ranges)

    assert tokens(merged) == tokens(ranges)
    assert all(last + 1 < following for (_, last), (following, _) in pairwise(merged))
