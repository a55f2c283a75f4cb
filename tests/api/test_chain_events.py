# SPDX-License-Identifier: Apache-2.0
"""What a log says: each standard's events, and that no entry, however wild, raises anything but its own error."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.chain_events import (
    BATCH_METADATA_UPDATE,
    METADATA_UPDATE,
    NOBODY,
    TRANSFER,
    URI,
    ChainLog,
    EventKind,
    UnreadableLogError,
    read_log,
    topics_of,
)

from .chain import LARGEST, batch_update, contract, entry, transfer, update, uri, word


def tokens(one: dict[str, Any]) -> tuple[EventKind, int, int] | None:
    read = read_log(one)
    return None if read is None else (read.kind, read.first_token_id, read.last_token_id)


@pytest.mark.parametrize(
    ("topic", "signature"),
    [
        (METADATA_UPDATE, "MetadataUpdate(uint256)"),
        (BATCH_METADATA_UPDATE, "BatchMetadataUpdate(uint256,uint256)"),
        (URI, "URI(string,uint256)"),
        (TRANSFER, "Transfer(address,address,uint256)"),
    ],
)
def test_a_topic_is_the_hash_of_its_signature(topic: str, signature: str) -> None:
    assert topic == "0x" + keccak(text=signature).hex()


class TestWhatIsRead:
    @pytest.mark.parametrize("token_id", [0, 1, LARGEST])
    def test_single_update(self, token_id: int) -> None:
        assert tokens(update(token_id)) == (EventKind.METADATA, token_id, token_id)

    def test_batch_update(self) -> None:
        assert tokens(batch_update(3, LARGEST)) == (EventKind.METADATA, 3, LARGEST)

    def test_uri_of_a_token(self) -> None:
        assert tokens(uri(LARGEST)) == (EventKind.METADATA, LARGEST, LARGEST)

    def test_uri_with_a_long_text(self) -> None:
        assert tokens({**uri(5), "data": "0x" + "ab" * 100_000}) == (EventKind.METADATA, 5, 5)

    def test_mint(self) -> None:
        assert tokens(transfer(9)) == (EventKind.MINT, 9, 9)

    def test_transfer_between_owners_is_no_news(self) -> None:
        assert tokens(transfer(9, sender=5)) is None

    def test_update_of_a_contract_that_indexes_its_tokens(self) -> None:
        assert tokens(entry([METADATA_UPDATE, "0x" + word(4)])) == (EventKind.METADATA, 4, 4)
        assert tokens(entry([BATCH_METADATA_UPDATE, "0x" + word(4)], "0x" + word(6))) == (EventKind.METADATA, 4, 6)

    def test_any_other_event_is_no_news(self) -> None:
        assert tokens(entry(["0x" + word(1)], "0x1234")) is None

    def test_removed_log_is_no_news_even_where_it_does_not_decode(self) -> None:
        assert tokens(entry(["nonsense"], removed=True)) is None

    def test_letters_may_be_large(self) -> None:
        address = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
        read = read_log(update(1, address=address, transactionHash="0x" + "AB" * 32))

        assert read == ChainLog(100, 3, "0x" + "ab" * 32, address.lower(), EventKind.METADATA, 1, 1)

    def test_they_sort_as_they_stand_on_the_chain(self) -> None:
        entries = [update(1, blockNumber="0x10", logIndex="0x0"), update(2, blockNumber="0x9", logIndex="0xa")]
        entries.append(update(3, blockNumber="0x9", logIndex="0x9"))

        logs = sorted(read for one in entries if (read := read_log(one)))

        assert [one.first_token_id for one in logs] == [3, 2, 1]


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
        batch_update(5, 4),
        entry([BATCH_METADATA_UPDATE], "0x" + word(1)),
        entry([URI]),
        entry([TRANSFER]),
        entry([TRANSFER, NOBODY, "0x" + word(1)], "0x" + word(10**18)),
        update(1, address="0x1"),
        update(1, blockNumber=5),
        update(1, blockNumber="0x" + "f" * 17),
        update(1, logIndex=None),
        update(1, logIndex="0x"),
        update(1, transactionHash="0x1234"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_what_does_not_decode_says_so(one: Any) -> None:
    with pytest.raises(UnreadableLogError):
        read_log(one)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=8,
)
_TOPIC = st.sampled_from([METADATA_UPDATE, BATCH_METADATA_UPDATE, URI, TRANSFER, NOBODY]) | st.integers(0, LARGEST).map(
    lambda number: "0x" + word(number)
)
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
def test_wild_entries_raise_nothing_but_their_own_error(one: Any) -> None:
    try:
        read = read_log(one)
    except UnreadableLogError:
        return
    assert read is None or read.first_token_id <= read.last_token_id <= LARGEST


@given(topics=st.lists(_TOPIC, min_size=1, max_size=4), words=st.lists(st.integers(0, LARGEST), max_size=3))
def test_well_formed_entries_of_any_event_are_read_or_refused(topics: list[str], words: list[int]) -> None:
    one = entry(topics, "0x" + "".join(map(word, words)))
    try:
        read = read_log(one)
    except UnreadableLogError:
        return
    if read is not None and topics[0] == METADATA_UPDATE:
        assert [read.first_token_id] == [*(int(topic, 16) for topic in topics[1:]), *words]


class TestTheFilter:
    def test_mints_alone_ask_for_no_transfers_between_owners(self) -> None:
        assert topics_of({EventKind.MINT}) == [[TRANSFER], [NOBODY]]

    def test_metadata_alone(self) -> None:
        assert topics_of({EventKind.METADATA}) == [[METADATA_UPDATE, BATCH_METADATA_UPDATE, URI]]

    def test_both_are_one_filter(self) -> None:
        assert topics_of(set(EventKind)) == [[METADATA_UPDATE, BATCH_METADATA_UPDATE, URI, TRANSFER]]
